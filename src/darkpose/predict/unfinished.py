"""The results of a run that makes one file (CSV, COCO), kept as they come.

    landmarks.csv.unfinished    first line: everything the results depend on except the images; then a line per image

Each line is on the disk before the next image. When all images are done, the file of the run is made and this one is
removed. The same command continues a run that was killed or ran into a full disk.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from darkpose.errors import DarkposeError
from darkpose.files.atomic import append, write_text

Entry = dict[str, Any]  # as `formats.to_dict` makes it


class Unfinished:
    """The results so far; iterating reads them from the file, so that they are not held in memory.

    Attributes:
        path: of the file.
        done: names of the images that it has.
        kept: numbers of these that an earlier run made: "images", "faces", "faceless".
    """

    def __init__(self, path: Path, facts: Mapping[str, Any]) -> None:
        """Begin, or continue an earlier run.

        Args:
            path: of the file.
            facts: JSON values of everything the results depend on except the images.

        Raises:
            DarkposeError: the file is of a run with other settings, or cannot be read or written.
        """
        self.path, self.done = path, set[str]()
        self.kept = {"images": 0, "faces": 0, "faceless": 0}
        head = json.dumps({"darkpose_unfinished": 1, **facts})
        try:
            if not path.exists():
                write_text(path, head + "\n")
            self._drop_half_a_line()
            with path.open(encoding="utf-8") as file:
                first = file.readline().rstrip("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise DarkposeError(f"{path}: cannot be used: {getattr(error, 'strerror', None) or error}") from error
        if first != head:
            raise DarkposeError(
                f"{path}: an unfinished run with other options; run it again with the same ones, remove this file, or "
                "name another --output"
            )
        for entry in self:
            self.done.add(entry["image"])
            self.kept["images"] += 1
            self.kept["faces"] += len(entry["faces"])
            self.kept["faceless"] += not entry["faces"]

    def _drop_half_a_line(self) -> None:
        """Drop what a killed process wrote last."""
        data = self.path.read_bytes()
        if not data.endswith(b"\n"):
            os.truncate(self.path, data.rfind(b"\n") + 1)

    def add(self, entry: Entry) -> None:
        """Append an image's results.

        Raises:
            DarkposeError: the disk is full or gone; what was there before stays.
        """
        line = json.dumps(entry, allow_nan=False) + "\n"
        try:
            append(self.path, line)
        except OSError as error:
            raise DarkposeError(
                f"{self.path}: cannot be written: {error.strerror or error}; the same command continues the run"
            ) from error
        self.done.add(entry["image"])

    def __iter__(self) -> Iterator[Entry]:
        """The results, in the order in which they came.

        Raises:
            DarkposeError: the file is damaged.
        """
        with self.path.open(encoding="utf-8") as file:
            file.readline()
            for number, line in enumerate(file, 2):
                try:
                    entry = json.loads(line)
                    entry["image"], entry["faces"]
                except (ValueError, KeyError, TypeError) as error:
                    raise DarkposeError(f"{self.path}: line {number} is damaged ({error}); remove the file") from error
                yield entry

    def remove(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)
