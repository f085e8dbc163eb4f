"""The network of the face detector as an ONNX graph: images -> cells.

The graph in the package holds no weights, as those of the landmark networks (see `runtime.graph`). Source of the
architecture: `network.face_detector`.
"""

from collections.abc import Mapping

import numpy as np

from darkpose.runtime.graph import DIGEST_KEY, OPSET, LinkedWeights, held
from darkpose.runtime.graph_builder import FLOAT, UINT8, GraphBuilder
from darkpose.runtime.graph_layers import Initializer, LayerNodes, add_normalisation
from darkpose.weights.face_detector import CELL_VALUES, SCALES, FaceDetectorConfig, FaceDetectorFile

IMAGES, CELLS = "images", "cells"  # names of input and output


def face_detector_graph(file: FaceDetectorFile) -> bytes:
    """The graph of a file, whose weights stay there.

    Its input is images (N, H, W, 3) uint8 RGB, its output cells (N, 7, C) float32, see
    `runtime.face_detector.open_cells`.

    Raises:
        DarkposeError: the package onnx is missing.
    """
    weights = LinkedWeights(file.path)
    return _whole(file.config, weights.shapes, weights.link, {DIGEST_KEY: weights.digest})


def embedded_face_detector_graph(file: FaceDetectorFile) -> bytes:
    """The graph of a file, which holds the weights, in float32; input and output as of `face_detector_graph`.

    Raises:
        DarkposeError: the package onnx is missing, or the file cannot be read.
    """
    arrays = file.arrays()
    return _whole(file.config, {name: values.shape for name, values in arrays.items()}, held(arrays), {})


def _whole(
    config: FaceDetectorConfig,
    shapes: Mapping[str, tuple[int, ...]],
    initializer: Initializer,
    metadata: Mapping[str, str],
) -> bytes:
    """The bytes of a model: images -> cells."""
    builder = GraphBuilder()
    FaceDetectorNodes(builder, config, shapes, initializer).add_network()
    inputs = {IMAGES: (UINT8, ("images", "height", "width", 3))}
    outputs = {CELLS: (FLOAT, ("images", len(CELL_VALUES), "places"))}
    return bytes(builder.model(inputs, outputs, opset=OPSET, metadata=metadata).SerializeToString())


class FaceDetectorNodes(LayerNodes):
    """The nodes of the network; each method adds nodes and returns the name of their output.

    Args:
        builder, shapes, initializer: see `LayerNodes`.
        config: of the network.
    """

    def __init__(
        self,
        builder: GraphBuilder,
        config: FaceDetectorConfig,
        shapes: Mapping[str, tuple[int, ...]],
        initializer: Initializer,
    ) -> None:
        super().__init__(builder, shapes, initializer)
        self.config = config

    def add_network(self) -> str:
        """Images (N, H, W, 3) -> cells (N, 7, C)."""
        shape = self.constant("row", np.array([0, len(CELL_VALUES), -1], np.int64))
        rows = [self.graph.node("Reshape", grid, shape, name=f"{grid}.row") for grid in self.add_scales()]
        return self.graph.node("Concat", *rows, name=CELLS, axis=2)

    def add_scales(self, images: str = IMAGES) -> list[str]:
        """Images (N, H, W, 3) -> for each of `SCALES` a grid for each of `CELL_STRIDES`."""
        planes, grids = add_normalisation(self.graph, images, self.config.normalisation), []
        for scale in SCALES:
            self.prefix, x, size = f"scale{scale}.", planes, [scale, scale]
            if scale > 1:
                x = self.node("AveragePool", planes, name="planes", kernel_shape=size, strides=size)
            grids += self.add_grids(x)
        return grids

    def add_grids(self, planes: str) -> list[str]:
        """Planes (N, 3, H, W) -> for each of `CELL_STRIDES` a grid (N, 7, H / stride, W / stride)."""
        x = self.convolution_norm(planes, "stem.0", "stem.1", stride=2, relu=True)
        features = []
        for stage, depth in enumerate(self.config.depths):
            name = f"stages.{stage}"
            x = self.convolution_norm(x, f"{name}.0.0", f"{name}.0.1", stride=2, relu=True)
            for block in range(1, depth + 1):
                x = self.basic_block(x, f"{name}.{block}")
            features.append(x)
        levels = [self.convolution(x, f"lateral.{level}") for level, x in enumerate(features[1:])]
        for finer in (1, 0):
            larger = self.enlarged(levels[finer + 1], f"lateral.{finer + 1}")
            levels[finer] = self.sum(levels[finer], larger, f"lateral.{finer}")
        return [self.head(x, f"heads.{level}") for level, x in enumerate(levels)]

    def head(self, x: str, name: str) -> str:
        """One grid."""
        for layer in ("0", "1"):
            x = self.convolution_norm(x, f"{name}.{layer}.0", f"{name}.{layer}.1", relu=True)
        return self.convolution(x, f"{name}.2")

    def enlarged(self, x: str, name: str) -> str:
        """Twice as large, each cell repeated."""
        scales = self.constant("scales", np.array([1, 1, 2, 2], np.float32))
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self.node("Resize", x, "", scales, name=f"{name}.enlarged", **how)
