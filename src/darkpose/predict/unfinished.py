"""The results of a run that makes one file (CSV, COCO), kept as they come.

    landmarks.csv.unfinished    first line: everything the results depend on except the images; then a line per image

Each line is on the disk before the next image. When all images are done, the file of the run is made and this one is
removed. The same command continues a run that was killed or ran into a full disk.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from darkpose.errors import DarkposeError
from darkpose.files.atomic import append
from darkpose.files.json_text import format_json, parse_json
from darkpose.files.lock import lock_open_file
from darkpose.files.paths import check_regular, exists
from darkpose.files.records import parse_record

Entry = dict[str, Any]  # as `formats.to_dict` makes it, and "place": where the image is, however it is named
_ADVICE = "remove this file, or name another --output"


class Unfinished(AbstractContextManager["Unfinished"]):
    """The results so far, of one process; iterating reads them from the file, so that they are not held in memory.

    Attributes:
        path: of the file.
        done: places of the images that it has.
        kept: numbers of these that an earlier run made: "images", "faces", "faceless".
    """

    def __init__(self, path: Path, facts: Mapping[str, Any]) -> None:
        """Begin, or continue an earlier run; the file is locked until `__exit__`, or until the process ends.

        Args:
            path: of the file.
            facts: JSON values of everything the results depend on except the images.

        Raises:
            DarkposeError: the file is of a run with other settings, another process writes it, or it cannot be read or
                written.
        """
        self.path, self.done, self._held = path, set[str](), ExitStack()
        self.kept = {"images": 0, "faces": 0, "faceless": 0}
        try:
            self._open(format_json({"darkpose_unfinished": 2, **facts}))
            for entry in self:
                self.done.add(entry["place"])
                self.kept["images"] += 1
                self.kept["faces"] += len(entry["faces"])
                self.kept["faceless"] += not entry["faces"]
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
                f"{self.path}: an unfinished run with other options; run it again with the same ones, {_ADVICE}"
            )

    def check(self, places: Iterable[str]) -> None:
        """Refuse to continue a run of other images.

        Raises:
            DarkposeError: the file has an image that is not at one of the places.
        """
        if others := self.done.difference(places):
            raise DarkposeError(
                f"{self.path}: an unfinished run of other images, for example {min(others)}; run it again with the "
                f"same ones, {_ADVICE}"
            )

    def add(self, entry: Entry) -> None:
        """Append an image's results.

        Raises:
            DarkposeError: the disk is full or gone; what was there before stays.
        """
        try:
            self.path.stat()  # a file that somebody removed is not begun again
            append(self.path, format_json(entry) + "\n")
        except OSError as error:
            raise DarkposeError(
                f"{self.path}: cannot be written: {error.strerror or error}; the same command continues the run"
            ) from error
        self.done.add(entry["place"])

    def __iter__(self) -> Iterator[Entry]:
        """The results, in the order in which they came.

        Raises:
            DarkposeError: the file is damaged or gone.
        """
        try:
            with self.path.open(encoding="utf-8") as file:
                file.readline()
                for number, line in enumerate(file, 2):
                    yield _parse(line, f"{self.path}: line {number}")
        except (OSError, UnicodeDecodeError) as error:
            raise DarkposeError(f"{self.path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error

    def remove(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Unlock the file."""
        self._held.close()


@dataclass(frozen=True)
class _Face:
    """What the files of a run need of a face."""

    markup: str
    box: tuple[float, float, float, float]
    found_by: str
    runtime: str
    rolled: int
    reliable: bool
    detection_score: float | None
    score: float | None
    keypoints: tuple[tuple[float | None, float | None], ...]
    scores: tuple[float | None, ...]
    names: tuple[str, ...]
    covariances: tuple[tuple[tuple[float, float], tuple[float, float]] | None, ...] | None = None

    def __post_init__(self) -> None:
        lengths = {len(each) for each in (self.keypoints, self.scores, self.names, self.covariances or self.names)}
        if len(lengths) > 1:
            raise DarkposeError(f"a face has lists of {sorted(lengths)} values")


@dataclass(frozen=True)
class _Written:
    """A line."""

    place: str
    image: str
    width: int
    height: int
    faces: tuple[_Face, ...]


def _parse(line: str, where: str) -> Entry:
    """The entry of a line, with the types of its fields checked."""
    try:
        entry = parse_json(line)
        parse_record(_Written, entry)
    except DarkposeError as error:
        raise DarkposeError(f"{where} is damaged ({error}); {_ADVICE}") from error
    return dict(entry)


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
