"""Weights -> a network that is ready to run, by the runtime asked for or the fastest that is installed."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from darkpose.codec.heatmap import Method
from darkpose.errors import DarkposeError
from darkpose.image.geometry import STRIDE
from darkpose.runtime.card import Precision
from darkpose.runtime.exported import ExportedFile, open_exported
from darkpose.runtime.flip import FlipTest
from darkpose.runtime.network import Network, NumberType, Runtime, reason_of
from darkpose.schema import KeypointSchema
from darkpose.weights.calibrations import Calibration, calibration_beside
from darkpose.weights.checkpoint import CheckpointConfig, CheckpointFile, fingerprint, open_checkpoint
from darkpose.weights.zoo import PICKLED, is_shipped, weights_file

RUNTIMES: tuple[Runtime, ...] = ("openvino", "onnxruntime", "torch")  # the fastest on a CPU first
TORCH_NEEDS = 1_000_000_000  # bytes of address space; with less, native code may end the process without a word


@dataclass(frozen=True)
class Engine:
    """What runs a network, and how.

    Attributes:
        runtime: "auto": on an NVIDIA GPU torch, or onnxruntime if it can use it; on a CPU the fastest that is
            installed: OpenVINO, onnxruntime, torch. Weights outside the package: onnxruntime (with the package onnx)
            or torch.
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


@dataclass(frozen=True, eq=False)
class OpenedWeights:
    """Weights with their network, ready to run.

    Attributes:
        make: gives the network; `network` calls it once.
        schema, config, provenance: of the weights.
        fingerprint: gives the SHA-256 of the weights (see `weights.checkpoint.fingerprint`).
        calibration: gives the calibration of the covariances, or None where there is none for the schema.
        precision: number type of the weights of the network.
        flip_test, method: built into an exported file; None: the caller chooses.
    """

    make: Callable[[], Network]
    schema: KeypointSchema
    config: CheckpointConfig
    provenance: Mapping[str, Any]
    fingerprint: Callable[[], str]
    calibration: Callable[[], Calibration | None]
    precision: Precision = "fp32"
    flip_test: FlipTest | None = None
    method: Method | None = None

    @cached_property
    def network(self) -> Network:
        """Crops -> heatmaps; made at the first use.

        Raises:
            DarkposeError: the runtime cannot run it.
        """
        return self.make()


def open_weights(weights: str | Path, schema: str | None, engine: Engine) -> OpenedWeights:
    """Open a checkpoint or an exported file.

    Args:
        weights: path or name of a checkpoint (see `weights.zoo.weights_file`), or path of an exported `.onnx` file.
        schema: of weights that know several; None: their first.
        engine: what runs the network.

    Raises:
        DarkposeError: the weights or the engine cannot be used, or do not fit each other.
    """
    if isinstance(engine.providers, str):
        raise DarkposeError(f"expected a sequence of providers, got the text {engine.providers!r}")
    if Path(weights).suffix == ".onnx":
        return _open_exported(Path(weights), engine)
    file = weights_file(weights, schema)
    return _open_pickled(weights, file, schema, engine) if file.suffix in PICKLED else _open_file(file, schema, engine)


def _open_file(file: Path, schema: str | None, engine: Engine) -> OpenedWeights:
    weights, shipped = open_checkpoint(file).with_schema(schema), is_shipped(file)
    # Weights outside the package may be such that OpenVINO's rounding moves a landmark by more than 0.005 px.
    possible: Sequence[Runtime] = ("onnxruntime", "torch") if find_spec("onnx") else ("torch",)
    chosen = resolve_engine(engine, RUNTIMES if shipped else possible)

    def make() -> Network:
        if chosen.runtime == "torch":
            from darkpose.network.load import load_checkpoint

            return _by_torch(load_checkpoint(file, schema=schema), chosen)
        return _by_graph(weights.graph if shipped else _graph_of(weights.config, weights.arrays()), chosen)

    return OpenedWeights(
        partial(made, file, chosen, make),
        weights.schema,
        weights.config,
        weights.provenance,
        partial(_file_fingerprint, weights),
        partial(calibration_beside, file, weights.schema),
    )


def _open_pickled(given: str | Path, file: Path, schema: str | None, engine: Engine) -> OpenedWeights:
    """A `.pth` file, which torch reads."""
    chosen = resolve_engine(engine, ("torch", "openvino", "onnxruntime"))
    if find_spec("torch") is None:
        raise DarkposeError(f"{file}: reading it needs torch: pip install 'darkpose[torch]'")
    check_address_space()
    from darkpose.network.checkpoint import model_arrays
    from darkpose.network.load import load_checkpoint

    checkpoint = load_checkpoint(given, schema=schema)

    def make() -> Network:
        if chosen.runtime == "torch":
            return _by_torch(checkpoint, chosen)
        return _by_graph(_graph_of(checkpoint.config, model_arrays(checkpoint.model)), chosen)

    return OpenedWeights(
        partial(made, file, chosen, make),
        checkpoint.schema,
        checkpoint.config,
        checkpoint.provenance,
        partial(str, fingerprint(model_arrays(checkpoint.model))),
        partial(calibration_beside, file, checkpoint.schema),
    )


def _open_exported(path: Path, engine: Engine) -> OpenedWeights:
    if engine.runtime == "torch" or engine.compiled:
        raise DarkposeError(f"{path}: torch does not run .onnx files; onnxruntime and openvino do")
    if engine.device not in ("auto", "cpu"):
        raise DarkposeError(f"the device {engine.device!r} is torch's; for exported files name providers")
    exported = open_exported(path)
    card, chosen = exported.card, resolve_engine(engine, ("openvino", "onnxruntime"))

    def make() -> Network:
        int8 = card.precision == "int8"
        graph = path if chosen.runtime == "openvino" else exported.with_heatmaps()
        network = _by_graph(graph, chosen, crops=card.crops, int8=int8)
        _check_heatmaps(network, exported)
        return network

    return OpenedWeights(
        partial(made, path, chosen, make),
        card.schema,
        card.config,
        card.weights,
        partial(str, card.weights["sha256"]),
        partial(getattr, card, "calibration"),
        card.precision,
        card.flip_test,
        card.method,
    )


def _check_heatmaps(network: Network, exported: ExportedFile) -> None:
    """Run the network of an exported file once, and compare its heatmaps with the metadata."""
    size, fits = exported.card.config.crop_size, "its graph does not fit its metadata"
    expected = (1, len(exported.card.schema), size // STRIDE, size // STRIDE)
    try:
        found = network(np.zeros((1, size, size, 3), np.uint8)).shape
    except DarkposeError as error:
        raise DarkposeError(f"{exported.path}: {fits}, export it again: {error}") from error
    if found != expected:
        raise DarkposeError(f"{exported.path}: {fits}, export it again: expected heatmaps {expected}, got {found}")


def _file_fingerprint(weights: CheckpointFile) -> str:
    return fingerprint(weights.arrays())


def resolve_engine(engine: Engine, possible: Sequence[Runtime]) -> Engine:
    """The engine with its runtime chosen: on a GPU one that can use it, else the first possible one that is installed.

    Raises:
        DarkposeError: it is not installed, or a setting belongs to another runtime.
    """
    if engine.runtime == "auto":
        runtime, providers = _choose(engine, possible)
        engine = replace(engine, runtime=runtime, providers=providers)
    name = engine.runtime
    if name == "torch" and engine.providers:
        raise DarkposeError("providers are onnxruntime's and OpenVINO's; for torch name a device")
    if foreign := [each for each in engine.providers if _is_onnxruntimes(each) != (name == "onnxruntime")]:
        other = "onnxruntime" if name == "openvino" else "OpenVINO"
        raise DarkposeError(f"{foreign[0]!r} is {other}'s; name providers of one runtime, and no other runtime")
    if name != "torch" and engine.compiled:
        raise DarkposeError("compiled is for torch; other runtimes compile the network anyway")
    if name != "torch" and engine.device not in ("auto", "cpu"):
        raise DarkposeError(f"the device {engine.device!r} is torch's; for {name} name providers")
    if name == "onnxruntime" and engine.numbers == "bf16":
        raise DarkposeError("onnxruntime does not calculate in bf16 on a CPU; OpenVINO and torch do")
    if find_spec(name) is None:
        raise DarkposeError(f"the runtime {name} is not installed: pip install 'darkpose[{name}]'")
    if name == "torch":
        check_address_space()
    return engine


def check_address_space() -> None:
    """Refuse to load torch where its native code would end the process.

    Raises:
        DarkposeError: the limit of the address space (`ulimit -v`) is less than `TORCH_NEEDS`.
    """
    try:
        import resource
    except ImportError:  # Windows
        return
    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    if allowed != resource.RLIM_INFINITY and allowed < TORCH_NEEDS:
        raise DarkposeError(
            f"torch needs at least {TORCH_NEEDS // 10**6} MB of address space, and {allowed // 10**6} MB are allowed; "
            "raise the limit (ulimit -v); onnxruntime needs less"
        )


def _is_onnxruntimes(provider: str) -> bool:
    return provider.endswith("ExecutionProvider")


def _choose(engine: Engine, possible: Sequence[Runtime]) -> tuple[Runtime, Sequence[str]]:
    """Runtime and providers for "auto"."""
    if engine.providers:
        return "onnxruntime" if all(map(_is_onnxruntimes, engine.providers)) else "openvino", engine.providers
    if engine.compiled or engine.device not in ("auto", "cpu"):
        return "torch", ()
    if engine.device == "auto" and has_nvidia_driver():
        if "torch" in possible and _torch_on_gpu():
            return "torch", ()
        if "onnxruntime" in possible and engine.numbers == "fp32" and _onnxruntime_on_gpu():
            return "onnxruntime", ("CUDAExecutionProvider", "CPUExecutionProvider")
    able = [each for each in possible if each != "onnxruntime" or engine.numbers == "fp32"]
    return next((each for each in able if find_spec(each) is not None), able[0]), ()


def has_nvidia_driver() -> bool:
    """Whether an NVIDIA driver is installed."""
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def _torch_on_gpu() -> bool:
    if find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


def _onnxruntime_on_gpu() -> bool:
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def made(source: Path, engine: Engine, make: Callable[[], Network]) -> Network:
    """Make the network; an error of the runtime becomes one sentence."""
    try:
        return make()
    except (DarkposeError, ImportError):
        raise
    except Exception as error:  # the runtimes raise types of their own
        raise DarkposeError(f"{source}: {engine.runtime} cannot run it: {reason_of(error)}") from error


def _by_torch(checkpoint: Any, engine: Engine) -> Network:
    import torch

    from darkpose.runtime.torch import fast_network, find_device

    if engine.threads is not None:
        torch.set_num_threads(engine.threads)
    config, device = checkpoint.config, find_device(engine.device)
    settings: dict[str, Any] = {"numbers": engine.numbers, "compiled": engine.compiled}
    return fast_network(checkpoint.model, config.normalisation, device, config.crop_size, **settings)


def _graph_of(config: CheckpointConfig, arrays: Mapping[str, NDArray[Any]]) -> bytes:
    from darkpose.runtime.graph import embedded_graph

    return embedded_graph(config, arrays)


def _by_graph(graph: Path | bytes, engine: Engine, *, crops: str = "uint8", int8: bool = False) -> Network:
    if engine.runtime == "openvino":
        from darkpose.runtime.openvino import OpenVinoNetwork

        settings: dict[str, Any] = {"threads": engine.threads, "devices": engine.providers, "numbers": engine.numbers}
        return OpenVinoNetwork(graph, crops=crops, int8=int8, **settings)
    from darkpose.runtime.onnx import OnnxNetwork

    return OnnxNetwork(graph, threads=engine.threads, providers=engine.providers, crops=crops)
