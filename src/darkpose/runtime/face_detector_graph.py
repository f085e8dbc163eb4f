"""The network of the face detector as an ONNX graph: images -> cells.

The graph in the package holds no weights, as those of the landmark networks (see `runtime.graph`). Source of the
architecture: `network.face_detector`.
"""

from collections.abc import Mapping

import numpy as np

from darkpose.image.pixels import Normalisation
from darkpose.runtime.graph import BATCH_NORM_EPSILON, DIGEST_KEY, OPSET, Initializer, LinkedWeights
from darkpose.runtime.graph_builder import FLOAT, UINT8, GraphBuilder
from darkpose.weights.face_detector import CELL_VALUES, FaceDetectorConfig, FaceDetectorFile

IMAGES, CELLS = "images", "cells"  # names of input and output


def face_detector_graph(file: FaceDetectorFile) -> bytes:
    """The graph of a file, whose weights stay there.

    Its input is images (N, H, W, 3) uint8 RGB, H and W multiples of 32; its output cells (N, 7, C) float32, the values
    of `CELL_VALUES`, the finest grid first, each row by row.

    Raises:
        DarkposeError: the package onnx is missing.
    """
    weights, builder = LinkedWeights(file.path), GraphBuilder()
    nodes = FaceDetectorNodes(builder, file.config, weights.shapes, weights.link)
    nodes.add_network()
    inputs = {IMAGES: (UINT8, ("images", "height", "width", 3))}
    outputs = {CELLS: (FLOAT, ("images", len(CELL_VALUES), "places"))}
    return bytes(builder.model(inputs, outputs, opset=OPSET, metadata={DIGEST_KEY: weights.digest}).SerializeToString())


class FaceDetectorNodes:
    """The nodes of the network; each method adds nodes and returns the name of their output.

    Args:
        builder: of the graph.
        config: of the network.
        shapes: of the weights, by name.
        initializer: gives the initializer of a weight.
    """

    def __init__(
        self,
        builder: GraphBuilder,
        config: FaceDetectorConfig,
        shapes: Mapping[str, tuple[int, ...]],
        initializer: Initializer,
    ) -> None:
        self.graph, self.node, self.constant = builder, builder.node, builder.constant
        self.config, self.shapes, self.initializer = config, shapes, initializer

    def add_network(self) -> str:
        """Images (N, H, W, 3) -> cells (N, 7, C)."""
        shape = self.constant("row", np.array([0, len(CELL_VALUES), -1], np.int64))
        rows = [self.node("Reshape", grid, shape, name=f"{grid}.row") for grid in self.add_grids()]
        return self.node("Concat", *rows, name=CELLS, axis=2)

    def add_grids(self) -> list[str]:
        """Images (N, H, W, 3) -> for each of `CELL_STRIDES` a grid (N, 7, H / stride, W / stride)."""
        x = self.normalised(self.config.normalisation)
        x = self.relu(self.convolution(x, "stem", stride=2), "stem")
        features = []
        for stage, depth in enumerate(self.config.depths):
            x = self.entry(x, stage)
            for block in range(1, depth + 1):
                x = self.block(x, f"stages.{stage}.{block}")
            features.append(x)
        levels = [self.convolution(x, f"lateral.{level}") for level, x in enumerate(features[1:])]
        for finer in (1, 0):
            larger = self.enlarged(levels[finer + 1], f"lateral.{finer + 1}.enlarged")
            levels[finer] = self.node("Add", levels[finer], larger, name=f"lateral.{finer}.sum")
        return [self.head(self.block(x, f"smooth.{level}"), level) for level, x in enumerate(levels)]

    def normalised(self, normalisation: Normalisation) -> str:
        """The images as (N, 3, H, W) float32, normalised."""
        std = np.asarray(normalisation.std, np.float32)
        scale = self.constant("scale", 1 / (255 * std))
        offset = self.constant("offset", np.asarray(normalisation.mean, np.float32) / std)
        x = self.node("Cast", IMAGES, name="images.float", to=FLOAT)
        x = self.node("Sub", self.node("Mul", x, scale, name="images.scaled"), offset, name="images.normalised")
        return self.node("Transpose", x, name="images.planes", perm=[0, 3, 1, 2])

    def entry(self, x: str, stage: int) -> str:
        """The first part of a stage, which halves the size."""
        name = f"stages.{stage}.0"
        if stage:
            return self.block(x, name, stride=2)
        return self.relu(self.norm(self.convolution(x, f"{name}.0", stride=2), f"{name}.1"), name)

    def block(self, x: str, name: str, *, stride: int = 1) -> str:
        """A depthwise and a pointwise convolution, with a shortcut where the shape stays."""
        y = self.norm(self.convolution(x, f"{name}.depthwise", stride=stride), f"{name}.depthwise_norm")
        y = self.convolution(self.relu(y, f"{name}.depthwise"), f"{name}.pointwise")
        y = self.norm(y, f"{name}.pointwise_norm")
        width, before = self.shapes[f"{name}.pointwise.weight"][:2]
        if width == before and stride == 1:
            y = self.node("Add", y, x, name=f"{name}.sum")
        return self.relu(y, name)

    def head(self, x: str, level: int) -> str:
        """One grid."""
        return self.convolution(self.block(x, f"heads.{level}.0"), f"heads.{level}.1")

    def weight(self, name: str) -> str:
        """A weight in single precision."""
        tensor = self.initializer(name)
        cast = tensor.data_type != FLOAT
        if cast:
            tensor.name = f"{name}.half"
        self.graph.initializers.append(tensor)
        return self.node("Cast", tensor.name, name=name, to=FLOAT) if cast else name

    def convolution(self, x: str, name: str, *, stride: int = 1) -> str:
        """A convolution, padded so that only the stride changes the size."""
        shape = self.shapes[f"{name}.weight"]
        inputs = [x, *(self.weight(each) for each in (f"{name}.weight", f"{name}.bias") if each in self.shapes)]
        groups = shape[0] if name.endswith(".depthwise") else 1
        sizes = {"kernel_shape": [shape[-1]] * 2, "strides": [stride] * 2, "pads": [shape[-1] // 2] * 4}
        return self.node("Conv", *inputs, name=name, group=groups, **sizes)

    def norm(self, x: str, name: str) -> str:
        """Batch normalisation with the running statistics."""
        parts = [self.weight(f"{name}.{part}") for part in ("weight", "bias", "running_mean", "running_var")]
        return self.node("BatchNormalization", x, *parts, name=name, epsilon=BATCH_NORM_EPSILON)

    def relu(self, x: str, name: str) -> str:
        """max(x, 0)."""
        return self.node("Relu", x, name=f"{name}.relu")

    def enlarged(self, x: str, name: str) -> str:
        """Twice as large, each cell repeated."""
        scales = self.constant("scales", np.array([1, 1, 2, 2], np.float32))
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self.node("Resize", x, "", scales, name=name, **how)
