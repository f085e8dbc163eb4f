"""`darkpose export` behind its flags: weights -> a file that finds what torch finds, and the report that says so."""

import json
import os
import random
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from darkpose.deploy.export import (
    ENDINGS,
    ExportOptions,
    card_of,
    check_exporter,
    export_onnx,
    export_program,
    program_runner,
)
from darkpose.deploy.parity import BUDGETS, Parity, compare
from darkpose.deploy.quantise import FEWEST
from darkpose.detect.detector import Detector, best_detector
from darkpose.errors import DarkposeError
from darkpose.evaluation.plots import plot_parity
from darkpose.files.atomic import make_folder, write_atomically, write_text
from darkpose.files.download import cache_folder
from darkpose.files.paths import is_folder
from darkpose.image.face_crops import FaceCrops, drawn_crops, found_crops
from darkpose.network.checkpoint import Checkpoint
from darkpose.predict.covariance import Calibration
from darkpose.runtime.card import GraphCard, check_seal
from darkpose.runtime.exported import GraphRunner, installed, open_graph
from darkpose.runtime.flip import CropDecoder
from darkpose.runtime.locator import GraphLocator, TorchLocator

COMPARED, SCALED = 32, 96  # faces to compare by, and to take the scales of int8 from
FEW = 4  # faces to compare by what the cache keeps


@dataclass(frozen=True, eq=False)
class Exported:
    """A written file.

    Attributes:
        file: its path; `.unverified` is put behind the name that was asked for where it differs too much from torch.
        card: what it says of itself.
        parities: how far it lies from torch, in every runtime that is installed.
        faces: by which that was measured, for people.
        report, picture: files that say so; no picture without Matplotlib.
    """

    file: Path
    card: GraphCard
    parities: Sequence[Parity]
    faces: str
    report: Path
    picture: Path | None

    @property
    def verified(self) -> bool:
        """Whether it keeps its budget in every runtime."""
        return all(parity.verified for parity in self.parities)

    def to_dict(self) -> dict[str, Any]:
        """JSON values: what lies in the report."""
        card = self.card
        return {
            "file": self.file.name,
            "verified": self.verified,
            "markup": card.schema.name,
            **{name: getattr(card, name) for name in ("precision", "flip_test", "method", "crops", "opset")},
            "outputs": list(card.outputs),
            "weights": dict(card.weights),
            "faces": self.faces,
            "reference": f"torch {torch.__version__}, fp32, on the processor",
            "runtimes": [parity.to_dict(card.schema.names) for parity in self.parities],
        }

    def lines(self) -> list[str]:
        """For people."""
        card, size = self.card, self.file.stat().st_size / 1e6
        opset = f", opset {card.opset}" if card.opset else ""
        pictures = f", {self.picture}" if self.picture else ""
        return [
            f"{self.file}: {card.schema.name}, {card.precision}{opset}, {size:.1f} MB, gives {', '.join(card.outputs)}",
            *(f"  {parity}" for parity in self.parities),
            f"  over {self.faces} -> {self.report}{pictures}",
        ]


def export_file(
    checkpoint: Checkpoint,
    out: Path,
    options: ExportOptions,
    *,
    calibration: Calibration | None = None,
    photographs: Sequence[Path] = (),
    detector: Detector | None = None,
    tell: Callable[[str], object] = lambda _: None,
) -> Exported:
    """Write a file and its report.

    Args:
        checkpoint: of one markup.
        out: `.onnx` or `.pt2`.
        options: what is built in.
        calibration: of the covariances; None: there are none.
        photographs: with faces to compare by and, for int8, to take scales from; none: drawn faces, not for int8.
        detector: of those faces; None: the best that can be had.
        tell: is told what is being done.

    Raises:
        DarkposeError: the path does not do, a package is missing, or the photographs hold too few faces.
    """
    _check_possible(out, options)
    calibrating = options.precision == "int8"
    if calibrating and not photographs:
        raise DarkposeError("int8 takes its scales from faces: name photographs of some dozens with --faces")
    finder = (detector or best_detector()[0]) if photographs else None
    tell("looking for faces" + (f" ({finder.name})" if finder else ""))
    faces = _faces(checkpoint, photographs, finder, calibrating)
    count = min(COMPARED, len(faces.crops) // 4)  # where the others give scales
    compared, scaled = (faces.part(0, count), faces.part(count)) if calibrating else (faces, faces.part(0, 0))
    tell("exporting")
    program = out.suffix == ".pt2"
    if program:
        data = export_program(checkpoint, options, calibration)
    else:
        data = export_onnx(checkpoint, options, calibration, scaled.crops if calibrating else None)
    tell("comparing with torch")
    parities = _parities(checkpoint, options, calibration, data, out.name, compared)
    told = compared.source if compared is faces else f"{len(compared.crops)} of {compared.source}"
    return _written(out, data, card_of(checkpoint, options, calibration, onnx=not program), parities, told)


def exported_once(checkpoint: Checkpoint, options: ExportOptions, calibration: Calibration | None = None) -> Path:
    """An ONNX file of the checkpoint in darkpose's cache; made, and compared with torch, if it is not there or damaged
    (half a minute).

    Raises:
        DarkposeError: it is not there and onnx, onnxscript or a runtime is missing, it cannot be written, or it would
            not find what torch finds.
    """
    card = card_of(checkpoint, options, calibration)
    told = f"{card.to_json()} {calibration} {torch.__version__}"
    file = cache_folder() / "graphs" / f"{checkpoint.schema.name}-{sha256(told.encode()).hexdigest()[:16]}.onnx"
    with suppress(DarkposeError):
        check_seal(file)
        return file
    make_folder(file.parent)
    data = export_onnx(checkpoint, options, calibration)
    for parity in _parities(checkpoint, options, calibration, data, file.name, drawn_crops(FEW, checkpoint.config)):
        if not parity.verified:
            raise DarkposeError(f"the weights as an exported file would not find what torch finds: {parity}")
    write_atomically(file, lambda temporary: temporary.write_bytes(data))
    return file


def _check_possible(out: Path, options: ExportOptions) -> None:
    """Refuse before the work what would fail behind it."""
    if out.suffix not in ENDINGS:
        raise DarkposeError(f"{out}: expected a name that ends in {' or '.join(ENDINGS)}, got {out.suffix!r}")
    folder = is_folder(out)
    if folder or not is_folder(out.parent) or not os.access(out.parent, os.W_OK):
        why = "it is a folder" if folder else "its folder does not exist or cannot be written to"
        raise DarkposeError(f"{out}: cannot be written: {why}")
    if out.suffix == ".onnx":
        check_exporter("an ONNX file")
        if not installed():
            raise DarkposeError(
                "an exported file is compared with torch, by a runtime: "
                "pip install 'darkpose[onnxruntime]' or 'darkpose[openvino]'"
            )
    elif options.precision == "int8":
        raise DarkposeError("int8 is for .onnx files; a .pt2 file can be of fp32 or fp16")


def _faces(
    checkpoint: Checkpoint, photographs: Sequence[Path], finder: Detector | None, calibrating: bool
) -> FaceCrops:
    if finder is None:
        return drawn_crops(COMPARED, checkpoint.config)
    wanted, least = (COMPARED + SCALED, FEWEST + FEWEST // 2) if calibrating else (COMPARED, 1)
    photographs = random.Random(0).sample(list(photographs), len(photographs))  # not those of one event only
    return found_crops(photographs, checkpoint.config, finder, wanted, least=least)


def _parities(
    checkpoint: Checkpoint,
    options: ExportOptions,
    calibration: Calibration | None,
    data: bytes,
    name: str,
    faces: FaceCrops,
) -> list[Parity]:
    """How far a file of these bytes and this name is from torch, in every runtime that is installed."""
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / name
        try:
            trial.write_bytes(data)
        except OSError as error:
            raise DarkposeError(f"{trial}: cannot be written: {error.strerror or error}") from error
        program = trial.suffix == ".pt2"
        runners = [program_runner(trial)] if program else [open_graph(trial, runtime=each) for each in installed()]
        return [_compared(checkpoint, options, calibration, runner, faces) for runner in runners]


def _compared(
    checkpoint: Checkpoint,
    options: ExportOptions,
    calibration: Calibration | None,
    runner: GraphRunner,
    faces: FaceCrops,
) -> Parity:
    config, known = checkpoint.config, "covariance" in runner.card.outputs
    decoder = CropDecoder(
        checkpoint.model,
        config.normalisation,
        checkpoint.schema.flip_index,
        flip_test=options.flip_test,
        method=options.method,
        kernel_size=config.kernel_size,
        covariance=known,
    )
    in_torch = TorchLocator(decoder, config.crop_size, calibration)
    by_file, budget = GraphLocator(runner, covariance=known), BUDGETS[options.precision]
    return compare(in_torch, by_file, faces, runtime=runner.name, budget=budget)


def _written(out: Path, data: bytes, card: GraphCard, parities: Sequence[Parity], faces: str) -> Exported:
    verified = all(parity.verified for parity in parities)
    file = out if verified else out.with_name(f"{out.name}.unverified")
    report, drawn = (file.with_name(f"{file.name}.parity.{ending}") for ending in ("json", "png"))
    picture = drawn if find_spec("matplotlib") else None
    exported = Exported(file, card, parities, faces, report, picture)
    write_atomically(file, lambda temporary: temporary.write_bytes(data))
    write_text(exported.report, json.dumps(exported.to_dict(), indent=1) + "\n")
    if picture is not None:
        distances = {parity.runtime: np.asarray(parity.crop_px) for parity in parities}
        plot_parity(picture, distances, parities[0].budget[:2], card.schema.names)
    return exported
