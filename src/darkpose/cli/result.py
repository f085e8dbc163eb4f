"""What commands print: results on standard output, as JSON or lines for people; the rest on standard error."""

import sys
from collections.abc import Iterable
from typing import Any

from darkpose.errors import shown
from darkpose.files.json_text import format_json


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
