"""The network by onnxruntime."""

from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from darkpose.errors import DarkposeError
from darkpose.image.pixels import Pixels
from darkpose.runtime.engine import has_nvidia_driver
from darkpose.runtime.graph import CROPS, HEATMAPS
from darkpose.runtime.network import PerProcess, Runtime

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


class OnnxNetwork:
    """A graph run by onnxruntime.

    Attributes:
        name: version and execution provider, for people.
    """

    runtime: Runtime = "onnxruntime"

    def __init__(
        self, graph: Path | bytes, *, threads: int | None = None, providers: Sequence[str] = (), crops: str = "uint8"
    ) -> None:
        """Load a graph.

        Args:
            graph: ONNX file, or the bytes of one, with an input "crops" and an output "heatmaps". An input "matrices",
                as exported files have, gets identity matrices.
            threads: CPU threads; None: onnxruntime chooses.
            providers: execution providers, best first; none: the CPU.
            crops: type of the input.

        Raises:
            DarkposeError: onnxruntime lacks a provider.
        """
        known = onnxruntime.get_available_providers()
        unknown = [name for name in providers if name not in known]
        if unknown:
            raise DarkposeError(f"this onnxruntime has no provider {unknown[0]!r}; it has {', '.join(known)}")
        self._crops = crops
        self._session = PerProcess(partial(_open, graph, threads, tuple(providers) or (CPU,)))
        session = self._session.get()
        self._matrices = any(each.name == "matrices" for each in session.get_inputs())
        told = f", {threads} thread{'' if threads == 1 else 's'}" if threads else ""
        self.name = f"onnxruntime {version('onnxruntime')} ({session.get_providers()[0]}{told})"

    def __call__(self, crops: Pixels) -> NDArray[np.float32]:
        """Heatmaps (N, K, S/4, S/4) of crops (N, S, S, 3) uint8 RGB."""
        inputs: dict[str, NDArray[Any]] = {CROPS: crops.astype(self._crops, copy=False)}
        if self._matrices:
            inputs["matrices"] = np.tile(np.eye(2, 3, dtype=np.float32), (len(crops), 1, 1))
        options = onnxruntime.RunOptions()
        options.only_execute_path_to_fetches = True
        (heatmaps,) = self._session.get().run([HEATMAPS], inputs, options)
        return heatmaps  # type: ignore[no-any-return]


def has_cuda() -> bool:
    """Whether this onnxruntime can use an NVIDIA GPU that is here."""
    return CUDA in onnxruntime.get_available_providers() and has_nvidia_driver()


def _open(graph: Path | bytes, threads: int | None, providers: tuple[str, ...]) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=list(providers))
