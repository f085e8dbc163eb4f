"""Predictions for image files: read, predict, write, one outcome per image."""

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from numpy.typing import ArrayLike

from darkpose.detect.tiles import Tiled
from darkpose.errors import DarkposeError, printable
from darkpose.files.atomic import make_folder, write_lines, write_text
from darkpose.files.paths import place
from darkpose.image.pixels import Pixels, read_image, warp_image, write_image
from darkpose.predict.derived_values import pose_in
from darkpose.predict.draw import draw_faces, zoom_for
from darkpose.predict.face import Face
from darkpose.predict.formats import ImageResult, coco_lines, csv_lines, to_dict, to_json, to_pts
from darkpose.predict.given_boxes import GivenBoxes
from darkpose.predict.inputs import ALIGNED, OVERLAY, Input
from darkpose.predict.predictor import BoxKind, Predictor
from darkpose.predict.stream import stream
from darkpose.predict.unfinished import Unfinished
from darkpose.schema import KeypointSchema

FATAL = (errno.ENOSPC, errno.EROFS, errno.ENOENT, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC))
Format = Literal["json", "csv", "pts", "coco"]
RUN_FILES = {"csv": "landmarks.csv", "coco": "landmarks.coco.json"}  # the file of a whole run


@dataclass(frozen=True)
class Outcome:
    """The outcome for one image.

    Attributes:
        path: as the user gave it.
        result: the faces; None if the image cannot be used.
        problem: why the image cannot be used, or that it has no face; else empty.
    """

    path: Path
    result: ImageResult | None = None
    problem: str = ""


def predict_files(
    predictor: Predictor,
    inputs: Iterable[Input],
    *,
    boxes: GivenBoxes | None = None,
    box_kind: BoxKind = "detector",
    write: Callable[[Path, Pixels, ImageResult], None] | None = None,
    threads: int | None = None,
    derived: bool = False,
) -> Iterator[Outcome]:
    """Predict image files in batches; a problem with one image does not stop the others.

    Args:
        predictor: finds the landmarks.
        inputs: the images.
        boxes: boxes by image; None: detect faces.
        box_kind: of the boxes, as `Predictor` takes it.
        write: called with name, pixels and result of every image that could be read.
        threads: that read images ahead of the network, as in `stream`.
        derived: tell pose, openness and five points, too.

    Yields:
        One outcome per image, in order; its faces do not hold the pixels.
    """

    def read(item: Input) -> tuple[Pixels, ArrayLike | None]:
        given = None if boxes is None else boxes.of(item.path)
        return read_image(item.path), given

    for item, image, faces, problem in stream(predictor, inputs, read, box_kind=box_kind, threads=threads):
        if image is None:
            prefix = f"{item.path}: "
            yield Outcome(item.path, problem=prefix + problem.removeprefix(prefix))
            continue
        height, width = image.shape[:2]
        result = ImageResult(str(item.path), (width, height), faces, derived)
        if write is not None:
            try:
                write(item.name, image, result)
            except DarkposeError as error:
                if _stops_the_run(error):
                    raise
                yield Outcome(item.path, problem=f"{item.path}: {error}")
                continue
        problem = "" if faces else f"{item.path}: no face found{_limit(predictor, result, boxes)}"
        yield Outcome(item.path, result, problem)


def _limit(predictor: Predictor, result: ImageResult, boxes: GivenBoxes | None) -> str:
    """What the detector could not have found, for the line about an image without a face."""
    smallest = None if boxes is not None else predictor.smallest_face(result.size)
    if smallest is None:
        return ""
    finer = Tiled(predictor.detector).smallest(result.size)
    advice = "; --find small finds smaller ones" if finer is not None and finer < smallest else ""
    return f" (of {smallest:.0f} px or more{advice})"


def _stops_the_run(error: DarkposeError) -> bool:
    """Whether the next image could not be written either: a full or read-only disk, a folder that is gone."""
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in FATAL


class OutputFolder(AbstractContextManager["OutputFolder"]):
    """Writes results to a folder; the file of a whole run (CSV, COCO) at the end, also if the run is interrupted.

    The results for that file are appended to another as they come (see `unfinished`), so that none is lost.
    Every file gets a new name: no file is written twice in a run, and no input image is overwritten.
    """

    def __init__(
        self,
        folder: Path,
        format: Format,
        schema: KeypointSchema,
        *,
        draw: bool,
        scores: bool,
        crops: str | None = None,
        inputs: Iterable[Input] = (),
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Make the folder.

        Args:
            folder: made if it does not exist.
            format: of the results.
            schema: of the landmarks.
            draw: also write each image with its landmarks.
            scores: draw the scores, too.
            crops: template of the aligned crops to write; None: none.
            inputs: images that must not be overwritten.
            facts: JSON values of everything the results depend on except the images.

        Raises:
            DarkposeError: the folder cannot be made, or has an unfinished run with other facts.
        """
        self.folder, self.format, self.schema, self.draw, self.scores = folder, format, schema, draw, scores
        self.crops = crops
        self._used_paths = {os.path.realpath(item.path) for item in inputs}
        make_folder(folder)
        self.unfinished: Unfinished | None = None  # for the file of a whole run
        if format in RUN_FILES:
            run = {"format": format, "markup": schema.name, **(facts or {})}
            self.unfinished = Unfinished(folder / f"{RUN_FILES[format]}.unfinished", run)

    def remaining(self, inputs: Sequence[Input]) -> list[Input]:
        """The inputs that an unfinished run has no results of.

        Raises:
            DarkposeError: that run has images that are not among the inputs.
        """
        if self.unfinished is None:
            return list(inputs)
        places = [_place(item.path) for item in inputs]
        self.unfinished.check(places)
        return [item for item, where in zip(inputs, places, strict=True) if where not in self.unfinished.done]

    def write(self, name: Path, image: Pixels, result: ImageResult) -> None:
        """Write the files of one image."""
        base = self.folder / name
        make_folder(base.parent)
        if self.format == "json":
            write_text(self._new_path(base, ".json"), to_json(result) + "\n")
        elif self.format == "pts":
            for number, face in enumerate(result.faces):
                suffix = ".pts" if len(result.faces) == 1 else f"_{number}.pts"
                write_text(self._new_path(base, suffix), to_pts(face))
        elif self.unfinished is not None:
            self.unfinished.add({"place": _place(Path(result.image)), **to_dict(result)})
        if self.crops is not None:
            self._write_crops(base, image, result.faces, self.crops)
        if self.draw:
            zoom = zoom_for(image, result.faces)
            poses = [pose_in(face, result.size) for face in result.faces] if result.derived else ()
            drawn = draw_faces(image, result.faces, scores=self.scores, zoom=zoom, poses=poses)
            write_image(self._new_path(base, OVERLAY), drawn)

    def _write_crops(self, base: Path, image: Pixels, faces: Sequence[Face], template: str) -> None:
        """Write the aligned crops of one image; a face whose landmarks are not known or in one place has none."""
        for number, face in enumerate(faces):
            try:
                found = face.alignment(int(template) if template.isdecimal() else template)
            except DarkposeError:
                continue
            suffix = ALIGNED if len(faces) == 1 else f"_{number}{ALIGNED}"
            write_image(self._new_path(base, suffix), warp_image(image, found.matrix, (found.size, found.size)))

    def _new_path(self, base: Path, suffix: str) -> Path:
        """A path that is no input and was not written in this run."""
        path, number = base.with_name(base.name + suffix), 2
        while os.path.realpath(path) in self._used_paths:
            path, number = base.with_name(f"{base.name}_{number}{suffix}"), number + 1
        self._used_paths.add(os.path.realpath(path))
        return path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the file of the whole run; the unfinished results stay if the run was interrupted."""
        if self.unfinished is None:
            return
        with self.unfinished:
            if kind is None or self.unfinished.done:
                self._write_run(self.unfinished)
        if kind is None:
            self.unfinished.remove()

    def _write_run(self, results: Unfinished) -> None:
        lines = csv_lines(results) if self.format == "csv" else coco_lines(results, self.schema)
        try:
            write_lines(self.folder / RUN_FILES[self.format], lines)
        except DarkposeError as failure:
            if isinstance(failure.__cause__, OSError):
                raise DarkposeError(f"{failure}; the same command continues the run") from failure.__cause__
            raise


def _place(path: Path) -> str:
    return printable(place(path))
