"""What commands print: results on standard output, as JSON or lines for people; the rest on standard error."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from darkpose.errors import shown
from darkpose.files.json_text import format_json

if TYPE_CHECKING:
    from darkpose.predict.predictor import Predictor


def print_result(values: Any, lines: Iterable[str], *, json: bool) -> None:
    """Print JSON values, or lines; names and texts from files cannot add lines or control the terminal."""
    if json:
        print_json(values, indent=2)
    else:
        print_lines(*lines)


def print_json(values: Any, *, indent: int | None = None) -> None:
    """Print JSON values, on one line unless there is an indent."""
    print(format_json(values, indent=indent), flush=True)


def print_lines(*lines: str) -> None:
    """Print lines of a result."""
    print("\n".join(map(shown, lines)), flush=True)


def tell(message: str) -> None:
    """Print a line that is no result."""
    print(f"darkpose: {shown(message)}", file=sys.stderr)


def tell_facts(predictor: "Predictor", covariance: bool, *, on_cluster: bool = False) -> None:
    """Report missing calibrations, and the runtime."""
    if covariance and not predictor.calibrated:
        tell(f"the weights have no calibration for {predictor.schema.name}: covariances are unknown")
    if not on_cluster:
        tell(f"runtime: {predictor.runtime}")


def count_of(number: int, noun: str) -> str:
    """A number of things: "1 face", "2 faces"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
