"""Annotations written in the formats of other tools."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Literal, get_args

import numpy as np

from darkpose.datasets.annotations import Annotations
from darkpose.datasets.coco_labels import coco_content
from darkpose.datasets.csv_labels import format_csv
from darkpose.datasets.image_folder import ImageFolder
from darkpose.datasets.imglab import format_imglab
from darkpose.datasets.infer_schema import pairs_from_names
from darkpose.datasets.labels import Labelled
from darkpose.datasets.yolo_pose import format_labels, format_yaml, is_inside
from darkpose.errors import DarkposeError, printable
from darkpose.files.atomic import PREFIX, SUFFIX, make_folder, write_text
from darkpose.files.json_text import format_json
from darkpose.files.paths import is_folder, name_below, shared_folder
from darkpose.files.pts import format_pts
from darkpose.schema import SCHEMAS, KeypointSchema

Target = Literal["coco", "csv", "imglab", "pts", "yolo-pose"]
_SUFFIXES: dict[str, Target] = {".json": "coco", ".csv": "csv", ".xml": "imglab"}


def target_format(path: Path, named: str | None = None) -> Target:
    """The format to write: the named one, or that of the suffix.

    Raises:
        DarkposeError: it is not known.
    """
    for format in get_args(Target):
        if format == named or (named is None and format == _SUFFIXES.get(path.suffix.lower())):
            return format  # type: ignore[no-any-return]
    known = ", ".join(get_args(Target))
    if named is not None:
        raise DarkposeError(f"expected one of the formats {known}, got {named!r}")
    raise DarkposeError(f"{path}: expected a name that ends in .json, .csv or .xml, or --to with one of {known}")


def write_annotations(path: Path, annotations: Annotations, format: Target) -> list[str]:
    """Write annotations: a file, or for `.pts` and YOLO-pose a new folder; all of it or nothing.

    The names of images are those below the folder that all of them are in.

    Returns:
        Sentences about what the format does not hold.

    Raises:
        DarkposeError: the place exists as something else, cannot be written, or an image cannot be read (YOLO-pose).
    """
    hidden = annotations.hidden or tuple(np.zeros(len(annotations.schema), bool) for _ in annotations.samples)
    objects = [Labelled(*each) for each in zip(annotations.samples, hidden, strict=True)]
    category = annotations.category or ("face" if annotations.schema.name in SCHEMAS else annotations.schema.name)
    names, sizes = image_names([each.sample.image for each in objects]), ImageFolder(path.parent)
    lost = _lost(objects, annotations, format)
    if format == "coco":
        known = _known_sizes(names, sizes)
        if len(known) < len(names):
            lost.append(
                f"images that cannot be read: {len(names) - len(known)}; their width and height are not written"
            )
        content = coco_content(objects, annotations.schema, category, names, known)
        write_text(path, format_json(content) + "\n")
    elif format == "csv":
        write_text(path, format_csv(objects, annotations.schema, names))
    elif format == "imglab":
        write_text(path, format_imglab(objects, annotations.schema, category, names))
    else:
        _check_stems(names)
        files = (
            _pts_files(objects, names)
            if format == "pts"
            else _yolo_files(objects, annotations.schema, category, names, sizes)
        )
        if format == "yolo-pose":
            lost += _outside(objects, sizes)
        _write_folder(path, files)
    return lost


def image_names(images: Sequence[Path]) -> dict[Path, str]:
    """Image -> its name below the folder that all are in, with / between the folders."""
    folder = shared_folder(images)
    return {image: printable(name_below(folder, image)) for image in images}


def _known_sizes(images: Mapping[Path, str], sizes: ImageFolder) -> dict[Path, tuple[int, int]]:
    known = {}
    for image in images:
        try:
            known[image] = sizes.size(image)
        except DarkposeError:
            continue
    return known


def _lost(objects: Sequence[Labelled], annotations: Annotations, format: Target) -> list[str]:
    schema, lost = annotations.schema, []
    if format == "imglab":
        fractions = any((each.sample.keypoints % 1).any() or (each.sample.box % 1).any() for each in objects)
        lost += ["imglab holds whole px: coordinates are rounded"] if fractions else []
    if format == "pts":
        lost.append(".pts files hold no boxes and no names of landmarks")
        if parts := sum((each.sample.visible <= 0).any() for each in objects):
            lost.append(f"objects with landmarks that are not annotated, which .pts cannot say: {parts}, left out")
    if format in ("imglab", "pts") and any(each.hidden.any() for each in objects):
        lost.append(f"{format} does not say which landmarks are hidden")
    if annotations.category and format in ("csv", "pts"):
        lost.append(f"{format} does not say the category, {annotations.category}")
    kept = {"coco": {"outlines"}, "yolo-pose": {"flip pairs"}}.get(format, set())
    told = set(schema.flip_pairs)
    if format != "pts":
        told -= set(pairs_from_names(schema.names))  # these can be read from the names again
    has = {"flip pairs": told, "outlines": schema.outlines, "regions": schema.named_regions}
    if missing := [name for name, values in has.items() if values and name not in kept]:
        lost.append(f"{format} does not hold {', '.join(missing)} of the schema; --write-schema keeps them in a file")
    return lost


def _outside(objects: Sequence[Labelled], sizes: ImageFolder) -> list[str]:
    count = sum(
        int(((each.sample.visible > 0) & ~is_inside(each.sample.keypoints, sizes.size(each.sample.image))).sum())
        for each in objects
    )
    return [f"landmarks outside their images, which YOLO refuses: {count}, written as not annotated"] if count else []


def _pts_files(objects: Sequence[Labelled], names: Mapping[Path, str]) -> dict[str, str]:
    """Name -> text of the `.pts` files, numbered where an image has several."""
    by_stem: dict[str, list[Labelled]] = {}
    for each in objects:
        if (each.sample.visible > 0).all():
            by_stem.setdefault(_stem(names[each.sample.image]), []).append(each)
    files: dict[str, str] = {}
    for stem, found in by_stem.items():
        for number, each in enumerate(found):
            name = f"{stem}.pts" if len(found) == 1 else f"{stem}_{number}.pts"
            if name in files:
                raise DarkposeError(f"two objects would be written to {name}; rename one of the images {stem}")
            files[name] = format_pts(each.sample.keypoints)
    return files


def _yolo_files(
    objects: Sequence[Labelled], schema: KeypointSchema, category: str, names: Mapping[Path, str], sizes: ImageFolder
) -> dict[str, str]:
    """Name -> text of the YAML file and of the files of labels."""
    by_image: dict[Path, list[Labelled]] = {}
    for each in objects:
        by_image.setdefault(each.sample.image, []).append(each)
    files = {
        f"labels/{_stem(names[path])}.txt": format_labels(found, sizes.size(path)) for path, found in by_image.items()
    }
    return {"data.yaml": format_yaml(schema, category), **files}


def _check_stems(names: Mapping[Path, str]) -> None:
    """Refuse images whose names differ in the suffix alone, since labels are found by the rest."""
    seen: dict[str, str] = {}
    for name in names.values():
        other = seen.setdefault(_stem(name), name)
        if other != name:
            raise DarkposeError(f"the labels of {other} and {name} would have the same name; rename one of the images")


def _stem(name: str) -> str:
    return PurePath(name).with_suffix("").as_posix()


def _write_folder(path: Path, files: Mapping[str, str]) -> None:
    """Write the files of a new folder under another name, then rename it."""
    if path.exists() and (not is_folder(path) or any(path.iterdir())):
        raise DarkposeError(f"{path}: expected a new folder, but it is there; name another one or remove it")
    if not files:
        raise DarkposeError(f"{path}: nothing is left to be written")
    unfinished = path.with_name(f"{PREFIX}{path.name}{SUFFIX}")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        for name, text in files.items():
            make_folder((unfinished / name).parent)
            write_text(unfinished / name, text)
        unfinished.replace(path)
    except OSError as error:
        raise DarkposeError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
