"""Builds ONNX graphs node by node."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from darkpose.errors import DarkposeError

FLOAT, UINT8, HALF = 1, 2, 10  # TensorProto.DataType
IR_VERSION = 10


class GraphBuilder:
    """Nodes and initializers of one graph. Values are named; a node and its only output have the same name.

    Raises:
        DarkposeError: the package onnx is missing.
    """

    def __init__(self) -> None:
        self.onnx = import_onnx()
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []

    def node(self, operator: str, *inputs: str, name: str, **attributes: Any) -> str:
        """Add a node; returns the name of its output."""
        self.nodes.append(self.onnx.helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, name: str, values: Any) -> str:
        """Add an array that the graph holds itself, once for each name."""
        if not any(each.name == name for each in self.initializers):
            self.initializers.append(self.onnx.numpy_helper.from_array(np.asarray(values), name))
        return name

    def model(
        self,
        inputs: Mapping[str, tuple[int, Sequence[str | int]]],
        outputs: Mapping[str, tuple[int, Sequence[str | int]]],
        *,
        opset: int,
        metadata: Mapping[str, str] | None = None,
    ) -> Any:
        """The whole model (`onnx.ModelProto`); inputs and outputs are name -> (type, shape)."""
        make = self.onnx.helper
        ends = [[make.make_tensor_value_info(name, *kind) for name, kind in each.items()] for each in (inputs, outputs)]
        graph = make.make_graph(self.nodes, "darkpose", *ends, self.initializers)
        opsets = [make.make_opsetid("", opset)]
        model = make.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="darkpose")
        make.set_model_props(model, dict(metadata or {}))
        return model


def import_onnx() -> Any:
    """The package onnx.

    Raises:
        DarkposeError: it is missing.
    """
    try:
        import onnx
    except ImportError as error:
        raise DarkposeError("a graph of the network needs onnx: pip install 'darkpose[export]'") from error
    return onnx
