"""Landmarks of files, folders and globs: read, predict, write, account for every image."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from darkpose.files.atomic import make_folder, write_text
from darkpose.image.pixels import Pixels, read_image, write_image
from darkpose.predict.draw import draw_faces, zoom_for
from darkpose.predict.formats import ImageResult, to_coco, to_csv, to_json, to_pts
from darkpose.predict.given_boxes import GivenBoxes
from darkpose.predict.inputs import OVERLAY, Input
from darkpose.predict.predictor import BoxKind, Predictor
from darkpose.predict.stream import Looked, stream
from darkpose.schema import KeypointSchema

Format = Literal["json", "csv", "pts", "coco"]


@dataclass(frozen=True)
class Outcome:
    """What became of one image.

    Attributes:
        path: as the user gave it.
        result: its faces; None where it could not be used.
        problem: a sentence, where it could not be used or has no face; else empty.
    """

    path: Path
    result: ImageResult | None = None
    problem: str = ""


class OutputFolder(AbstractContextManager["OutputFolder"]):
    """Writes results below a folder; a file that holds the whole run is written at its end, interrupted or not.

    No file is written twice in a run, and none of the images it reads is written over: another name is taken instead.
    """

    def __init__(
        self,
        folder: Path,
        format: Format,
        schema: KeypointSchema,
        *,
        draw: bool,
        scores: bool,
        inputs: Iterable[Input] = (),
    ) -> None:
        """Make the folder.

        Raises:
            DarkposeError: it cannot be made.
        """
        self._taken = {os.path.realpath(item.path) for item in inputs}
        self.folder, self.format, self.schema, self.draw, self.scores = folder, format, schema, draw, scores
        self.whole_run = {"csv": folder / "landmarks.csv", "coco": folder / "landmarks.coco.json"}.get(format)
        self._results: list[ImageResult] = []
        make_folder(folder)

    def write(self, name: Path, image: Pixels, result: ImageResult) -> None:
        """Write one image's files."""
        base = self.folder / name
        make_folder(base.parent)
        if self.format == "json":
            write_text(self._free(base, ".json"), to_json(result) + "\n")
        elif self.format == "pts":
            for number, face in enumerate(result.faces):
                suffix = ".pts" if len(result.faces) == 1 else f"_{number}.pts"
                write_text(self._free(base, suffix), to_pts(face))
        else:
            self._results.append(result)
        if self.draw:
            write_image(
                self._free(base, OVERLAY),
                draw_faces(image, result.faces, scores=self.scores, zoom=zoom_for(image, result.faces)),
            )

    def _free(self, base: Path, suffix: str) -> Path:
        """A path that this run neither reads nor has written."""
        path, number = base.with_name(base.name + suffix), 2
        while os.path.realpath(path) in self._taken:
            path, number = base.with_name(f"{base.name}_{number}{suffix}"), number + 1
        self._taken.add(os.path.realpath(path))
        return path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the file of the whole run."""
        if self.whole_run is not None and (self._results or kind is None):
            text = to_csv(self._results) if self.format == "csv" else to_coco(self._results, self.schema)
            write_text(self.whole_run, text)

    def __enter__(self) -> Self:
        """The folder itself."""
        return self


def predict_files(
    predictor: Predictor,
    inputs: Iterable[Input],
    *,
    boxes: GivenBoxes | None = None,
    box_kind: BoxKind = "detector",
    write: Callable[[Path, Pixels, ImageResult], None] | None = None,
    threads: int | None = None,
) -> Iterator[Outcome]:
    """Predict images a few at a time; what is wrong with one image does not stop the others.

    Args:
        predictor: finds the landmarks.
        inputs: the images.
        boxes: given boxes; None: detect faces.
        box_kind: what given boxes are.
        write: called with name, pixels and result of every image that could be read.
        threads: that decode ahead of the network, as in `stream`.

    Yields:
        One outcome per image, in order; its faces do not hold the pixels.
    """

    def look(item: Input) -> Looked:
        given = None if boxes is None else boxes.of(item.path)
        image = read_image(item.path)
        return Looked(image, predictor.regions(image, given, box_kind))

    for item, image, faces, problem in stream(predictor, inputs, look, threads=threads):
        if image is None:
            named = problem if problem.startswith(f"{item.path}: ") else f"{item.path}: {problem}"
            yield Outcome(item.path, problem=named)
            continue
        height, width = image.shape[:2]
        result = ImageResult(str(item.path), (width, height), faces)
        if write is not None:
            write(item.name, image, result)
        yield Outcome(item.path, result, "" if faces else f"{item.path}: no face found")
