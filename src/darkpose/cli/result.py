"""The result of a command on standard output: JSON, or lines for people."""

from collections.abc import Iterable
from typing import Any

from darkpose.errors import shown
from darkpose.files.json_text import format_json


def print_result(values: Any, lines: Iterable[str], *, json: bool) -> None:
    """Print JSON values, or lines; names and texts from files cannot add lines or control the terminal."""
    print(format_json(values, indent=2) if json else "\n".join(map(shown, lines)), flush=True)
