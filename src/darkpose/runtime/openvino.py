"""The network by OpenVINO."""

import io
import os
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkpose.errors import DarkposeError
from darkpose.image.pixels import Pixels
from darkpose.runtime.network import NumberType, Runtime, runtime_error

FEW = 3  # crops that are run one by one
_TO_FLOAT = ("Convert", "Convert", "Subtract", "Multiply")  # operations after a rounding to 8 bits


class OpenVinoNetwork:
    """A graph run by OpenVINO; every process compiles its own, after a fork or unpickling, too.

    Attributes:
        name: version, device and number type, for people.
    """

    runtime: Runtime = "openvino"

    def __init__(
        self,
        graph: Path | bytes,
        *,
        threads: int | None = None,
        devices: Sequence[str] = (),
        numbers: NumberType = "fp32",
        crops: str = "uint8",
        int8: bool = False,
        ends: tuple[str, str] = ("crops", "heatmaps"),
    ) -> None:
        """Load a graph.

        Args:
            graph: ONNX file, or the bytes of one.
            threads: CPU threads; None: OpenVINO chooses.
            devices: OpenVINO's devices, best first, among several of which its AUTO chooses; none: the CPU.
            numbers: "bf16": calculate in bfloat16 where the device can.
            crops: type of the input.
            int8: the graph is quantised.
            ends: names of the input and of the tensor that is wanted.

        Raises:
            DarkposeError: OpenVINO lacks a device.
        """
        known = openvino_core().available_devices
        unknown = [name for name in devices if name.split(".")[0] not in {each.split(".")[0] for each in known}]
        if unknown:
            raise DarkposeError(f"this OpenVINO has no device {unknown[0]!r}; it has {', '.join(known)}")
        device = "AUTO:" + ",".join(devices) if len(devices) > 1 else "".join(devices) or "CPU"
        hints = {"INFERENCE_PRECISION_HINT": "bf16" if numbers == "bf16" else "f32"}
        if threads:
            hints["INFERENCE_NUM_THREADS"] = str(threads)
        self._graph, self._device, self._hints, self._crops, self._int8 = graph, device, hints, crops, int8
        self._ends = ends
        self._left: list[Any] = []  # of a parent process: freeing it would wait for its threads
        self._open()
        told = self._compiled.facts(numbers)
        if threads:
            told.append(f"{threads} thread{'' if threads == 1 else 's'}")
        self.name = f"openvino {version('openvino')} ({', '.join(told)})"

    def _open(self) -> None:
        self._process = os.getpid()
        self._compiled: Any = _Compiled(self._graph, self._device, self._hints, self._int8, self._ends)

    def __call__(self, crops: Pixels) -> NDArray[np.float32]:
        """Heatmaps (N, K, S/4, S/4) of crops (N, S, S, 3) uint8 RGB."""
        if self._process != os.getpid():
            self._left.append(self._compiled)
            self._open()
        try:
            heatmaps: NDArray[np.float32] = self._compiled(crops.astype(self._crops, copy=False))
        except (RuntimeError, MemoryError) as error:
            raise runtime_error(self, crops, error) from error
        return heatmaps

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_compiled": None, "_left": [], "_process": 0}


class _Compiled:
    """A model compiled for one crop and, when many come, for any number; each holds the weights once more."""

    def __init__(
        self, graph: Path | bytes, device: str, hints: dict[str, str], int8: bool, ends: tuple[str, str]
    ) -> None:
        model = openvino_core().read_model(io.BytesIO(graph) if isinstance(graph, bytes) else graph)
        if int8:
            keep_sums_unrounded(model)
        self._model, self._device, self._hints, self._lock = part_between(model, *ends), device, hints, Lock()
        self._input = ends[0]
        self._requests: dict[int, Any] = {}
        self._request(1)

    def _request(self, count: int) -> Any:
        """For one crop, which is faster with a fixed shape, or for any number (-1)."""
        if count not in self._requests:
            model = self._model.clone()
            model.reshape({port: [count, *list(port.get_partial_shape())[1:]] for port in model.inputs})
            self._requests[count] = (
                openvino_core().compile_model(model, self._device, self._hints).create_infer_request()
            )
        return self._requests[count]

    def __call__(self, crops: NDArray[Any]) -> NDArray[np.float32]:
        with self._lock:  # a request serves one thread; it uses all CPU threads anyway
            parts = np.split(crops, len(crops)) if 1 <= len(crops) <= FEW else [crops]
            request = self._request(len(parts[0]) if len(parts[0]) == 1 else -1)
            found = [request.infer({self._input: part}, share_inputs=True)[0] for part in parts]
            return np.concatenate(found)

    def facts(self, numbers: NumberType) -> list[str]:
        """Devices and the number type: the one that the device tells, or the one asked for (AUTO does not tell)."""
        compiled, hint = self._requests[1].get_compiled_model(), "INFERENCE_PRECISION_HINT"
        devices = [str(each) for each in compiled.get_property("EXECUTION_DEVICES")]
        if hint not in compiled.get_property("SUPPORTED_PROPERTIES"):
            return [*devices, numbers]
        return [*devices, str(compiled.get_property(hint).get_type_name()).replace("f32", "fp32")]


def part_between(model: Any, start: str, end: str) -> Any:
    """The part of a model between an input and a tensor, by their names.

    Raises:
        DarkposeError: it lacks one of them.
    """
    import openvino

    last = [port for op in model.get_ops() for port in op.outputs() if end in port.get_names()]
    first = [port.get_node() for port in model.inputs if start in port.get_names()]
    if not last or not first:
        raise DarkposeError(f'expected a graph with an input "{start}" and a tensor "{end}"')
    return openvino.Model(last[:1], first)


def keep_sums_unrounded(model: Any) -> None:
    """Let sums in an int8 model take convolutions as they are, not rounded to 8 bits and back.

    onnxruntime needs results of 8 bits to calculate a convolution in whole numbers. OpenVINO does not: it adds within
    the convolution, which is faster and closer to float32.
    """
    for rounded in model.get_ordered_ops():
        if rounded.get_type_name() == "FakeQuantize" and _is_convolution(rounded) and _takes_negative(rounded):
            floats = _floats_again(rounded)
            users = [] if floats is None else list(floats.output(0).get_target_inputs())
            if not any(user.get_node().get_type_name() == "Convolution" for user in users):
                for user in users:
                    user.replace_source_output(rounded.input_value(0))


def _is_convolution(rounded: Any) -> bool:
    """Whether the rounded value comes from a convolution, with or without a bias."""
    op = rounded.input_value(0).get_node()
    biased = op.get_type_name() == "Add"
    return bool((op.input_value(0).get_node() if biased else op).get_type_name() == "Convolution")


def _takes_negative(rounded: Any) -> bool:
    """Whether the smallest of the 256 numbers is negative; where it is 0, the rounding is a ReLU, too."""
    least = rounded.input_value(1).get_node()
    return bool(least.get_type_name() == "Constant" and (least.get_data() < 0).any())


def _floats_again(op: Any) -> Any:
    """The last operation of the conversion from 8 bits that follows an operation; None where there is another one."""
    for kind in _TO_FLOAT:
        users = list(op.output(0).get_target_inputs())
        if len(users) != 1 or users[0].get_node().get_type_name() != kind:
            return None
        op = users[0].get_node()
    return op


def openvino_core() -> Any:
    """OpenVINO's core, one for each process: a forked process cannot use that of its parent.

    Each core sets up a stack for signal handlers and restores the earlier one when it goes. If two cores go in the
    order in which they came, the second leaves a freed stack, and the next signal, such as Ctrl-C, ends the process.
    """
    return _core_of(os.getpid())


@cache
def _core_of(process: int) -> Any:
    import openvino

    return openvino.Core()
