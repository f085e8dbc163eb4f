"""The decoder as ONNX nodes finds what the decoder in torch finds."""

from collections.abc import Callable
from functools import cache
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from darkpose.codec.dark_torch import decode_torch
from darkpose.codec.heatmap import Method
from darkpose.deploy.decoder_graph import add_decoder
from darkpose.deploy.graph_values import Value
from darkpose.runtime.graph_builder import FLOAT, GraphBuilder
from random_maps import random_maps

pytest.importorskip("onnx")

Arrays = list[NDArray[np.float32]]


@cache
def decoder(method: Method, size: int, kernel_size: int) -> Callable[[NDArray[np.float32]], Arrays]:
    """Heatmaps (M, size, size) -> points, scores and, for DARK, covariances, by onnxruntime."""
    from onnxruntime import InferenceSession

    builder = GraphBuilder()
    found = add_decoder(Value(builder, "maps"), size, method, kernel_size)
    found.points.named("points")
    found.scores.named("scores")
    outputs: dict[str, Any] = {"points": (FLOAT, ("maps", 2)), "scores": (FLOAT, ("maps",))}
    if found.covariance is not None:
        found.covariance.named("covariance")
        outputs["covariance"] = (FLOAT, ("maps", 4))
    model = builder.model({"maps": (FLOAT, ("maps", size, size))}, outputs, opset=18)
    session = InferenceSession(model.SerializeToString())
    return lambda maps: list(session.run(None, {"maps": maps}))


@pytest.mark.parametrize("method", get_args(Method))
@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), size=st.sampled_from([8, 16, 33]), kernel=st.sampled_from([3, 11, 17]))
@example(seed=0, size=64, kernel=11)
def test_every_map_is_decoded_as_in_torch(method: Method, seed: int, size: int, kernel: int) -> None:
    maps = random_maps(np.random.default_rng(seed), 12, size, size)
    maps = maps[np.isfinite(maps).all((1, 2))]
    if not len(maps):
        return
    options: dict[str, Any] = {"method": method, "kernel_size": kernel}
    single, double = (
        decode_torch(torch.from_numpy(maps), **options, fit_type=kind) for kind in (torch.float32, torch.float64)
    )
    points, scores, *rest = decoder(method, size, kernel)(maps)
    np.testing.assert_array_equal(scores, single.scores)
    # A step that float32 cannot hold differs between any two ways to calculate it; torch's own error shows which.
    steady = np.asarray((single.points - double.points).abs().amax(1) < 1e-5) & ~single.clipped.numpy()
    np.testing.assert_allclose(points[steady], single.points[steady], rtol=0, atol=1e-3)
    if method in ("argmax", "quarter"):
        assert steady.all()
        assert not rest
        return
    known = double.covariance.reshape(-1, 4)
    kept = steady & np.asarray((single.covariance.reshape(-1, 4) - known).abs().amax(1) < 1e-4 * known.abs().amax(1))
    np.testing.assert_allclose(rest[0][kept], known[kept], rtol=1e-2, atol=1e-2)


def test_a_map_without_a_positive_maximum_gives_no_point() -> None:
    maps = np.zeros((2, 16, 16), np.float32)
    maps[1] = -1
    for method in get_args(Method):
        points, scores, *rest = decoder(method, 16, 11)(maps)
        assert (points == -1).all()
        np.testing.assert_array_equal(scores, [0, -1])
        assert all(np.isnan(each).all() for each in rest)
