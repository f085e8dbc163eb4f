"""Layers of networks as ONNX nodes, with the weights that a file or arrays give."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from darkpose.image.pixels import Normalisation
from darkpose.runtime.graph_builder import FLOAT, GraphBuilder

BATCH_NORM_EPSILON = 1e-5  # of torch.nn.BatchNorm2d
Initializer = Callable[[str], Any]  # name of a weight -> onnx.TensorProto


class LayerNodes:
    """The nodes of layers; each method adds nodes and returns the name of their output.

    Args:
        builder: of the graph.
        shapes: of the weights, by name. Where a batch norm has none, it is part of its convolution.
        initializer: gives the initializer of a weight.
        numbers: type that the network calculates in, `FLOAT` or `HALF`; other weights are followed by a Cast.

    Attributes:
        prefix: of the names of nodes that are added; those of weights and constants have none.
    """

    def __init__(
        self,
        builder: GraphBuilder,
        shapes: Mapping[str, tuple[int, ...]],
        initializer: Initializer,
        *,
        numbers: int = FLOAT,
    ) -> None:
        self.graph, self.constant = builder, builder.constant
        self.shapes, self.initializer, self.numbers = shapes, initializer, numbers
        self.prefix, self._weights = "", dict[str, str]()

    def node(self, operator: str, *inputs: str, name: str, **attributes: Any) -> str:
        """Add a node, whose name gets the prefix."""
        return self.graph.node(operator, *inputs, name=self.prefix + name, **attributes)

    def weight(self, name: str) -> str:
        """A weight in the type of the network; added once."""
        if name not in self._weights:
            tensor = self.initializer(name)
            cast = tensor.data_type != self.numbers
            if cast:
                tensor.name = f"{name}.half"
            self.graph.initializers.append(tensor)
            self._weights[name] = self.graph.node("Cast", tensor.name, name=name, to=self.numbers) if cast else name
        return self._weights[name]

    def convolution(self, x: str, name: str, *, stride: int = 1) -> str:
        """A convolution, padded so that only the stride changes the size."""
        kernel = self.shapes[f"{name}.weight"][-1]
        inputs = [x, *(self.weight(each) for each in (f"{name}.weight", f"{name}.bias") if each in self.shapes)]
        pads = [kernel // 2] * 4
        return self.node("Conv", *inputs, name=name, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=pads)

    def batch_norm(self, x: str, name: str) -> str:
        """Batch normalisation with the running statistics, if it is not part of the convolution."""
        if f"{name}.weight" not in self.shapes:
            return x
        parts = [self.weight(f"{name}.{part}") for part in ("weight", "bias", "running_mean", "running_var")]
        return self.node("BatchNormalization", x, *parts, name=name, epsilon=BATCH_NORM_EPSILON)

    def convolution_norm(self, x: str, convolution: str, norm: str, *, stride: int = 1, relu: bool = False) -> str:
        """Convolution, batch norm and, if asked for, ReLU."""
        y = self.batch_norm(self.convolution(x, convolution, stride=stride), norm)
        return self.relu(y, norm) if relu else y

    def relu(self, x: str, name: str) -> str:
        """max(x, 0)."""
        return self.node("Relu", x, name=f"{name}.relu")

    def sum(self, a: str, b: str, name: str) -> str:
        """a + b."""
        return self.node("Add", a, b, name=f"{name}.add")

    def basic_block(self, x: str, name: str) -> str:
        """Two 3x3 convolutions around an identity."""
        y = self.convolution_norm(x, f"{name}.conv1", f"{name}.bn1", relu=True)
        y = self.convolution_norm(y, f"{name}.conv2", f"{name}.bn2")
        return self.relu(self.sum(y, x, name), name)


def add_normalisation(builder: GraphBuilder, pixels: str, normalisation: Normalisation) -> str:
    """Pixels (N, H, W, 3) uint8, an input, as (N, 3, H, W) float32, normalised as `Normalisation` does."""
    std = np.asarray(normalisation.std, np.float32)
    scale = builder.constant("scale", 1 / (255 * std))
    offset = builder.constant("offset", np.asarray(normalisation.mean, np.float32) / std)
    x = builder.node("Cast", pixels, name=f"{pixels}.float", to=FLOAT)
    x = builder.node("Mul", x, scale, name=f"{pixels}.scaled")
    x = builder.node("Sub", x, offset, name=f"{pixels}.normalised")
    return builder.node("Transpose", x, name=f"{pixels}.planes", perm=[0, 3, 1, 2])
