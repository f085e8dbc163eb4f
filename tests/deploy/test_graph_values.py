"""Values of a graph, by NumPy's results."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from darkpose.deploy.graph_values import Value, columns
from darkpose.runtime.graph_builder import FLOAT, GraphBuilder

pytest.importorskip("onnx")

X = np.array([[1.5, -2.0, 4.0], [0.5, 4.0, 4.0]], np.float32)


def run(calculate: Callable[[Value], Value]) -> Any:
    from onnxruntime import InferenceSession

    builder = GraphBuilder()
    calculate(Value(builder, "x")).op("Cast", to=FLOAT).named("y")
    model = builder.model({"x": (FLOAT, X.shape)}, {"y": (FLOAT, ())}, opset=18)
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return InferenceSession(model.SerializeToString()).run(None, {"x": X})[0]


@pytest.mark.parametrize(
    ("calculate", "expected"),
    [
        (lambda x: (x + 1.0) * x - x / 2.0, (X + 1) * X - X / 2),
        (lambda x: -x @ np.ones((3, 2), np.float32), -X @ np.ones((3, 2))),
        (lambda x: (x.above(0.0) & x.below(4.0)).choose(x, 7.0), np.where((X > 0) & (X < 4), X, 7)),
        (lambda x: x.at(1), X[:, 1]),
        (lambda x: x.at([2, 0]), X[:, [2, 0]]),
        (lambda x: x.reshape(3, -1), X.reshape(3, 2)),
        (lambda x: x.largest(), X.max(1)),
        (lambda x: x.total(), X.sum(1, keepdims=True)),
        (lambda x: x.where_largest(), [2, 1]),
        (lambda x: columns(x.at(0), x.at(2)), X[:, [0, 2]]),
    ],
)
def test_a_value_calculates_as_an_array(calculate: Callable[[Value], Value], expected: Any) -> None:
    np.testing.assert_allclose(run(calculate), np.asarray(expected, np.float32), rtol=1e-6)
