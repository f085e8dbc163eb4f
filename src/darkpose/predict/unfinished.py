"""The results of a run that makes one file (CSV, COCO), kept as they come.

    landmarks.csv.unfinished    first line: everything the results depend on except the images; then a line per image

Each line is on the disk before the next image. When all images are done, the file of the run is made and this one is
removed. The same command continues a run that was killed or ran into a full disk.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from darkpose.errors import DarkposeError
from darkpose.files.journal import ADVICE, Journal
from darkpose.files.json_text import parse_json
from darkpose.files.records import parse_record

Entry = dict[str, Any]  # as `formats.to_dict` makes it, and "place": where the image is, however it is named


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
        self.path, self.done = path, set[str]()
        self.kept = {"images": 0, "faces": 0, "faceless": 0}
        self._journal = Journal(path, {"darkpose_unfinished": 2, **facts})
        try:
            for entry in self:
                self.done.add(entry["place"])
                self.kept["images"] += 1
                self.kept["faces"] += len(entry["faces"])
                self.kept["faceless"] += not entry["faces"]
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def check(self, places: Iterable[str]) -> None:
        """Refuse to continue a run of other images.

        Raises:
            DarkposeError: the file has an image that is not at one of the places.
        """
        if others := self.done.difference(places):
            raise DarkposeError(
                f"{self.path}: an unfinished run of other images, for example {min(others)}; run it again with the "
                f"same ones, {ADVICE}"
            )

    def add(self, entry: Entry) -> None:
        """Append an image's results.

        Raises:
            DarkposeError: the disk is full or gone; what was there before stays.
        """
        self._journal.add(entry)
        self.done.add(entry["place"])

    def __iter__(self) -> Iterator[Entry]:
        """The results, in the order in which they came.

        Raises:
            DarkposeError: the file is damaged or gone.
        """
        for where, line in self._journal:
            yield _parse(line, where)

    def remove(self) -> None:
        """Remove the file."""
        self._journal.remove()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Unlock the file."""
        self._journal.__exit__(kind, error, trace)


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
    derived: Mapping[str, Any] | None = None

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
        raise DarkposeError(f"{where} is damaged ({error}); {ADVICE}") from error
    return dict(entry)
