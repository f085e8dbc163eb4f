"""Plots of an evaluation, by Matplotlib: error distributions and the error of every landmark on a mean face."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from darkpose.atomic import write_atomically
from darkpose.errors import DarkposeError
from darkpose.schema import KeypointSchema, regions

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]


def plot_ced(path: Path, thresholds: Floats, curves: Mapping[str, Floats], normaliser: str) -> None:
    """Write the cumulative error distributions of some sets of faces as a PNG.

    Args:
        path: of the picture.
        thresholds: (T,) per cent.
        curves: name -> (T,) share of faces whose mean error does not exceed the threshold; the first is drawn thicker.
        normaliser: the errors' unit, for the axis.

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

    _write(path, (6.4, 4.4), draw)


def plot_landmark_errors(path: Path, face: Floats, errors: Floats, schema: KeypointSchema, normaliser: str) -> None:
    """Write the error of every landmark, as size and colour on a mean face, as a PNG, with the mean of every region.

    Args:
        path: of the picture.
        face: (K, 2) mean landmarks, y downwards, any unit.
        errors: (K,) NME per landmark in per cent; NaN where there is none.
        schema: the markup.
        normaliser: the errors' unit, for the scale.

    Raises:
        DarkposeError: Matplotlib is missing, or the file cannot be written.
    """

    def draw(axes: "Axes") -> None:
        for line in schema.outlines:
            axes.plot(*face[list(line)].T, color="lightgrey", linewidth=1, zorder=1)
        known = np.isfinite(errors)
        largest = float(errors[known].max()) if known.any() else 1.0
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

    _write(path, (6.4, 5.6), draw)


def _write(path: Path, size: tuple[float, float], draw: Callable[[Any], None]) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise DarkposeError(f"{path}: plots need Matplotlib: pip install 'darkpose[report]'") from error
    figure = Figure(figsize=size, layout="constrained", dpi=130)
    draw(figure.subplots())
    write_atomically(path, lambda temporary: figure.savefig(temporary, format="png"))
