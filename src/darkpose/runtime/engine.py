"""What runs a network, and how: the settings, and the choice of the runtime."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from darkpose.errors import DarkposeError
from darkpose.runtime.network import NumberType, Runtime

RUNTIMES: tuple[Runtime, ...] = ("openvino", "onnxruntime", "torch")  # the fastest on a CPU first


@dataclass(frozen=True)
class Engine:
    """What runs a network, and how.

    Attributes:
        runtime: "auto": on an NVIDIA GPU torch, or onnxruntime if it can use it; on a CPU the fastest that is installed
            and can run the weights: OpenVINO, onnxruntime, torch.
        device: of torch: "auto", "cpu", "cuda", "cuda:1", ...
        threads: CPU threads; None: the runtime chooses.
        providers: onnxruntime's execution providers ("CUDAExecutionProvider", ...) or OpenVINO's devices ("GPU", ...).
        numbers: "bf16": calculate in bfloat16, by torch or OpenVINO.
        compiled: let torch compile the network.
    """

    runtime: Runtime | Literal["auto"] = "auto"
    device: str = "auto"
    threads: int | None = None
    providers: Sequence[str] = ()
    numbers: NumberType = "fp32"
    compiled: bool = False


def choose_runtime(engine: Engine, possible: tuple[Runtime, ...]) -> Runtime:
    """The runtime asked for, else the first of the possible ones that is installed.

    Raises:
        DarkposeError: it is not installed, or a setting belongs to another runtime.
    """
    if engine.runtime != "auto":
        wanted = engine.runtime
    elif engine.compiled or engine.device not in ("auto", "cpu") or (engine.device == "auto" and _torch_on_gpu()):
        wanted = "torch"
    elif engine.providers:
        onnx = all(name.endswith("ExecutionProvider") for name in engine.providers)
        wanted = "onnxruntime" if onnx else "openvino"
    else:
        able = [each for each in possible if each != "onnxruntime" or engine.numbers == "fp32"]
        wanted = next((each for each in able if find_spec(each) is not None), able[0])
    _check(engine, wanted)
    return wanted


def _check(engine: Engine, runtime: Runtime) -> None:
    """Refuse settings that belong to another runtime, and a runtime that is not installed."""
    if runtime == "torch" and engine.providers:
        raise DarkposeError("providers are onnxruntime's and OpenVINO's; for torch name a device")
    if runtime != "torch" and engine.compiled:
        raise DarkposeError("compiled is for torch; other runtimes compile the network anyway")
    if runtime != "torch" and engine.device not in ("auto", "cpu"):
        raise DarkposeError(f"the device {engine.device!r} is torch's; for {runtime} name providers")
    if runtime == "onnxruntime" and engine.numbers == "bf16":
        raise DarkposeError("onnxruntime does not calculate in bf16 on a CPU; OpenVINO and torch do")
    if find_spec(runtime) is None:
        raise DarkposeError(f"the runtime {runtime} is not installed: pip install 'darkpose[{runtime}]'")


def _torch_on_gpu() -> bool:
    """Whether torch is installed and can use a GPU; torch is imported only where there is a driver."""
    if not has_nvidia_driver() or find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


def has_nvidia_driver() -> bool:
    """Whether an NVIDIA driver is installed."""
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None
