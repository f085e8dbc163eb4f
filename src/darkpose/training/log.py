"""The log of a training run: one JSON line per step and per validation."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from darkpose.errors import DarkposeError
from darkpose.files.atomic import write_atomically


def read_log(path: Path) -> list[dict[str, Any]]:
    """The lines of a log, in order; a last line that a killed run left half-written is not one.

    Raises:
        DarkposeError: the file cannot be read, or another line is damaged.
    """
    try:
        written = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DarkposeError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    lines = []
    for number, line in enumerate(written, 1):
        try:
            values = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(written):
                break
            raise DarkposeError(f"{path}, line {number}: not a line of a run's log ({error})") from error
        if not isinstance(values, dict) or "epoch" not in values:
            raise DarkposeError(f"{path}, line {number}: not a line of a run's log, which names its epoch")
        lines.append(values)
    return lines


class RunLog:
    """A log that is written to by one process. On a full disk, lines wait in memory until they can be written.

    Attributes:
        path: of the file.
        writes: whether this process is the one.
    """

    def __init__(self, path: Path, *, writes: bool) -> None:
        self.path, self.writes = path, writes
        self._waiting: list[str] = []

    def write(self, **values: Any) -> None:
        """Append a line."""
        if not self.writes:
            return
        self._waiting.append(json.dumps(values) + "\n")
        try:
            _append(self.path, "".join(self._waiting))
            self._waiting.clear()
        except OSError as error:
            if len(self._waiting) == 1:
                tqdm.write(
                    f"{self.path}: cannot be written ({error.strerror or error}); its lines wait in memory",
                    file=sys.stderr,
                )

    def forget_after(self, epoch: int, iteration: int | None = None) -> None:
        """Drop what will be run again: the steps from `iteration` on (None: of later epochs), later validations."""
        if self.writes and self.path.exists():
            lines = [line for line in read_log(self.path) if _is_before(line, epoch, iteration)]
            text = "".join(json.dumps(line) + "\n" for line in lines)
            write_atomically(self.path, lambda temporary: temporary.write_text(text))


def _is_before(line: Mapping[str, Any], epoch: int, iteration: int | None) -> bool:
    if iteration is None or "iter" not in line:
        return bool(line["epoch"] <= epoch)
    return bool(line["iter"] < iteration)


def _append(path: Path, text: str) -> None:
    """Append the whole text or nothing."""
    with path.open("ab", buffering=0) as file:
        before = os.fstat(file.fileno()).st_size
        data = text.encode()
        try:
            if file.write(data) != len(data):
                raise OSError("the disk took a part of a line")
        except OSError:
            os.ftruncate(file.fileno(), before)
            raise
