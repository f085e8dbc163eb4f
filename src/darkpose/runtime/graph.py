"""The network as an ONNX graph, built from its configuration.

The graphs in the package hold no weights: each initializer is a byte range of the safetensors file (ONNX external
data), and weights in half precision are followed by a Cast. Graphs of other weights hold them. Batch norms are not
folded; the runtimes do that when they load a graph.

Source of the architecture: `network.hrnet`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkpose.errors import DarkposeError
from darkpose.files.json_text import parse_json
from darkpose.image.geometry import STRIDE
from darkpose.runtime.graph_builder import FLOAT, HALF, UINT8, GraphBuilder, import_onnx
from darkpose.runtime.graph_layers import BATCH_NORM_EPSILON, Initializer, LayerNodes, add_normalisation
from darkpose.weights.checkpoint import LAST_LAYER, CheckpointConfig, CheckpointFile

OPSET = 20
CROPS, HEATMAPS = "crops", "heatmaps"  # names of input and output
DIGEST_KEY = "weights_sha256"  # of the metadata of a linked graph: SHA-256 of the safetensors file
_TYPES = {"F32": (FLOAT, 4), "F16": (HALF, 2)}


class LinkedWeights:
    """The weights of a safetensors file as initializers that point into it.

    Args:
        path: of the file; a graph refers to it by its name, so both must be in one folder.
        rows: of the last layer, those of one schema.

    Attributes:
        shapes: of the weights in the file, by name.
        digest: SHA-256 of the file, in hex.
    """

    def __init__(self, path: Path, rows: slice = slice(None)) -> None:
        self._onnx, data, self._path, self._rows = import_onnx(), path.read_bytes(), path, rows
        length = int.from_bytes(data[:8], "little")
        self._header, self._start = parse_json(data[8 : 8 + length].decode()), 8 + length
        self.shapes = {name: tuple(entry["shape"]) for name, entry in self._header.items() if name != "__metadata__"}
        self.digest = hashlib.sha256(data).hexdigest()

    def link(self, name: str) -> Any:
        """The initializer of one weight, a byte range of the file."""
        entry = self._header[name]
        if entry["dtype"] not in _TYPES:
            raise DarkposeError(f"{self._path}: expected float32 or float16, {name} is {entry['dtype']}")
        kind, size = _TYPES[entry["dtype"]]
        (first, last), shape = entry["data_offsets"], list(entry["shape"])
        if name.startswith(LAST_LAYER):
            start, stop, _ = self._rows.indices(shape[0])
            row = size * int(np.prod(shape[1:]))
            first, last, shape[0] = first + start * row, first + stop * row, stop - start
        tensor = self._onnx.TensorProto(name=name, data_type=kind, dims=shape)
        tensor.data_location = self._onnx.TensorProto.EXTERNAL
        for key, value in {"location": self._path.name, "offset": self._start + first, "length": last - first}.items():
            tensor.external_data.add(key=key, value=str(value))
        return tensor


def linked_graph(weights: CheckpointFile) -> bytes:
    """An ONNX graph whose weights stay in the safetensors file.

    Its input is crops (N, S, S, 3) uint8 RGB, its output heatmaps (N, K, S/4, S/4) float32.

    Args:
        weights: the file; the graph refers to it by its name, so both must be in one folder.

    Raises:
        DarkposeError: the package onnx is missing, or the file has weights in another type than float32 or float16.
    """
    file = LinkedWeights(weights.path, weights.rows)
    return _whole(weights.config, file.shapes, file.link, {DIGEST_KEY: file.digest})


def embedded_graph(config: CheckpointConfig, arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """An ONNX graph that holds its weights, float32 by name; input and output as of `linked_graph`.

    Raises:
        DarkposeError: the package onnx is missing.
    """
    shapes = {name: values.shape for name, values in arrays.items()}
    return _whole(config, shapes, held(arrays), {})


def held(arrays: Mapping[str, NDArray[Any]]) -> Initializer:
    """Initializers that hold arrays."""
    onnx = import_onnx()
    return lambda name: onnx.numpy_helper.from_array(arrays[name], name)


def halved(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The same weights, in float16 where that loses nothing."""
    found = dict(arrays)
    for name, values in arrays.items():
        with np.errstate(over="ignore"):
            half = np.asarray(values).astype(np.float16)
        if values.dtype == np.float32 and np.array_equal(half, values):
            found[name] = half
    return found


def _whole(
    config: CheckpointConfig, shapes: Mapping[str, tuple[int, ...]], initializer: Initializer, metadata: dict[str, str]
) -> bytes:
    """The bytes of a model: crops -> heatmaps."""
    builder, size = GraphBuilder(), config.crop_size
    planes = add_normalisation(builder, CROPS, config.normalisation)
    heatmaps = NetworkNodes(builder, config, shapes, initializer).add_network(planes)
    builder.node("Identity", heatmaps, name=HEATMAPS)
    shape = ("faces", config.network.keypoints, size // STRIDE, size // STRIDE)
    inputs, outputs = {CROPS: (UINT8, ("faces", size, size, 3))}, {HEATMAPS: (FLOAT, shape)}
    return bytes(builder.model(inputs, outputs, opset=OPSET, metadata=metadata).SerializeToString())


class NetworkNodes(LayerNodes):
    """The nodes of HRNetV2; each method adds nodes and returns the name of their output.

    Args:
        builder, shapes, initializer, numbers: see `LayerNodes`.
        config: of the weights.
        coarse_first: mix the channels of the coarsest branch before it is enlarged (see `head`).
    """

    def __init__(
        self,
        builder: GraphBuilder,
        config: CheckpointConfig,
        shapes: Mapping[str, tuple[int, ...]],
        initializer: Initializer,
        *,
        numbers: int = FLOAT,
        coarse_first: bool = True,
    ) -> None:
        super().__init__(builder, shapes, initializer, numbers=numbers)
        self.config, self.coarse_first = config, coarse_first

    def add_network(self, planes: str) -> str:
        """Planes (N, 3, S, S) -> heatmaps (N, K, S/4, S/4)."""
        x = self.convolution_norm(planes, "backbone.conv1", "backbone.bn1", stride=2, relu=True)
        x = self.convolution_norm(x, "backbone.conv2", "backbone.bn2", stride=2, relu=True)
        for block in range(4):
            x = self.bottleneck(x, f"backbone.layer1.{block}")
        branches = [x]
        for stage, modules in enumerate(self.config.network.modules, start=2):
            branches = self.transition(branches, f"backbone.transition{stage - 1}")
            for module in range(modules):
                branches = self.exchange(branches, f"backbone.stage{stage}.{module}")
        return self.head(branches) if self.coarse_first else self.plain_head(branches)

    def upsample(self, x: str, factor: int, name: str) -> str:
        """Bilinear, half-pixel centres."""
        scales = self.constant(f"scales.{factor}", np.array([1, 1, factor, factor], np.float32))
        mode = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        return self.node("Resize", x, "", scales, name=f"{name}.upsample", **mode)

    def bottleneck(self, x: str, name: str) -> str:
        """1x1, 3x3, 1x1 residual block."""
        y = self.convolution_norm(x, f"{name}.conv1", f"{name}.bn1", relu=True)
        y = self.convolution_norm(y, f"{name}.conv2", f"{name}.bn2", relu=True)
        y = self.convolution_norm(y, f"{name}.conv3", f"{name}.bn3")
        if f"{name}.downsample.0.weight" in self.shapes:
            x = self.convolution_norm(x, f"{name}.downsample.0", f"{name}.downsample.1")
        return self.relu(self.sum(y, x, name), name)

    def transition(self, branches: Sequence[str], name: str) -> list[str]:
        """Keep the branches, matching their widths, and open a new one at half the lowest resolution."""
        inputs, outputs = [*branches, branches[-1]], []
        for number, x in enumerate(inputs):
            if number == len(branches):
                layer, stride = f"{name}.{number}.0", 2
            else:
                layer, stride = f"{name}.{number}", 1
            if f"{layer}.0.weight" in self.shapes:
                x = self.convolution_norm(x, f"{layer}.0", f"{layer}.1", stride=stride, relu=True)
            outputs.append(x)
        return outputs

    def exchange(self, branches: Sequence[str], name: str) -> list[str]:
        """Residual blocks on every branch; then every branch receives the sum of all."""
        found = []
        for number, x in enumerate(branches):
            for block in range(self.config.network.blocks):
                x = self.basic_block(x, f"{name}.branches.{number}.{block}")
            found.append(x)
        outputs = []
        for target in range(len(found)):
            layer, total = f"{name}.fuse_layers.{target}", ""
            for source, x in enumerate(found):
                y = self.path(x, f"{layer}.{source}", source, target)
                total = self.sum(total, y, f"{layer}.{source}.sum") if total else y
            outputs.append(self.relu(total, layer))
        return outputs

    def path(self, x: str, name: str, source: int, target: int) -> str:
        """One branch brought to the resolution and width of another."""
        if source == target:
            return x
        if source > target:
            y = self.convolution_norm(x, f"{name}.0", f"{name}.1")
            return self.upsample(y, 2 ** (source - target), name)
        for step in range(target - source):
            last = step == target - source - 1
            x = self.convolution_norm(x, f"{name}.{step}.0", f"{name}.{step}.1", stride=2, relu=not last)
        return x

    def plain_head(self, branches: Sequence[str]) -> str:
        """The branches enlarged, joined and mixed by 1x1 convolutions."""
        large = [x if not i else self.upsample(x, 2**i, f"head.branch{i}") for i, x in enumerate(branches)]
        joined = self.node("Concat", *large, name="head.joined", axis=1)
        mixed = self.convolution_norm(joined, "head.0", "head.1", relu=True)
        return self.convolution(mixed, LAST_LAYER.rstrip("."))

    def head(self, branches: Sequence[str]) -> str:
        """The branches joined and mixed by 1x1 convolutions; the coarsest is mixed before it is enlarged.

        Mixing (1x1) and enlarging are linear and commute, and mixing 8x8 cells instead of 64x64 is cheaper. The batch
        norm becomes part of the mixing: constants that the runtimes compute once.
        """
        weight, bias = self.folded_mixing()
        finest = len(branches) - 1
        fine = [x if not i else self.upsample(x, 2**i, f"head.branch{i}") for i, x in enumerate(branches[:finest])]
        joined = self.node("Concat", *fine, name="head.joined", axis=1)
        width = sum(self.config.network.widths[:finest])
        axes = self.constant("head.axis", np.array([1], np.int64))
        ends = [self.constant(f"head.{name}", np.array([at], np.int64)) for name, at in (("0", 0), ("fine", width))]
        ends.append(self.constant("head.all", np.array([sum(self.config.network.widths)], np.int64)))
        of_fine = self.node("Slice", weight, ends[0], ends[1], axes, name="head.fine_weight")
        of_coarse = self.node("Slice", weight, ends[1], ends[2], axes, name="head.coarse_weight")
        mixed = self.node("Conv", joined, of_fine, bias, name="head.mixed_fine", kernel_shape=[1, 1])
        coarse = self.node("Conv", branches[-1], of_coarse, name="head.mixed_coarse", kernel_shape=[1, 1])
        total = self.sum(mixed, self.upsample(coarse, 2**finest, "head.coarse"), "head.mixed")
        return self.convolution(self.relu(total, "head.mixed"), LAST_LAYER.rstrip("."))

    def folded_mixing(self) -> tuple[str, str]:
        """Weight and bias of the first convolution of the head with its batch norm."""
        if "head.1.weight" not in self.shapes:
            return self.weight("head.0.weight"), self.weight("head.0.bias")
        scale, shift, mean, variance = (
            self.weight(f"head.1.{part}") for part in ("weight", "bias", "running_mean", "running_var")
        )
        epsilon = self.constant("head.epsilon", np.float32(BATCH_NORM_EPSILON))
        shape = self.constant("head.shape", np.array([-1, 1, 1, 1], np.int64))
        deviation = self.node("Sqrt", self.node("Add", variance, epsilon, name="head.var"), name="head.deviation")
        factor = self.node("Div", scale, deviation, name="head.factor")
        per_output = self.node("Reshape", factor, shape, name="head.factor4")
        weight = self.node("Mul", self.weight("head.0.weight"), per_output, name="head.weight")
        centred = self.node("Sub", self.weight("head.0.bias"), mean, name="head.centred")
        bias = self.node("Add", self.node("Mul", centred, factor, name="head.scaled"), shift, name="head.bias")
        return weight, bias
