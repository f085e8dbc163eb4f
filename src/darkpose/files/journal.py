"""The file of a run that is not finished: a line for each step, on the disk before the next step.

The first line holds everything the results depend on. The same command continues a run that was killed or ran into a
full disk.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from darkpose.errors import DarkposeError
from darkpose.files.atomic import append
from darkpose.files.json_text import format_json
from darkpose.files.lock import lock_open_file
from darkpose.files.paths import check_regular, exists

ADVICE = "remove this file, or name another --output"


class Journal(AbstractContextManager["Journal"]):
    """Lines of JSON, of one process; iterating reads them from the file, so that they are not held in memory.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: Path, head: Mapping[str, Any]) -> None:
        """Begin, or continue an earlier run; the file is locked until `__exit__`, or until the process ends.

        Args:
            path: of the file.
            head: JSON values of the first line.

        Raises:
            DarkposeError: the file is of a run with another head, another process writes it, or it cannot be read or
                written.
        """
        self.path, self._held = path, ExitStack()
        try:
            self._open(format_json(head))
        except BaseException:
            self._held.close()
            raise

    def _open(self, head: str) -> None:
        """Lock the file, drop what a killed process wrote last, and compare the first line."""
        try:
            if exists(self.path):
                check_regular(self.path)
            file = self._held.enter_context(self.path.open("a+", encoding="utf-8"))
            self._held.enter_context(lock_open_file(file, wait=False))
            with self.path.open("rb+") as data:  # not there: the other process has just ended
                _drop_half_a_line(data)
            if not file.seek(0, os.SEEK_END):
                file.write(head + "\n")
                file.flush()
            file.seek(0)
            first = file.readline(len(head) + 2).rstrip("\n")
        except (BlockingIOError, FileNotFoundError) as error:
            raise DarkposeError(
                f"{self.path}: another process writes this run; wait, or name another --output"
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise DarkposeError(f"{self.path}: cannot be used: {getattr(error, 'strerror', None) or error}") from error
        if first != head:
            raise DarkposeError(
                f"{self.path}: an unfinished run with other options; run it again with the same ones, {ADVICE}"
            )

    def add(self, values: Mapping[str, Any]) -> None:
        """Append a line.

        Raises:
            DarkposeError: the disk is full or gone; what was there before stays.
        """
        try:
            self.path.stat()  # a file that somebody removed is not begun again
            append(self.path, format_json(values) + "\n")
        except OSError as error:
            raise DarkposeError(
                f"{self.path}: cannot be written: {error.strerror or error}; the same command continues the run"
            ) from error

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """The place of each line for messages, and the line, in the order in which they came, without the first.

        Raises:
            DarkposeError: the file is damaged or gone.
        """
        try:
            with self.path.open(encoding="utf-8") as file:
                file.readline()
                for number, line in enumerate(file, 2):
                    yield f"{self.path}: line {number}", line
        except (OSError, UnicodeDecodeError) as error:
            raise DarkposeError(f"{self.path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error

    def keep(self, count: int) -> None:
        """Drop the lines after the first `count`, that of the head not counted.

        Raises:
            DarkposeError: the file cannot be written.
        """
        try:
            with self.path.open("rb+") as file:
                for _ in range(count + 1):
                    file.readline()
                file.truncate(file.tell())
        except OSError as error:
            raise DarkposeError(f"{self.path}: cannot be written: {error.strerror or error}") from error

    def remove(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Unlock the file."""
        self._held.close()


def _drop_half_a_line(file: IO[bytes], step: int = 1 << 16) -> None:
    """Cut a file behind its last line feed."""
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        start = max(0, end - step)
        file.seek(start)
        if (found := file.read(end - start).rfind(b"\n")) >= 0:
            file.truncate(start + found + 1)
            return
        end = start
    file.truncate(0)
