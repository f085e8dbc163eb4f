"""Annotated landmarks of any kind, from the files that annotation tools write; the format is found by the content.

COCO keypoints, CSV tables, imglab XML, `.pts` files, YOLO-pose with its YAML file, and predictions of darkpose.
Coordinates are image px, the centre of the first pixel at (0, 0); `.pts` files count from 1.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from darkpose.datasets.coco_labels import read_coco_labels
from darkpose.datasets.csv_labels import read_csv_labels
from darkpose.datasets.image_folder import files_below
from darkpose.datasets.imglab import read_imglab
from darkpose.datasets.infer_schema import infer_schema
from darkpose.datasets.labels import Labelled, Labels
from darkpose.datasets.predicted import read_predicted
from darkpose.datasets.pts_folder import read_pts_labels
from darkpose.datasets.sample import Sample
from darkpose.datasets.yolo_pose import read_yolo_pose
from darkpose.errors import DarkposeError
from darkpose.files.paths import check_regular, is_file, is_folder
from darkpose.schema import KeypointSchema

Format = Literal["coco", "csv", "imglab", "pts", "yolo-pose", "predictions"]
_READERS: dict[Format, Callable[[Path, Path | None, str | None, list[str] | None], Labels]] = {
    "coco": read_coco_labels,
    "csv": read_csv_labels,
    "imglab": read_imglab,
    "pts": read_pts_labels,
    "yolo-pose": read_yolo_pose,
    "predictions": read_predicted,
}
_BEGINNING = 1 << 16  # bytes of a file that tell its format
_KNOWN = (
    "COCO keypoints (.json), a CSV table with the columns image, NAME_x, NAME_y, imglab (.xml), .pts files, YOLO-pose "
    "(.yaml), or predictions of darkpose (.jsonl)"
)


@dataclass(frozen=True)
class Annotations:
    """Annotated objects.

    Attributes:
        samples: the objects; a landmark that is not annotated has `visible` 0.
        schema: of their landmarks.
        format: of the file.
        notes: sentences for a person: what was left out, and what was inferred.
        hidden: (K,) for every sample: the landmarks that are marked as hidden though they are annotated.
        category: of the objects, if the file names it.
    """

    samples: list[Sample]
    schema: KeypointSchema
    format: Format
    notes: tuple[str, ...]
    hidden: tuple[NDArray[np.bool_], ...] = ()
    category: str = ""


def read_annotations(
    path: Path,
    images: Path | None = None,
    *,
    schema: KeypointSchema | None = None,
    category: str | None = None,
    broken: list[str] | None = None,
) -> Annotations:
    """Read a file or a folder of annotations.

    Args:
        path: of the file, or of a folder with `.pts` files, with the YAML file of YOLO-pose, with the files of `predict
            --format json`, or with one other file.
        images: the folder of the images; None: it is searched around the file. No name in a file leads out of it.
        schema: of the landmarks of the file, by their names or, if these are others, in their order; None: it is
            inferred (see `infer_schema`).
        category: of the objects to read; None: the only one that has landmarks.
        broken: collects the messages of objects that cannot be read; None: the first one raises.

    Raises:
        DarkposeError: the file is missing or has another format, the schema does not fit, or an object cannot be read;
            its place in the file is named.
    """
    format, file = find_format(path)
    labels = _READERS[format](file, images, category, broken)
    if not labels.objects:
        first = f"; the first: {broken[0]}" if broken else ""
        raise DarkposeError(f"{file}: no annotation can be read{first}")
    if schema is not None:
        labels, note = _with_schema(labels, schema, file)
        notes = [note] if note else []
    else:
        samples = [each.sample for each in labels.objects]
        schema, inferred = infer_schema(
            labels.name,
            labels.names,
            samples,
            landmarks=labels.landmarks,
            outlines=labels.outlines,
            flip_pairs=labels.flip_pairs,
        )
        notes = list(inferred)
    if any(each.hidden.any() for each in labels.objects):
        notes.append("landmarks that are marked as hidden (v = 1) count as annotated")
    return Annotations(
        [each.sample for each in labels.objects],
        schema,
        format,
        (*labels.notes, *notes),
        tuple(each.hidden for each in labels.objects),
        labels.category,
    )


def _with_schema(labels: Labels, schema: KeypointSchema, file: Path) -> tuple[Labels, str]:
    """The labels with their landmarks in the order of a schema, and a note if they were in another one."""
    names = labels.names
    if names is None or not set(names) <= set(schema.names):
        if labels.landmarks != len(schema):
            raise DarkposeError(
                f"{file}: it has {labels.landmarks} landmarks, but the schema {schema.name} names {len(schema)}"
            )
        return labels, ""
    if names == schema.names:
        return labels, ""
    places = [schema.names.index(name) for name in names]
    objects = [_moved(each, places, len(schema)) for each in labels.objects]
    lacking = f"; it lacks {len(schema) - len(names)} of them" if len(names) < len(schema) else ""
    note = f"the landmarks of the file are brought into the order of the schema {schema.name} by their names{lacking}"
    return replace(labels, objects=objects, landmarks=len(schema), names=schema.names), note


def _moved(each: Labelled, places: list[int], count: int) -> Labelled:
    keypoints, visible, hidden = np.zeros((count, 2)), np.zeros(count), np.zeros(count, bool)
    keypoints[places], visible[places], hidden[places] = each.sample.keypoints, each.sample.visible, each.hidden
    return Labelled(replace(each.sample, keypoints=keypoints, visible=visible), hidden)


def find_format(path: Path) -> tuple[Format, Path]:
    """The format of a file or a folder, by its content, and the file to read, which for `.pts` files is the folder.

    Raises:
        DarkposeError: it is missing, empty, or of no known format.
    """
    if is_folder(path):
        return _format_of_folder(path)
    beginning = _beginning(path)
    text = beginning.lstrip(b"\xef\xbb\xbf").lstrip()
    if not text:
        raise DarkposeError(f"{path}: it is empty; expected annotations")
    if beginning.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DarkposeError(f"{path}: expected UTF-8 text, got UTF-16; save it as UTF-8")
    if beginning.startswith((b"PK\3\4", b"\x1f\x8b")):
        raise DarkposeError(f"{path}: expected annotations, got an archive; unpack it and name the file in it")
    if text.startswith(b"<"):
        return "imglab", path
    if text.startswith(b"{"):
        return ("predictions" if _is_predicted(text) else "coco"), path
    suffix = path.suffix.lower()
    if b"\nkpt_shape" in b"\n" + text or suffix in (".yaml", ".yml"):
        return "yolo-pose", path
    if suffix == ".pts" or (text.startswith(b"version") and b"n_points" in text):
        return "pts", path
    first = text.split(b"\n", 1)[0]
    if any(separator in first for separator in (b",", b";", b"\t")) and not text.startswith(b"["):
        return "csv", path
    hint = "; from Label Studio, export COCO" if text.startswith(b"[") else ""
    raise DarkposeError(f"{path}: its format is not known; expected {_KNOWN}{hint}")


def _beginning(path: Path) -> bytes:
    try:
        check_regular(path)
        with path.open("rb") as file:
            return file.read(_BEGINNING)
    except OSError as error:
        raise DarkposeError(f"{path}: cannot be read: {error.strerror or error}") from error


def _is_predicted(text: bytes) -> bool:
    """Whether the first line is that of a file of predictions, or of `predict --json`."""
    first = text.split(b"\n", 1)[0]
    return b'"darkpose_predictions"' in first[:200] or bool(re.search(rb'"faces"\s*:\s*\[', first))


def _format_of_folder(folder: Path) -> tuple[Format, Path]:
    try:
        files = sorted(path for path in folder.iterdir() if is_file(path))
    except OSError as error:
        raise DarkposeError(f"{folder}: cannot be read: {error.strerror or error}") from error
    if yamls := [path for path in files if path.suffix.lower() in (".yaml", ".yml")]:
        return "yolo-pose", _only(yamls, folder)
    if files_below(folder, (".pts",)):
        return "pts", folder
    others = [path for path in files if path.suffix.lower() in (".json", ".xml", ".csv", ".tsv", ".jsonl")]
    if not others:
        raise DarkposeError(f"{folder}: no annotations in this folder; expected {_KNOWN}")
    if len(others) > 1 and all(path.suffix.lower() == ".json" and _is_predicted(_beginning(path)) for path in others):
        return "predictions", folder
    return find_format(_only(others, folder))


def _only(files: list[Path], folder: Path) -> Path:
    if len(files) > 1:
        names = ", ".join(path.name for path in files[:5])
        raise DarkposeError(f"{folder}: expected one file of annotations, got {len(files)}; name one of {names}")
    return files[0]
