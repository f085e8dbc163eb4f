"""What every runtime gives: a network that takes crops and returns heatmaps."""

from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from darkpose.image.pixels import Pixels

if TYPE_CHECKING:
    from torch import Tensor

Runtime = Literal["torch", "onnxruntime", "openvino"]
NumberType = Literal["fp32", "bf16"]


class Network(Protocol):
    """Crops -> heatmaps."""

    name: str  # runtime, version and settings, for people: "onnxruntime 1.32.0 (CPUExecutionProvider)"
    runtime: Runtime

    def __call__(self, crops: Pixels) -> "NDArray[np.float32] | Tensor":
        """Heatmaps (N, K, S/4, S/4) float32 of crops (N, S, S, 3) uint8 RGB; a tensor where they are on a GPU."""
        ...
