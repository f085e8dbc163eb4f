"""Matplotlib figures written to PNG files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from darkpose.errors import DarkposeError
from darkpose.files.atomic import write_atomically


def check_matplotlib(what: object) -> None:
    """Check that Matplotlib is installed.

    Args:
        what: the plot or its file, named in the message.

    Raises:
        DarkposeError: it is not.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise DarkposeError(f"{what}: plots need Matplotlib: pip install 'darkpose[report]'") from error


def write_figure(path: Path, size: tuple[float, float], draw: Callable[[Any], None], *, columns: int = 1) -> None:
    """Write a PNG in one rename.

    Args:
        path: of the file.
        size: (width, height) in inches, at 130 dpi.
        draw: draws into the Matplotlib axes: one, or an array of them, one per column.
        columns: axes side by side.

    Raises:
        DarkposeError: Matplotlib is missing, or the file cannot be written.
    """
    check_matplotlib(path)
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained", dpi=130)
    draw(figure.subplots(1, columns))
    write_atomically(path, lambda temporary: figure.savefig(temporary, format="png"))
