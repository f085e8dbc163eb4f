"""Writes weights as an exported file, with a report of the comparison with torch: `darkpose export`."""

import os
import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from darkpose.deploy.export import ENDINGS, ExportOptions, export_onnx, export_program
from darkpose.deploy.face_crops import FaceCrops, drawn_crops, found_crops
from darkpose.deploy.parity import BUDGETS, Parity, compare
from darkpose.deploy.quantise import FEWEST
from darkpose.deploy.run_file import FileRunner, file_runtimes, open_file, open_program
from darkpose.detect.detector import Detector, named_detector
from darkpose.errors import DarkposeError
from darkpose.evaluation.plots import plot_parity
from darkpose.files.atomic import write_atomically, write_text
from darkpose.files.json_text import format_json
from darkpose.files.paths import is_folder
from darkpose.network.checkpoint import Checkpoint
from darkpose.predict.landmarks import LandmarkFinder
from darkpose.runtime.card import GraphCard
from darkpose.runtime.graph_builder import import_onnx
from darkpose.runtime.torch import fast_network
from darkpose.weights.calibrations import Calibration

COMPARED, SCALED = 32, 96  # faces for the comparison, and for the scales of int8


@dataclass(frozen=True, eq=False)
class Exported:
    """A written file.

    Attributes:
        file: its path; it ends in `.unverified` if the file differs too much from torch.
        card: metadata of the file.
        parities: differences from torch, one for every installed runtime.
        faces: description of the faces they were measured on, for people.
        report, picture: files of the differences; no picture without Matplotlib.
    """

    file: Path
    card: GraphCard
    parities: Sequence[Parity]
    faces: str
    report: Path
    picture: Path | None

    @property
    def verified(self) -> bool:
        """Whether the file is within its budget in every runtime."""
        return all(parity.verified for parity in self.parities)

    def to_dict(self) -> dict[str, Any]:
        """JSON values: the content of the report."""
        card = self.card
        return {
            "file": self.file.name,
            "verified": self.verified,
            "markup": card.schema.name,
            **{name: getattr(card, name) for name in ("precision", "flip_test", "method", "crops", "opset")},
            "outputs": list(card.outputs),
            "weights": dict(card.weights),
            "faces": self.faces,
            "reference": f"torch {torch.__version__}, fp32, on the CPU",
            "runtimes": [parity.to_dict(card.schema.names) for parity in self.parities],
        }

    def lines(self) -> list[str]:
        """Summary for people."""
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
        checkpoint: of one schema.
        out: `.onnx` or `.pt2`.
        options: what is built in.
        calibration: of the covariances; None: give none.
        photographs: with faces for the comparison and for the scales of int8; none: drawn faces, not possible for int8.
        detector: of those faces; None: the one in the package.
        tell: called with each step and the reason for each photograph that cannot be used, for people.

    Raises:
        DarkposeError: the path cannot be used, a package is missing, or the photographs show too few faces.
    """
    _check_possible(out, options)
    calibrating = options.precision == "int8"
    if calibrating and not photographs:
        raise DarkposeError("int8 takes its scales from faces: give photographs of some dozens of faces with --faces")
    finder = detector or (named_detector("auto") if photographs else None)
    tell("looking for faces" + (f" ({finder.name})" if finder else "") + " ...")
    faces = _faces(checkpoint, photographs, finder, calibrating, tell)
    count = min(COMPARED, len(faces.crops) // 4)  # in int8 the other faces set the scales
    compared, scaled = (faces.part(0, count), faces.part(count)) if calibrating else (faces, faces.part(0, 0))
    tell("exporting ...")
    if out.suffix == ".pt2":
        data = export_program(checkpoint, options, calibration)
    else:
        data = export_onnx(checkpoint, options, calibration, scaled.crops if calibrating else None)
    tell("comparing with torch ...")
    card, parities = _compare_with_torch(checkpoint, data, out.name, compared)
    source = compared.source if compared is faces else f"{len(compared.crops)} of {compared.source}"
    return _written(out, data, card, parities, source)


def _check_possible(out: Path, options: ExportOptions) -> None:
    """Check, before the work, that the file can be written and compared."""
    if out.suffix not in ENDINGS:
        raise DarkposeError(f"{out}: expected a name that ends in {' or '.join(ENDINGS)}, got {out.suffix!r}")
    folder = is_folder(out)
    if folder or not is_folder(out.parent) or not os.access(out.parent, os.W_OK):
        why = "it is a folder" if folder else "its folder does not exist or cannot be written to"
        raise DarkposeError(f"{out}: cannot be written: {why}")
    if out.suffix == ".onnx":
        import_onnx()
        if not file_runtimes():
            raise DarkposeError(
                "no runtime is installed to compare the file with torch: "
                "pip install 'darkpose[onnxruntime]' or 'darkpose[openvino]'"
            )
    elif options.precision == "int8":
        raise DarkposeError("int8 is for .onnx files; a .pt2 file can be of fp32 or fp16")


def _faces(
    checkpoint: Checkpoint,
    photographs: Sequence[Path],
    finder: Detector | None,
    calibrating: bool,
    tell: Callable[[str], object],
) -> FaceCrops:
    if finder is None:
        return drawn_crops(COMPARED, checkpoint.config)
    wanted, least = (COMPARED + SCALED, FEWEST + FEWEST // 2) if calibrating else (COMPARED, 1)
    photographs = random.Random(0).sample(list(photographs), len(photographs))  # so that they are not all of one event
    return found_crops(photographs, checkpoint.config, finder, wanted, least=least, tell=tell)


def _compare_with_torch(
    checkpoint: Checkpoint, data: bytes, name: str, faces: FaceCrops
) -> tuple[GraphCard, list[Parity]]:
    """The metadata of a file of these bytes, and its differences from torch in every installed runtime."""
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / name
        try:
            trial.write_bytes(data)
        except OSError as error:
            raise DarkposeError(f"{trial}: cannot be written: {error.strerror or error}") from error
        runners = _runners(trial)
        card = runners[0].card
        config = checkpoint.config
        in_torch = LandmarkFinder(
            fast_network(checkpoint.model, config.normalisation, torch.device("cpu"), config.crop_size),
            checkpoint.schema,
            flip_test=card.flip_test,
            method=card.method,
            kernel_size=config.kernel_size,
            covariance=card.calibration is not None,
            calibration=card.calibration,
        )
        budget, expected = BUDGETS[card.precision], in_torch(faces.crops, faces.center, faces.sides)
        return card, [compare(expected, each.find, faces, runtime=each.name, budget=budget) for each in runners]


def _runners(file: Path) -> list[FileRunner]:
    if file.suffix == ".pt2":
        return [open_program(file)]
    return [open_file(file, runtime) for runtime in file_runtimes()]


def _written(out: Path, data: bytes, card: GraphCard, parities: Sequence[Parity], faces: str) -> Exported:
    verified = all(parity.verified for parity in parities)
    file = out if verified else out.with_name(f"{out.name}.unverified")
    report, drawn = (file.with_name(f"{file.name}.parity.{ending}") for ending in ("json", "png"))
    picture = drawn if find_spec("matplotlib") else None
    exported = Exported(file, card, parities, faces, report, picture)
    write_atomically(file, lambda temporary: temporary.write_bytes(data))
    write_text(exported.report, format_json(exported.to_dict(), indent=1) + "\n")
    if picture is not None:
        distances = {parity.runtime: np.asarray(parity.crop_px) for parity in parities}
        plot_parity(picture, distances, parities[0].budget[:2], card.schema.names)
    return exported
