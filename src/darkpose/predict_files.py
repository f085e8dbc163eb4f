"""Landmarks of files, folders and globs: read, predict, write, account for every image."""

import glob
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, Self

from darkpose.atomic import write_atomically
from darkpose.boxfile import GivenBoxes
from darkpose.draw import draw_faces, zoom_for
from darkpose.errors import DarkposeError
from darkpose.image import Pixels, read_image, write_image
from darkpose.inference import batched
from darkpose.predictor import BoxKind, Predictor, Region
from darkpose.results import ImageResult, to_coco, to_csv, to_json, to_pts
from darkpose.schema import KeypointSchema

Format = Literal["json", "csv", "pts", "coco"]
SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".jp2"}


class Input(NamedTuple):
    """An image to read, and its name below the output folder (without suffix, unique in the run)."""

    path: Path
    name: Path


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


def find_images(arguments: Sequence[str]) -> list[Input]:
    """Images that files, folders (searched whole) and globs stand for, in that order, each folder sorted by name.

    Raises:
        DarkposeError: a path does not exist, a folder holds no images, a glob matches nothing.
    """
    found: dict[Path, Path] = {}
    for argument in arguments:
        for path, name in _matches(argument):
            found.setdefault(path, name)
    taken: set[Path] = set()
    inputs = []
    for path, name in found.items():
        unique = name.with_suffix("")
        if unique in taken:
            unique = name.with_name(name.name.replace(".", "_"))
        number = 2
        while unique in taken:
            unique, number = name.with_name(f"{name.stem}_{number}"), number + 1
        taken.add(unique)
        inputs.append(Input(path, unique))
    return inputs


def _matches(argument: str) -> list[tuple[Path, Path]]:
    path = Path(argument)
    if path.is_dir():
        inside = [p for p in sorted(path.rglob("*")) if p.suffix.lower() in SUFFIXES and p.is_file()]
        if not inside:
            raise DarkposeError(f"{path}: there are no images in this folder ({', '.join(sorted(SUFFIXES))})")
        return [(p, p.relative_to(path)) for p in inside]
    if path.exists():
        return [(path, Path(path.name))]
    if glob.has_magic(argument):
        matched = sorted(Path(p) for p in glob.glob(argument, recursive=True) if Path(p).is_file())
        if matched:
            return [(p, Path(p.name)) for p in matched]
        raise DarkposeError(f"{argument}: no file matches")
    raise DarkposeError(f"{path}: there is no such file or folder")


class OutputFolder(AbstractContextManager["OutputFolder"]):
    """Writes results below a folder; a file that holds the whole run is written at its end, interrupted or not."""

    def __init__(self, folder: Path, format: Format, schema: KeypointSchema, *, draw: bool, scores: bool) -> None:
        """Make the folder.

        Raises:
            DarkposeError: it cannot be made.
        """
        self.folder, self.format, self.schema, self.draw, self.scores = folder, format, schema, draw, scores
        self.whole_run = {"csv": folder / "landmarks.csv", "coco": folder / "landmarks.coco.json"}.get(format)
        self._results: list[ImageResult] = []
        _make_folder(folder)

    def write(self, name: Path, image: Pixels, result: ImageResult) -> None:
        """Write one image's files."""
        base = self.folder / name
        _make_folder(base.parent)
        if self.format == "json":
            _write_text(base.with_name(base.name + ".json"), to_json(result) + "\n")
        elif self.format == "pts":
            for number, face in enumerate(result.faces):
                suffix = ".pts" if len(result.faces) == 1 else f"_{number}.pts"
                _write_text(base.with_name(base.name + suffix), to_pts(face))
        else:
            self._results.append(result)
        if self.draw:
            write_image(
                base.with_name(base.name + ".landmarks.png"),
                draw_faces(image, result.faces, scores=self.scores, zoom=zoom_for(image, result.faces)),
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the file of the whole run."""
        if self.whole_run is not None and (self._results or kind is None):
            text = to_csv(self._results) if self.format == "csv" else to_coco(self._results, self.schema)
            _write_text(self.whole_run, text)

    def __enter__(self) -> Self:
        """The folder itself."""
        return self


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DarkposeError(f"{folder}: the folder cannot be made: {error.strerror or error}") from error


def _write_text(path: Path, text: str) -> None:
    write_atomically(path, lambda temporary: temporary.write_text(text))


def predict_files(
    predictor: Predictor,
    inputs: Iterable[Input],
    *,
    boxes: GivenBoxes | None = None,
    box_kind: BoxKind = "detector",
    write: Callable[[Path, Pixels, ImageResult], None] | None = None,
) -> Iterator[Outcome]:
    """Predict images one batch at a time; what is wrong with one image does not stop the others.

    Args:
        predictor: finds the landmarks.
        inputs: the images.
        boxes: given boxes; None: detect faces.
        box_kind: what given boxes are.
        write: called with name, pixels and result of every image that could be read.

    Yields:
        One outcome per image, in order; its faces do not hold the pixels.
    """
    for batch in batched(inputs, predictor.batch_size):
        read = [_read(predictor, item, boxes, box_kind) for item in batch]
        faces = iter(predictor.locate([region for one in read if isinstance(one, _Found) for region in one.regions]))
        for item, one in zip(batch, read, strict=True):
            if isinstance(one, str):
                yield Outcome(item.path, problem=one)
                continue
            height, width = one.image.shape[:2]
            found = [replace(next(faces), image=None) for _ in one.regions]
            result = ImageResult(str(item.path), (width, height), found)
            if write is not None:
                write(item.name, one.image, result)
            yield Outcome(item.path, result, "" if found else f"{item.path}: no face found")


class _Found(NamedTuple):
    image: Pixels
    regions: list[Region]


def _read(predictor: Predictor, item: Input, boxes: GivenBoxes | None, box_kind: BoxKind) -> _Found | str:
    """The image and its face regions, or what is wrong with it."""
    try:
        given = None if boxes is None else boxes.of(item.path)
        image = read_image(item.path)
    except DarkposeError as error:
        return str(error)
    try:
        return _Found(image, predictor.regions(image, given, box_kind))
    except DarkposeError as error:
        return f"{item.path}: {error}"
