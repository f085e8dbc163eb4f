"""An evaluation as a folder for an appendix: report.md with its pictures, and curves and landmarks as CSV."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

from darkpose.datasets.contact_sheet import error_sheet
from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.evaluation.measure import Evaluation
from darkpose.evaluation.metrics import ced
from darkpose.evaluation.plots import plot_ced, plot_landmark_errors
from darkpose.evaluation.report import WHOLE, ErrorReport, face_nmes
from darkpose.files.atomic import make_folder, write_text
from darkpose.files.figure import check_matplotlib
from darkpose.image.geometry import Floats, landmark_box
from darkpose.image.pixels import write_image
from darkpose.schema import regions

THRESHOLDS = np.linspace(0, 20, 401)  # per cent
WORST = 12

_HOW = """NME: distance of every landmark from its annotation divided by the normaliser of the face, pooled over all
visible landmarks of all found faces. FR and AUC count faces that were not found as failures; the other numbers, also
the percentiles, leave them out. Intervals: 95 %, bootstrap over images."""


def prepare_report(folder: Path) -> None:
    """Check that a report can be written, before anything is measured.

    Raises:
        DarkposeError: Matplotlib is missing, or the folder cannot be made or written to.
    """
    check_matplotlib(folder)
    make_folder(folder)
    try:
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise DarkposeError(f"{folder}: the folder cannot be written to: {error.strerror or error}") from error


def write_report(folder: Path, evaluation: Evaluation) -> None:
    """Write report.md, ced.png, ced.csv, landmarks.png, landmarks.csv and worst.png.

    Raises:
        DarkposeError: Matplotlib is missing, or a file cannot be written.
    """
    make_folder(folder)
    by_face = face_nmes(evaluation.points, evaluation.samples, evaluation.schema)
    _write_curves(folder, evaluation, by_face)
    _write_landmarks(folder, evaluation)
    worst = _draw_worst(folder / "worst.png", evaluation, by_face)
    write_text(folder / "report.md", "\n".join(_markdown(evaluation, worst)) + "\n")


def _write_curves(folder: Path, evaluation: Evaluation, by_face: Floats) -> None:
    """Write the cumulative errors of every subset."""
    members = {
        name: np.array([name == WHOLE or name in sample.subsets for sample in evaluation.samples])
        for name in evaluation.report.subsets
    }
    curves = {name: ced(by_face[member], THRESHOLDS) for name, member in members.items()}
    plot_ced(folder / "ced.png", THRESHOLDS, curves, evaluation.report.normaliser)
    rows = zip(THRESHOLDS.round(3), *curves.values(), strict=True)
    write_text(folder / "ced.csv", _csv(["nme_percent", *curves], rows))


def _write_landmarks(folder: Path, evaluation: Evaluation) -> None:
    """Write the error of every landmark."""
    report, schema = evaluation.report, evaluation.schema
    errors = np.array([report.nme_by_landmark[name] for name in schema.names])
    plot_landmark_errors(folder / "landmarks.png", mean_face(evaluation.samples), errors, schema, report.normaliser)
    region = {int(i): name for name, part in regions(schema).items() for i in part}
    rows = ([i, name, region.get(i, ""), round(float(errors[i]), 4)] for i, name in enumerate(schema.names))
    write_text(folder / "landmarks.csv", _csv(["index", "landmark", "region", "nme_percent"], rows))


def mean_face(samples: Sequence[Sample]) -> Floats:
    """Mean landmarks (K, 2) of faces, each centred and scaled to the box of its landmarks.

    Landmarks that are annotated nowhere are NaN.
    """
    total, count = np.zeros(samples[0].keypoints.shape), np.zeros(len(samples[0].keypoints))
    for sample in samples:
        seen = sample.visible > 0
        if not seen.any():
            continue
        box = landmark_box(sample.keypoints[seen])
        side = (box[2:] - box[:2]).max()
        if side == 0:  # one point has no size
            continue
        total[seen] += (sample.keypoints[seen] - (box[:2] + box[2:]) / 2) / side
        count += seen
    return np.asarray(np.where(count[:, None] > 0, total / np.maximum(count, 1)[:, None], np.nan))


def _csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()


def _draw_worst(path: Path, evaluation: Evaluation, by_face: Floats) -> list[str]:
    """Draw the found faces with the largest errors; a line for each, in order, or none if they cannot be drawn."""
    path.unlink(missing_ok=True)  # of an earlier report
    found = np.flatnonzero(np.isfinite(by_face))
    chosen = found[np.argsort(-by_face[found], kind="stable")][:WORST]
    samples = [evaluation.samples[i] for i in chosen]
    try:
        sheet = error_sheet(samples, evaluation.points[chosen])
    except DarkposeError:  # no face was found, or the images are missing
        return []
    write_image(path, sheet)
    return [f"{i}: {sample.image.name}, NME {by_face[i]:.2f}" for i, sample in zip(chosen, samples, strict=True)]


def _markdown(evaluation: Evaluation, worst: Sequence[str]) -> list[str]:
    report = evaluation.report
    whole = report.subsets[WHOLE]
    lines = [
        f"# Evaluation: {evaluation.recipe}",
        f"\nPredictions: `{evaluation.file.name}` ({evaluation.name}).",
        *_facts(evaluation),
        f"All numbers in per cent of {report.normaliser.replace('_', ' ')}.",
        f"\n{_HOW}\n",
        f"Published row: {report.published_line().removeprefix('published row: ')}.",
        *_table(_SUBSETS, _subsets(report)),
        "## Other normalisers",
        *_table(["subset", *whole.nme_by_normaliser], _rows(evaluation, "nme_by_normaliser")),
        "## Regions of the face",
        *_table(["subset", *whole.nme_by_region], _rows(evaluation, "nme_by_region")),
        "![error of every landmark on the mean face](landmarks.png)",
        "## Cumulative error",
        "![cumulative error distributions](ced.png)",
    ]
    if evaluation.others:
        lines += ["## The same faces in other ways", *_table(_OTHERS, _others(evaluation))]
    if worst:
        picture = "![the faces with the largest errors](worst.png)"
        lines += ["## The largest errors", "Annotated green, predicted red; row by row:", *_bullets(worst), picture]
    return ["\n" + line if line[0] in "#![" else line for line in lines]


def _facts(evaluation: Evaluation) -> list[str]:
    """Facts in the file of predictions."""
    names = {"system": "system", "data_set": "data set", "markup": "schema", "weights": "weights"}
    names |= {"weights_sha256": "weights sha256", "kernel_size": "kernel size"}
    facts = [f"{name} {evaluation.header[key]}" for key, name in names.items() if key in evaluation.header]
    return [f"{', '.join(facts)}."] if facts else []


_SUBSETS = [
    *("subset", "faces", "missed", "NME", "95 % interval", "mean of faces", "FR 8", "FR 10", "AUC 8", "AUC 10"),
    *("median", "P90", "P95", "P99", "published"),
]


def _subsets(report: ErrorReport) -> list[list[object]]:
    published = report.comparable()
    return [
        [
            *(name, row.faces, row.missed, f"**{row.nme:.3f}**", f"{row.interval[0]:.2f} .. {row.interval[1]:.2f}"),
            *(f"{value:.2f}" for value in (row.nme_by_face, *row.failure_rates.values(), *row.aucs.values())),
            *(f"{value:.2f}" for value in row.percentiles.values()),
            f"{published[name]:.2f}" if name in published else "-",
        ]
        for name, row in report.subsets.items()
    ]


def _rows(evaluation: Evaluation, field: str) -> list[list[object]]:
    subsets = evaluation.report.subsets
    return [
        [name, *("-" if np.isnan(value) else f"{value:.2f}" for value in getattr(row, field).values())]
        for name, row in subsets.items()
    ]


_OTHERS = ["predictions", "missed", "NME", "FR 10", "this report minus it", "95 % interval"]


def _others(evaluation: Evaluation) -> list[list[object]]:
    rows = []
    for other in evaluation.others:
        row, (low, high) = other.report.subsets[WHOLE], other.comparison.interval
        difference = f"{other.comparison.difference:+.3f}"
        numbers = [row.missed, f"{row.nme:.3f}", f"{row.failure_rates[10]:.2f}"]
        rows.append([other.name, *numbers, difference, f"{low:+.3f} .. {high:+.3f}"])
    return rows


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["\n" + "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"]


def _bullets(lines: Sequence[str]) -> list[str]:
    return ["\n" + "\n".join(f"* {line}" for line in lines) + "\n"]
