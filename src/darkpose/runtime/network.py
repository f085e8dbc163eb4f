"""What every runtime gives: a network that takes crops and returns heatmaps."""

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from darkpose.image.pixels import Pixels

if TYPE_CHECKING:
    from torch import Tensor

Runtime = Literal["torch", "onnxruntime", "openvino"]
NumberType = Literal["fp32", "bf16"]

Value = TypeVar("Value")


class Network(Protocol):
    """Crops -> heatmaps.

    Attributes:
        name: runtime, version and settings, for people: "onnxruntime 1.32.0 (CPUExecutionProvider)", ...
        runtime: what runs it.
    """

    @property
    def name(self) -> str:
        """Runtime, version and settings, for people."""
        ...

    @property
    def runtime(self) -> Runtime:
        """What runs the network."""
        ...

    def __call__(self, crops: Pixels) -> "NDArray[np.float32] | Tensor":
        """Heatmaps (N, K, S/4, S/4) float32 of crops (N, S, S, 3) uint8 RGB; a tensor where they are on a GPU."""
        ...


class PerProcess(Generic[Value]):
    """A value that every process makes for itself: after a fork and after unpickling it is made again.

    Threads of a runtime do not exist in a forked process, so that it would wait for them for ever.
    """

    def __init__(self, make: Callable[[], Value]) -> None:
        self._make, self._lock = make, threading.Lock()
        self._made: dict[int, Value] = {}  # by process; the parent's stays here, as freeing it would wait for threads

    def get(self) -> Value:
        """The value of this process."""
        with self._lock:
            here = os.getpid()
            if here not in self._made:
                self._made[here] = self._make()
            return self._made[here]

    def __reduce__(self) -> tuple[type, tuple[Callable[[], Value]]]:
        return type(self), (self._make,)
