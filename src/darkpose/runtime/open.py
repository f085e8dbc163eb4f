"""From weights to what finds landmarks: a checkpoint in torch or exported, or an exported file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from darkpose.codec.heatmap import Method
from darkpose.deploy.export import ExportOptions
from darkpose.deploy.export_file import exported_once
from darkpose.errors import DarkposeError
from darkpose.network.checkpoint import Checkpoint, model_fingerprint
from darkpose.network.load import load_checkpoint
from darkpose.predict.covariance import Calibration
from darkpose.runtime.card import GraphCard
from darkpose.runtime.exported import GraphRunner, NumberType, Runtime, open_graph
from darkpose.runtime.flip import CropDecoder, FlipTest, find_device
from darkpose.runtime.locator import GraphLocator, Locator, TorchLocator
from darkpose.runtime.torch import ready
from darkpose.schema import KeypointSchema
from darkpose.weights.calibrations import calibration_beside
from darkpose.weights.checkpoint import CheckpointConfig
from darkpose.weights.zoo import weights_file


class Setup(NamedTuple):
    """By what a network runs; see `Predictor`."""

    runtime: Runtime | Literal["auto"] = "auto"
    device: str = "auto"
    threads: int | None = None
    providers: tuple[str, ...] = ()
    numbers: NumberType = "fp32"
    batch_size: int = 16
    compiled: bool = False


@dataclass(frozen=True, eq=False)
class Opened:
    """Weights that are ready to find landmarks.

    Attributes:
        locator: finds them.
        schema, config, provenance: of the weights.
        runtime: what runs them, for people.
        facts: what the landmarks depend on, as JSON values.
        device: of torch; the processor for exported files.
        calibration: of the covariances, where they are asked for and known, and not built into the file.
        calibrated: whether covariances are given and known.
    """

    locator: Locator
    schema: KeypointSchema
    config: CheckpointConfig
    provenance: Mapping[str, Any]
    runtime: str
    facts: Mapping[str, Any]
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    calibration: Calibration | None = None
    calibrated: bool = False


def open_locator(
    weights: str | Path,
    schema: str | None,
    setup: Setup,
    *,
    flip_test: FlipTest | None = None,
    method: Method | None = None,
    covariance: bool = False,
) -> Opened:
    """Open weights by path or name; arguments and errors are those of `Predictor`."""
    exported = Path(weights).suffix == ".onnx"
    if setup.compiled and (exported or setup.runtime not in ("auto", "torch")):
        raise DarkposeError("compiled is for torch; exported files are compiled by their runtime anyway")
    if (exported or setup.runtime not in ("auto", "torch")) and setup.device not in ("auto", "cpu"):
        named = "exported files" if setup.runtime == "auto" else setup.runtime
        raise DarkposeError(f"the device {setup.device!r} is torch's; for {named} name providers")
    if exported:
        if setup.runtime == "torch":
            raise DarkposeError(f"{weights}: torch does not run .onnx files; onnxruntime and openvino do")
        runner = _runner(Path(weights), setup)
        _check_built_in(runner.card, str(weights), {"schema": schema, "flip_test": flip_test, "method": method})
        return _exported(runner, setup, covariance, runner.card.weights)
    checkpoint = load_checkpoint(weights, schema=schema)
    calibration = calibration_beside(weights_file(weights, schema), checkpoint.schema.name) if covariance else None
    options = ExportOptions(flip_test=flip_test or "off", method=method or "dark")
    if setup.runtime in ("auto", "torch"):
        return _in_torch(checkpoint, setup, options, covariance, calibration)
    runner = _runner(exported_once(checkpoint, options, calibration), setup)
    return _exported(runner, setup, covariance, checkpoint.provenance)


def _runner(file: Path, setup: Setup) -> GraphRunner:
    return open_graph(
        file, runtime=setup.runtime, threads=setup.threads, providers=setup.providers, numbers=setup.numbers
    )


def _exported(runner: GraphRunner, setup: Setup, covariance: bool, provenance: Mapping[str, Any]) -> Opened:
    locator = GraphLocator(runner, setup.batch_size, covariance)
    card = runner.card
    if covariance and card.method in ("argmax", "quarter"):
        raise DarkposeError(f'covariance needs the method "dark" or "dark+", the file has {card.method!r} built in')
    kind = runner.name.split()[0]
    facts = _facts(card.weights["sha256"], card.flip_test, card.method, card.precision, setup, covariance, kind)
    return Opened(
        locator,
        card.schema,
        card.config,
        provenance,
        runner.name,
        facts,
        calibrated=covariance and "covariance" in card.outputs,
    )


def _facts(
    sha256: str, flip_test: str, method: str, precision: str, setup: Setup, covariance: bool, runtime: str
) -> dict[str, Any]:
    """In int8 and bf16 runtimes round differently, and what one began another would not go on with; else they agree."""
    weights = {"weights": sha256, "flip_test": flip_test, "method": method, "covariance": covariance}
    rounded = {"runtime": runtime} if precision == "int8" or setup.numbers == "bf16" else {}
    return {**weights, "precision": precision, "numbers": setup.numbers, **rounded}


def _check_built_in(card: GraphCard, file: str, asked: Mapping[str, str | None]) -> None:
    """Refuse what an exported file was not made for."""
    built_in = {"schema": card.schema.name, "flip_test": card.flip_test, "method": card.method}
    for name, value in asked.items():
        if value is not None and value != built_in[name]:
            raise DarkposeError(f"{file}: it has {name} {built_in[name]!r} built in, not {value!r}; export it again")


def _in_torch(
    checkpoint: Checkpoint, setup: Setup, options: ExportOptions, covariance: bool, calibration: Calibration | None
) -> Opened:
    if setup.providers:
        raise DarkposeError("providers are onnxruntime's and OpenVINO's; for torch name a device")
    device, config = find_device(setup.device), checkpoint.config
    if setup.threads is not None:
        torch.set_num_threads(setup.threads)
    sha256 = model_fingerprint(checkpoint.model)
    in_bf16, size = setup.numbers == "bf16", config.crop_size
    decoder = CropDecoder(
        ready(checkpoint.model, device, size, bfloat16=in_bf16, compiled=setup.compiled),
        config.normalisation,
        checkpoint.schema.flip_index,
        device,
        flip_test=options.flip_test,
        method=options.method,
        kernel_size=config.kernel_size,
        batch_size=setup.batch_size,
        covariance=covariance,
    )
    facts = _facts(sha256, options.flip_test, options.method, "fp32", setup, covariance, "torch")
    return Opened(
        TorchLocator(decoder, size, calibration),
        *(checkpoint.schema, config, checkpoint.provenance),
        f"torch {torch.__version__} ({device}, {setup.numbers}{', compiled' if setup.compiled else ''})",
        *(facts, device, calibration),
        calibrated=calibration is not None,
    )
