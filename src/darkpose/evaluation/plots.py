"""Plots by Matplotlib: error distributions, the error of every landmark on a mean face, the course of training runs."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from darkpose.evaluation.course import course_of
from darkpose.files.figure import write_figure
from darkpose.image.geometry import Floats
from darkpose.schema import KeypointSchema, regions

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_POINTS = 300  # of a curve over training steps


def plot_ced(path: Path, thresholds: Floats, curves: Mapping[str, Floats], normaliser: str) -> None:
    """Plot the cumulative error distributions of sets of faces as a PNG file.

    Args:
        path: of the picture.
        thresholds: (T,) per cent.
        curves: name -> (T,) share of faces whose mean error does not exceed the threshold; the first is drawn thicker.
        normaliser: of the errors, for the axis.

    Raises:
        DarkposeError: Matplotlib is missing, or the file cannot be written.
    """

    def draw(axes: "Axes") -> None:
        for number, (name, shares) in enumerate(curves.items()):
            axes.plot(thresholds, 100 * shares, label=name, linewidth=1.2 if number else 2.6)
        for limit in (8, 10):
            if limit <= thresholds[-1]:
                axes.axvline(limit, color="grey", linewidth=0.8, linestyle=":")
        axes.set(
            xlabel=f"NME of a face over {normaliser.replace('_', ' ')} (%)",
            ylabel="share of faces (%)",
            xlim=(0, float(thresholds[-1])),
            ylim=(0, 100),
        )
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right")

    write_figure(path, (6.4, 4.4), draw)


def plot_landmark_errors(path: Path, face: Floats, errors: Floats, schema: KeypointSchema, normaliser: str) -> None:
    """Plot the error of every landmark on a mean face as a PNG file, with the mean of every region.

    Args:
        path: of the picture.
        face: (K, 2) mean landmarks, y downwards, any unit.
        errors: (K,) NME per landmark in per cent; NaN if there is none.
        schema: of the landmarks.
        normaliser: of the errors, for the scale.

    Raises:
        DarkposeError: Matplotlib is missing, or the file cannot be written.
    """

    def draw(axes: "Axes") -> None:
        known = np.isfinite(errors)
        for line in schema.outlines:
            for i, j in pairwise(line):
                if known[i] and known[j]:
                    axes.plot(*face[[i, j]].T, color="lightgrey", linewidth=1, zorder=1)
        largest = float(errors[known].max()) if (errors[known] > 0).any() else 1.0
        x, y = face[known].T
        marks = axes.scatter(x, y, s=12 + 130 * errors[known] / largest, c=errors[known], cmap="viridis_r", zorder=2)
        assert axes.figure is not None
        axes.figure.colorbar(marks, ax=axes, label=f"NME over {normaliser.replace('_', ' ')} (%)", shrink=0.8)
        means = [
            f"{name} {np.nanmean(errors[part]):.2f}" for name, part in regions(schema).items() if known[part].any()
        ]
        axes.set_title(", ".join(means), fontsize=9)
        axes.set_aspect("equal")
        axes.invert_yaxis()
        axes.axis("off")

    write_figure(path, (6.4, 5.6), draw)


def plot_training(path: Path, runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Plot loss, learning rate and validation NME of training runs by epoch as a PNG file.

    Args:
        path: of the picture.
        runs: name -> the lines of its log, as read by `training.log.read_log`.

    Raises:
        DarkposeError: Matplotlib is missing, the lines of a run cannot be used, or the file cannot be written.
    """
    courses = {name: course_of(name, lines) for name, lines in runs.items()}

    def draw(axes: "NDArray[Any]") -> None:
        loss, rate, error = axes
        for name, (steps, validations) in courses.items():
            where = [step.iter / courses[name].steps_per_epoch for step in steps]
            per_point = -(-len(steps) // MAX_POINTS)  # of a long log, means over some steps are drawn
            groups = [steps[i : i + per_point] for i in range(0, len(steps), per_point)]
            means = [np.mean([step.loss for step in group]) for group in groups]
            loss.semilogy(where[::per_point], means, linewidth=0.9, label=name)
            rate.plot(where, [step.lr for step in steps])
            lowest = f": lowest {100 * min(nme for _, nme in validations):.2f} %" if validations else ""
            error.plot(
                [epoch for epoch, _ in validations],
                [100 * nme for _, nme in validations],
                marker=".",
                label=f"{name}{lowest}",
            )
        loss.set(xlabel="epoch", ylabel="loss")
        rate.set(xlabel="epoch", ylabel="learning rate")
        every = [100 * nme for course in courses.values() for _, nme in course.validations]
        error.set(xlabel="epoch", ylabel="validation NME (%)")
        if every:  # without the high errors of the first epochs
            error.set_ylim(0.95 * min(every), min(1.05 * max(every), 2 * float(np.median(every))))
        for each in axes:
            each.grid(alpha=0.3)
        error.legend(fontsize=8)

    write_figure(path, (13, 3.8), draw, columns=3)


def plot_by_crop_size(path: Path, sizes: Sequence[int], curves: Mapping[str, Sequence[float]], error: str) -> None:
    """Plot errors against the side of the crop as a PNG file, with logarithmic axes.

    Args:
        path: of the picture.
        sizes: (S,) sides in px.
        curves: name -> (S,) errors in per cent; NaN if there is none.
        error: name of the error, for the axis.

    Raises:
        DarkposeError: Matplotlib is missing, or the file cannot be written.
    """

    def draw(axes: "Axes") -> None:
        for name, values in curves.items():
            axes.loglog(sizes, values, marker="o", label=name)
        axes.set_xticks(list(sizes), [str(size) for size in sizes])
        axes.set_xticks([], minor=True)
        ticks = [2, 3, 4, 5, 6, 8, 10, 15, 20]
        axes.set_yticks(ticks, [str(tick) for tick in ticks])
        axes.set_yticks([], minor=True)
        every = np.array(list(curves.values()))
        axes.set(xlabel="side of the crop (px)", ylabel=error, ylim=(0.9 * np.nanmin(every), 1.1 * np.nanmax(every)))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)

    write_figure(path, (6.4, 4.6), draw)


def plot_parity(path: Path, runs: Mapping[str, Floats], budget: tuple[float, float], names: Sequence[str]) -> None:
    """Plot the distances of an exported file's landmarks from those of torch, by landmark, as a PNG file.

    Args:
        path: of the picture.
        runs: name of a runtime -> (N, K) distances in crop px.
        budget: for the 99th percentile and the maximum, crop px.
        names: of the landmarks.

    Raises:
        DarkposeError: Matplotlib is missing, or the file cannot be written.
    """

    def draw(axes: "Axes") -> None:
        floor = 1e-6  # smaller differences are below the precision of float32
        for number, (name, distances) in enumerate(runs.items()):
            worst, middle = np.nanmax(distances, axis=0), np.nanmean(distances, axis=0)
            axes.plot(np.maximum(worst, floor), f"C{number}o", markersize=4, label=f"{name}: worst face")
            axes.plot(np.maximum(middle, floor), f"C{number}_", markersize=7, label=f"{name}: mean")
        for limit, what in zip(budget, ("P99", "worst"), strict=True):
            axes.axhline(limit, color="grey", linewidth=1, linestyle=":")
            axes.annotate(f"allowed, {what}", (0, limit), fontsize=7, color="grey", va="bottom")
        axes.set(yscale="log", xlabel="landmark", ylabel="distance from torch (crop px)", xlim=(-1, len(names)))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)

    write_figure(path, (8.0, 4.4), draw)


def plot_speed(
    path: Path,
    batches: Mapping[str, Mapping[int, float]],
    stages: Mapping[str, Mapping[str, float]],
    first: int,
    title: str,
) -> None:
    """Plot a benchmark as a PNG file: crops to landmarks by batch size, and photograph to landmarks by stage.

    Args:
        path: of the picture.
        batches: name of a way -> batch size -> ms per face.
        stages: name of a way -> stage -> ms per face.
        first: batch size of the stages.
        title: of the picture.

    Raises:
        DarkposeError: Matplotlib is missing, or the file cannot be written.
    """
    names, sizes = list(batches), list(next(iter(batches.values())))
    places = np.arange(len(names), dtype=float)
    kinds = list(dict.fromkeys(kind for each in stages.values() for kind in each))

    def draw(axes: "NDArray[Any]") -> None:
        left, right = axes
        height = 0.8 / len(sizes)
        for number, size in enumerate(sizes):
            values = np.array([batches[name][size] for name in names])
            bars = left.barh(places + height * (number - (len(sizes) - 1) / 2), values, height, label=f"batch {size}")
            left.bar_label(bars, fmt="%.1f", fontsize=6, padding=2)
        left.set_title("Crops to landmarks", fontsize=10)
        offset = np.zeros(len(names))
        for number, kind in enumerate(kinds):
            values = np.array([stages[name].get(kind, 0.0) for name in names])
            right.barh(places, values, 0.7, offset, label=kind, color=f"C{number}")
            offset += values
        for place, total in zip(places, offset, strict=True):
            right.text(total, place, f" {1000 / total:.0f}/s", va="center", fontsize=7)
        right.set_title(f"Photograph to landmarks, batch {first}; faces per second", fontsize=10)
        for each in axes:
            each.set_yticks(places, names, fontsize=8)
            each.invert_yaxis()
            each.set_xlabel("ms per face")
            each.set_xlim(0, 1.12 * each.get_xlim()[1])
            each.grid(axis="x", alpha=0.3)
            each.legend(fontsize=7, loc="lower right")
        left.figure.suptitle(title, fontsize=10)

    write_figure(path, (13, 1.6 + 0.46 * len(names)), draw, columns=2)
