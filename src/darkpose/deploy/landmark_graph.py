"""The graph of an exported ONNX file: crops -> landmarks in image px.

It holds normalisation, network, flip test, DARK, covariance, and the map back into the image. Only the number of crops
is free, and there is no float64, which many runtimes lack. Batch norms are part of the convolutions, unless the weights
are to stay as they are.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from darkpose.deploy.decoder_graph import add_decoder
from darkpose.deploy.graph_values import Value
from darkpose.image.geometry import FLIP_SHIFT, STRIDE
from darkpose.runtime.card import GraphCard
from darkpose.runtime.graph import CROPS, HEATMAPS, NetworkNodes, halved, held
from darkpose.runtime.graph_builder import FLOAT, HALF, UINT8, GraphBuilder
from darkpose.runtime.graph_layers import BATCH_NORM_EPSILON, add_normalisation
from darkpose.weights.calibrations import Calibration

if TYPE_CHECKING:
    from onnx import ModelProto

MATRICES = "matrices"  # name of the second input
Arrays = Mapping[str, NDArray[Any]]


def landmark_graph(card: GraphCard, arrays: Arrays, *, fold: bool = True) -> "ModelProto":
    """The model that a card describes, in float32 or float16.

    Args:
        card: what is built in; its outputs are those of the model.
        arrays: the weights of the network by name.
        fold: make batch norms a part of the convolutions; else the weights stay as they are, in float16 where that
            loses nothing, and runtimes do the same when they load the model.

    Raises:
        DarkposeError: the package onnx is missing.
    """
    graph, count, size = GraphBuilder(), len(card.schema), card.config.crop_size
    side = size // STRIDE
    heatmaps = _heatmaps(graph, card, folded(arrays) if fold else halved(arrays)).named(HEATMAPS)
    found = add_decoder(heatmaps.reshape(-1, side, side), side, card.method, card.config.kernel_size)
    matrices = Value(graph, MATRICES)
    linear, shift = matrices.op("Slice", _ints(0), _ints(2), _ints(2)), matrices.at([2], axis=2)
    keypoints = (found.points.reshape(-1, count, 2) * float(STRIDE)) @ _turned(linear) + _turned(shift)
    keypoints.named("keypoints")
    found.scores.reshape(-1, count).named("scores")
    if card.calibration is not None:
        assert found.covariance is not None
        spread = _calibrated(found.covariance.reshape(-1, count, 4), card.calibration)
        jacobian = linear.reshape(-1, 1, 2, 2) * float(STRIDE)
        (jacobian @ spread.reshape(-1, count, 2, 2) @ _turned(jacobian, 4)).named("covariance")
    shapes = {"keypoints": [count, 2], "scores": [count], "covariance": [count, 2, 2], HEATMAPS: [count, side, side]}
    crops = UINT8 if card.crops == "uint8" else FLOAT
    model: ModelProto = graph.model(
        {CROPS: (crops, ["faces", size, size, 3]), MATRICES: (FLOAT, ["faces", 2, 3])},
        {name: (FLOAT, ["faces", *shapes[name]]) for name in card.outputs},
        opset=card.opset,
    )
    return model


def folded(arrays: Arrays) -> dict[str, NDArray[np.float32]]:
    """The weights of a network whose batch norms are part of the convolutions before them."""
    kept = {name: np.asarray(values, np.float32) for name, values in arrays.items()}
    for norm in [name.removesuffix(".running_var") for name in arrays if name.endswith(".running_var")]:
        scale, shift, mean, variance = (
            kept.pop(f"{norm}.{part}").astype(np.float64) for part in ("weight", "bias", "running_mean", "running_var")
        )
        kept.pop(f"{norm}.num_batches_tracked", None)
        factor, convolution = scale / np.sqrt(variance + BATCH_NORM_EPSILON), _before(norm)
        weight, bias = kept[f"{convolution}.weight"], kept.get(f"{convolution}.bias", np.float32(0))
        kept[f"{convolution}.weight"] = (weight * factor[:, None, None, None]).astype(np.float32)
        kept[f"{convolution}.bias"] = ((bias - mean) * factor + shift).astype(np.float32)
    return kept


def _before(norm: str) -> str:
    """Name of the convolution before a batch norm: "bn1" follows "conv1", "0.1" follows "0.0"."""
    path, _, name = norm.rpartition(".")
    return f"{path}.{name.replace('bn', 'conv') if name.startswith('bn') else int(name) - 1}"


def _heatmaps(graph: GraphBuilder, card: GraphCard, arrays: Arrays) -> Value:
    """Crops -> heatmaps (N, K, S/4, S/4) float32, of both sides with a flip test."""
    planes = Value(graph, add_normalisation(graph, CROPS, card.config.normalisation))
    if card.flip_test != "off":
        planes = planes.op("Concat", planes.at(_mirrored(card.config.crop_size), axis=3), axis=0)
    half = card.precision == "fp16"
    if half:
        planes = planes.op("Cast", to=HALF)
        arrays = {name: values.astype(np.float16) for name, values in arrays.items()}
    shapes = {name: values.shape for name, values in arrays.items()}
    nodes = NetworkNodes(
        graph,
        card.config,
        shapes,
        held(arrays),
        numbers=HALF if half else FLOAT,
        coarse_first=card.precision != "int8",  # in int8, OpenVINO would be a little slower
    )
    heatmaps = Value(graph, nodes.add_network(planes.name))
    heatmaps = heatmaps.as_float() if half else heatmaps
    return heatmaps if card.flip_test == "off" else _averaged(heatmaps, card)


def _averaged(heatmaps: Value, card: GraphCard) -> Value:
    """Heatmaps (2 N, K, S/4, S/4), the second half of mirrored crops -> their mean, as `runtime.flip.mirror_back`."""
    side = card.config.crop_size // STRIDE
    both = heatmaps.reshape(2, -1, len(card.schema), side, side)
    swapped = both.at(1, axis=0).at([int(index) for index in card.schema.flip_index])
    mirrored = _mirrored(side)
    moved = swapped.at([mirrored[0], *mirrored[:-1]], axis=3)
    if card.flip_test == "exact":
        moved = moved + (swapped.at(mirrored, axis=3) - moved) * (1 - FLIP_SHIFT)
    return (both.at(0, axis=0) + moved) * 0.5


def _calibrated(peaks: Value, calibration: Calibration) -> Value:
    """Calibrated covariances (N, K, 4) in heatmap px^2, as `predict.covariance.calibrated`; NaN stays NaN."""
    floor, scale = (np.array(each, np.float32)[:, None] for each in (calibration.floor, calibration.scale))
    identity = np.array([1, 0, 0, 1], np.float32)
    wider = peaks - calibration.width * identity
    a, b, d = (wider.at([index], axis=2) for index in (0, 1, 3))
    mean, half = (a + d) * 0.5, (a - d) * 0.5
    radius = (half * half + b * b).op("Sqrt")
    high, low = mean + radius, mean - radius
    # The positive part: the projection on the first eigenvector, times its eigenvalue; both positive: all of it.
    least = float(np.finfo(np.float32).tiny)
    one = (wider - low * identity) * high / (high - low).op("Max", least)
    none = (high.op("LessOrEqual", 0.0)).choose(wider * 0.0, wider)
    positive = high.above(0.0).choose(low.above(0.0).choose(wider, one), none)
    return positive * scale + floor * identity


def _turned(matrices: Value, rank: int = 3) -> Value:
    """The last two axes swapped."""
    return matrices.op("Transpose", perm=[*range(rank - 2), rank - 1, rank - 2])


def _mirrored(size: int) -> list[int]:
    return list(range(size))[::-1]


def _ints(*numbers: int) -> NDArray[np.int64]:
    return np.array(numbers, np.int64)
