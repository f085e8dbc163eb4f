"""The log of a training run: one JSON line per log step and per validation."""

import json
from pathlib import Path
from typing import Any

from darkpose.atomic import write_atomically
from darkpose.errors import DarkposeError


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
    """A log that is written to by one process.

    Attributes:
        path: of the file.
        writes: whether this process is the one.
    """

    def __init__(self, path: Path, *, writes: bool) -> None:
        self.path, self.writes = path, writes

    def write(self, **values: Any) -> None:
        """Append a line."""
        if self.writes:
            with self.path.open("a") as file:
                file.write(json.dumps(values) + "\n")

    def forget_after(self, epoch: int) -> None:
        """Drop the lines of later epochs: they will be run again."""
        if self.writes and self.path.exists():
            kept = [json.dumps(line) + "\n" for line in read_log(self.path) if line["epoch"] <= epoch]
            write_atomically(self.path, lambda temporary: temporary.write_text("".join(kept)))
