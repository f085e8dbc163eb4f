"""The network by onnxruntime."""

import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from darkpose.errors import DarkposeError
from darkpose.image.pixels import Pixels
from darkpose.runtime.network import Runtime, runtime_error

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


class OnnxNetwork:
    """A graph run by onnxruntime; every process opens its own session, after a fork or unpickling, too.

    Attributes:
        name: version and execution provider, for people.
    """

    runtime: Runtime = "onnxruntime"

    def __init__(
        self,
        graph: Path | bytes,
        *,
        threads: int | None = None,
        providers: Sequence[str] = (),
        crops: str = "uint8",
        ends: tuple[str, str] = ("crops", "heatmaps"),
    ) -> None:
        """Load a graph.

        Args:
            graph: ONNX file, or the bytes of one. An input "matrices", as exported files have, gets identity matrices.
            threads: CPU threads; None: onnxruntime chooses.
            providers: execution providers, best first; none: the CPU.
            crops: type of the input.
            ends: names of input and output.

        Raises:
            DarkposeError: onnxruntime lacks a provider.
        """
        known = onnxruntime.get_available_providers()
        unknown = [name for name in providers if name not in known]
        if unknown:
            raise DarkposeError(
                f"this onnxruntime has no provider {unknown[0]!r}; it has {', '.join(known)}; others come with other "
                "packages, CUDAExecutionProvider with onnxruntime-gpu"
            )
        self._graph, self._threads, self._providers, self._crops = graph, threads, list(providers) or [CPU], crops
        self._ends = ends
        self._left: list[Any] = []  # sessions of a parent process: freeing one would wait for its threads
        self._open()
        told = f", {threads} thread{'' if threads == 1 else 's'}" if threads else ""
        self.name = f"onnxruntime {version('onnxruntime')} ({self._session.get_providers()[0]}{told})"

    def _open(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads or 0
        options.log_severity_level = 4  # errors are raised, and darkpose reports them
        self._process = os.getpid()
        self._session: Any = onnxruntime.InferenceSession(self._graph, options, providers=self._providers)
        self._matrices = any(each.name == "matrices" for each in self._session.get_inputs())

    def __call__(self, crops: Pixels) -> NDArray[np.float32]:
        """Heatmaps (N, K, S/4, S/4) of crops (N, S, S, 3) uint8 RGB."""
        if self._process != os.getpid():
            self._left.append(self._session)
            self._open()
        inputs: dict[str, NDArray[Any]] = {self._ends[0]: crops.astype(self._crops, copy=False)}
        if self._matrices:
            inputs["matrices"] = np.tile(np.eye(2, 3, dtype=np.float32), (len(crops), 1, 1))
        options = onnxruntime.RunOptions()
        options.only_execute_path_to_fetches = True
        try:
            (heatmaps,) = self._session.run([self._ends[1]], inputs, options)
        except Exception as error:  # onnxruntime has types of its own
            raise runtime_error(self, crops, error) from error
        return heatmaps  # type: ignore[no-any-return]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_session": None, "_left": [], "_process": 0}
