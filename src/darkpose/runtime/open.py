"""Weights -> a network that is ready to run, by the runtime asked for or the fastest one that is installed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from darkpose.codec.heatmap import Method
from darkpose.errors import DarkposeError
from darkpose.files.atomic import make_folder
from darkpose.files.download import cache_folder
from darkpose.runtime.card import Precision
from darkpose.runtime.engine import RUNTIMES, Engine, choose_runtime
from darkpose.runtime.exported import open_exported
from darkpose.runtime.flip import FlipTest
from darkpose.runtime.graph_file import find_graph, is_shipped
from darkpose.runtime.network import Network, Runtime
from darkpose.schema import KeypointSchema
from darkpose.weights.calibrations import Calibration, calibration_beside
from darkpose.weights.checkpoint import CheckpointConfig, fingerprint, open_checkpoint
from darkpose.weights.zoo import PICKLED, weights_file


@dataclass(frozen=True, eq=False)
class OpenedWeights:
    """Weights with their network, ready to run.

    Attributes:
        network: crops -> heatmaps.
        schema, config, provenance: of the weights.
        fingerprint: gives the SHA-256 of the weights (see `weights.checkpoint.fingerprint`).
        calibration: gives the calibration of the covariances, or None where there is none for the schema.
        precision: number type of the weights of the network.
        flip_test, method: built into an exported file; None: the caller chooses.
    """

    network: Network
    schema: KeypointSchema
    config: CheckpointConfig
    provenance: Mapping[str, Any]
    fingerprint: Callable[[], str]
    calibration: Callable[[], Calibration | None]
    precision: Precision = "fp32"
    flip_test: FlipTest | None = None
    method: Method | None = None


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


def _open_exported(path: Path, engine: Engine) -> OpenedWeights:
    if engine.runtime == "torch" or engine.compiled:
        raise DarkposeError(f"{path}: torch does not run .onnx files; onnxruntime and openvino do")
    if engine.device not in ("auto", "cpu"):
        raise DarkposeError(f"the device {engine.device!r} is torch's; for exported files name providers")
    exported = open_exported(path)
    card, runtime = exported.card, choose_runtime(engine, ("openvino", "onnxruntime"))

    def make(runtime: Runtime) -> Network:
        if runtime == "onnxruntime":
            from darkpose.runtime.onnx import OnnxNetwork

            graph, providers = exported.with_heatmaps(), engine.providers
            return OnnxNetwork(graph, threads=engine.threads, providers=providers, crops=card.crops)
        return _openvino(path, engine, crops=card.crops, int8=card.precision == "int8")

    return OpenedWeights(
        _run(path, runtime, make),
        card.schema,
        card.config,
        card.weights,
        lambda: card.weights["sha256"],
        lambda: card.calibration,
        card.precision,
        card.flip_test,
        card.method,
    )


def _open_file(file: Path, schema: str | None, engine: Engine) -> OpenedWeights:
    weights = open_checkpoint(file).with_schema(schema)
    has_graph = is_shipped(file) or find_spec("onnx") is not None
    runtime = choose_runtime(engine, RUNTIMES if has_graph else ("torch",))

    def make(runtime: Runtime) -> Network:
        if runtime == "torch":
            from darkpose.network.load import load_checkpoint

            return _torch(load_checkpoint(file, schema=schema), engine)
        return _by_graph(find_graph(weights), runtime, engine)

    return OpenedWeights(
        _run(file, runtime, make),
        weights.schema,
        weights.config,
        weights.provenance,
        lambda: fingerprint(weights.arrays()),
        lambda: calibration_beside(file, weights.schema.name),
    )


def _open_pickled(given: str | Path, file: Path, schema: str | None, engine: Engine) -> OpenedWeights:
    """A `.pth` file: torch reads it; other runtimes get it as a safetensors file in the cache."""
    runtime = choose_runtime(engine, ("torch", "openvino", "onnxruntime"))
    if find_spec("torch") is None:
        raise DarkposeError(f"{file}: reading it needs torch: pip install 'darkpose[torch]'")
    from darkpose.network.checkpoint import model_fingerprint, save_checkpoint
    from darkpose.network.load import load_checkpoint

    checkpoint = load_checkpoint(given, schema=schema)
    digest = model_fingerprint(checkpoint.model)

    def make(runtime: Runtime) -> Network:
        if runtime == "torch":
            return _torch(checkpoint, engine)
        kept = cache_folder() / "graphs" / f"{digest[:16]}.safetensors"
        make_folder(kept.parent)
        save_checkpoint(checkpoint, kept)
        return _by_graph(find_graph(open_checkpoint(kept)), runtime, engine)

    return OpenedWeights(
        _run(file, runtime, make),
        checkpoint.schema,
        checkpoint.config,
        checkpoint.provenance,
        lambda: digest,
        lambda: calibration_beside(file, checkpoint.schema.name),
    )


def _run(source: Path, runtime: Runtime, make: Callable[[Runtime], Network]) -> Network:
    """Make the network; errors of the runtimes become one sentence."""
    try:
        return make(runtime)
    except DarkposeError:
        raise
    except Exception as error:  # the runtimes raise types of their own
        raise DarkposeError(f"{source}: {runtime} cannot run it: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """The message of a runtime: of OpenVINO's lines the last one, the others name places in its source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[-1] if lines[0].startswith("Exception from") else lines[0]


def _torch(checkpoint: Any, engine: Engine) -> Network:
    import torch

    from darkpose.runtime.torch import fast_network, find_device

    if engine.threads is not None:
        torch.set_num_threads(engine.threads)
    config, device = checkpoint.config, find_device(engine.device)
    settings: dict[str, Any] = {"numbers": engine.numbers, "compiled": engine.compiled}
    return fast_network(checkpoint.model, config.normalisation, device, config.crop_size, **settings)


def _by_graph(graph: Path, runtime: Runtime, engine: Engine) -> Network:
    if runtime == "openvino":
        return _openvino(graph, engine)
    from darkpose.runtime.onnx import CPU, CUDA, OnnxNetwork, has_cuda

    providers = engine.providers
    if not providers and engine.runtime == "auto" and engine.device == "auto" and has_cuda():
        providers = (CUDA, CPU)
    return OnnxNetwork(graph, threads=engine.threads, providers=providers)


def _openvino(graph: Path, engine: Engine, *, crops: str = "uint8", int8: bool = False) -> Network:
    from darkpose.runtime.openvino import OpenVinoNetwork

    settings: dict[str, Any] = {"threads": engine.threads, "devices": engine.providers, "numbers": engine.numbers}
    return OpenVinoNetwork(graph, crops=crops, int8=int8, **settings)
