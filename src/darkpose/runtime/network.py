"""What every runtime gives: a network that takes crops and returns heatmaps."""

from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from darkpose.errors import DarkposeError
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
        """Heatmaps (N, K, S/4, S/4) float32 of crops (N, S, S, 3) uint8 RGB; a tensor where they are on a GPU.

        Raises:
            NetworkError: the runtime cannot run it: the crops have another shape, or there is too little memory.
        """
        ...


class NetworkError(DarkposeError):
    """The runtime cannot run the network: too little memory, a device that is gone. No image is the reason."""


def runtime_error(network: Network, crops: Pixels, error: Exception) -> NetworkError:
    """What a runtime says when it cannot run a network, as one sentence."""
    return NetworkError(f"{network.runtime} cannot run it on crops of shape {crops.shape}: {reason_of(error)}")


def reason_of(error: Exception) -> str:
    """The one line of a runtime's error that tells the reason."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[-1] if lines[0].startswith("Exception from") else lines[0]  # OpenVINO first names its source
