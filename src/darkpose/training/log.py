"""The log of a training run: one JSON line per step and per validation."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from darkpose.errors import DarkposeError
from darkpose.files.atomic import append, write_atomically
from darkpose.files.json_text import format_json, parse_json_lines
from darkpose.files.text import read_text


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read the lines of a log, in order, without a last line that a killed run left half-written.

    Raises:
        DarkposeError: the file cannot be read, or another line is damaged.
    """
    lines = []
    for number, values in parse_json_lines(read_text(path), path):
        if not isinstance(values, dict) or not all(_is_count(values.get(name, 0)) for name in ("epoch", "iter")):
            raise DarkposeError(f"{path}, line {number}: not a line of a training log; epoch and iter are numbers")
        if "epoch" not in values:
            raise DarkposeError(f"{path}, line {number}: not a line of a training log, it has no epoch")
        lines.append(values)
    return lines


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


class RunLog:
    """The log of a run, written by one process. On a full disk, lines are kept in memory until they can be written.

    Attributes:
        path: of the file.
        writes: whether this process writes.
    """

    def __init__(self, path: Path, *, writes: bool) -> None:
        self.path, self.writes = path, writes
        self._waiting: list[str] = []

    def write(self, **values: Any) -> None:
        """Append a line."""
        if not self.writes:
            return
        self._waiting.append(format_json(values) + "\n")
        try:
            append(self.path, "".join(self._waiting))
            self._waiting.clear()
        except OSError as error:
            if len(self._waiting) == 1:
                tqdm.write(
                    f"{self.path}: cannot be written ({error.strerror or error}); its lines are kept in memory",
                    file=sys.stderr,
                )

    def forget_after(self, epoch: int, iteration: int | None = None) -> None:
        """Remove the steps from `iteration` on (None: of later epochs) and later validations, which will run again."""
        if self.writes and self.path.exists():
            lines = [line for line in read_log(self.path) if _is_before(line, epoch, iteration)]
            text = "".join(format_json(line) + "\n" for line in lines)
            write_atomically(self.path, lambda temporary: temporary.write_text(text))


def _is_before(line: Mapping[str, Any], epoch: int, iteration: int | None) -> bool:
    if iteration is None or "iter" not in line:
        return bool(line["epoch"] <= epoch)
    return bool(line["iter"] < iteration)
