"""An evaluation as a folder for an appendix: report.md, its pictures, and the curves and landmarks as CSV."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from darkpose.datasets.contact_sheet import error_sheet
from darkpose.errors import DarkposeError
from darkpose.evaluation.evaluate import Evaluation
from darkpose.evaluation.metrics import ced
from darkpose.evaluation.plots import plot_ced, plot_landmark_errors
from darkpose.evaluation.report import WHOLE_SET, face_nmes, mean_face
from darkpose.files.atomic import make_folder, write_text
from darkpose.files.figure import check_matplotlib
from darkpose.image.pixels import write_image
from darkpose.schema import regions

THRESHOLDS = np.linspace(0, 20, 401)  # per cent
WORST = 12

_HOW = """NME: distance of every landmark from its annotation over the face's normaliser, pooled over all visible
landmarks of all faces found. FR and AUC count faces that were not found as failures; everything else, percentiles too,
leaves them out. Intervals: 95 %, bootstrap over images."""


def prepare_report(folder: Path) -> None:
    """Make sure that a report can be written, before anything is measured.

    Raises:
        DarkposeError: Matplotlib is missing, or the folder cannot be made or written to.
    """
    check_matplotlib(folder)
    make_folder(folder)
    write_text(folder / ".writable", "")
    (folder / ".writable").unlink()


def write_report(folder: Path, evaluation: Evaluation) -> None:
    """Write report.md, ced.png, ced.csv, landmarks.png, landmarks.csv and worst.png.

    Raises:
        DarkposeError: Matplotlib is missing, or a file cannot be written.
    """
    make_folder(folder)
    report, samples, schema = evaluation.report, evaluation.samples, evaluation.schema
    by_face = face_nmes(evaluation.points, samples, schema)
    members = {
        name: np.array([name == "all" or name in sample.subsets for sample in samples]) for name in report.subsets
    }
    curves = {name: ced(by_face[member], THRESHOLDS) for name, member in members.items()}
    plot_ced(folder / "ced.png", THRESHOLDS, curves, report.normaliser)
    write_text(
        folder / "ced.csv", _csv(["nme_percent", *curves], zip(THRESHOLDS.round(3), *curves.values(), strict=True))
    )
    errors = np.array([report.nme_by_landmark[name] for name in schema.names])
    plot_landmark_errors(folder / "landmarks.png", mean_face(samples), errors, schema, report.normaliser)
    region = {int(i): name for name, part in regions(schema).items() for i in part}
    rows = ([i, name, region.get(i, ""), round(float(errors[i]), 4)] for i, name in enumerate(schema.names))
    write_text(folder / "landmarks.csv", _csv(["index", "landmark", "region", "nme_percent"], rows))
    worst = _draw_worst(folder / "worst.png", evaluation, by_face)
    write_text(folder / "report.md", "\n".join(_markdown(evaluation, worst)) + "\n")


def _csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()


def _draw_worst(path: Path, evaluation: Evaluation, by_face: NDArray[np.float64]) -> list[str]:
    """Draw the found faces with the largest errors; a line on each, in the picture's order, none if they cannot be."""
    path.unlink(missing_ok=True)  # of an earlier report
    found = np.flatnonzero(np.isfinite(by_face))
    chosen = found[np.argsort(-by_face[found], kind="stable")][:WORST]
    samples = [evaluation.samples[i] for i in chosen]
    try:
        write_image(path, error_sheet(samples, evaluation.points[chosen]))
    except DarkposeError:  # nothing found, or the images are gone
        return []
    return [f"{i}: {sample.image.name}, NME {by_face[i]:.2f}" for i, sample in zip(chosen, samples, strict=True)]


def _markdown(evaluation: Evaluation, worst: Sequence[str]) -> list[str]:
    report = evaluation.report
    lengths, parts = (list(v) for v in (report.subsets["all"].nme_by_normaliser, report.subsets["all"].nme_by_region))
    comparable = {} if report.caveats else report.published
    printed = {WHOLE_SET.get(name, name): f"{value:.2f}" for name, value in comparable.items()}
    measured = [
        [name, row.faces, row.missed, f"**{row.nme:.3f}**", f"{row.interval[0]:.2f} .. {row.interval[1]:.2f}"]
        + [f"{row.nme_by_face:.2f}"]
        + [f"{value:.2f}" for value in (*row.failure_rates.values(), *row.aucs.values(), *row.percentiles.values())]
        + [printed.get(name, "-")]
        for name, row in report.subsets.items()
    ]
    head = ["subset", "faces", "missed", "NME", "95 % interval", "mean of faces", "FR 8", "FR 10", "AUC 8", "AUC 10"]
    lines = [
        f"# Evaluation: {evaluation.recipe}",
        f"\nPredictions: `{evaluation.file.name}` ({evaluation.name}).",
        *_facts(evaluation),
        f"All numbers in per cent of {report.normaliser.replace('_', ' ')}.",
        f"\n{_HOW}\n",
        f"Published row: {report.published_line().removeprefix('published row: ')}.",
        *_table([*head, "median", "P90", "P95", "P99", "published"], measured),
        "## Other normalisers",
        *_table(["subset", *lengths], _rows(evaluation, "nme_by_normaliser")),
        "## Regions of the face",
        *_table(["subset", *parts], _rows(evaluation, "nme_by_region")),
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
    """What the predictions file says of itself."""
    names = ("system", "data_set", "markup", "weights", "weights_sha256", "kernel_size")
    facts = [f"{name.replace('_', ' ')} {evaluation.header[name]}" for name in names if name in evaluation.header]
    return [f"{', '.join(facts)}."] if facts else []


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
        row, (low, high) = other.report.subsets["all"], other.comparison.interval
        difference = f"{other.comparison.difference:+.3f}"
        numbers = [row.missed, f"{row.nme:.3f}", f"{row.failure_rates[10]:.2f}"]
        rows.append([other.name, *numbers, difference, f"{low:+.3f} .. {high:+.3f}"])
    return rows


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["\n" + "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"]


def _bullets(lines: Sequence[str]) -> list[str]:
    return ["\n" + "\n".join(f"* {line}" for line in lines) + "\n"]
