"""YOLO-pose: a YAML file, images, and a text file of labels beside each image folder.

    data.yaml              kpt_shape: [K, 2 or 3], names, train, val, test, optionally path, flip_idx and kpt_names
    images/train/a.jpg
    labels/train/a.txt     one object a line: class, box (centre x, y, width, height), K times x, y or x, y, v

Lengths are shares of the width or height of the image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from darkpose.datasets.image_folder import ImageFolder, check_folder, files_below
from darkpose.datasets.labels import Labelled, Labels, labelled, only_one
from darkpose.datasets.reading import numbered_lines, numbers, read_each
from darkpose.errors import DarkposeError
from darkpose.files.paths import is_file, is_folder
from darkpose.files.text import quoted, read_text
from darkpose.schema import KeypointSchema, Pairs, name_for_schema

SPLITS = ("train", "val", "test")
MAX_LANDMARKS, MAX_NUMBER = 10_000, 10**12  # of a name that YAML takes for a number


@dataclass(frozen=True)
class _Set:
    """The facts of a YAML file: landmarks, numbers for each (2 or 3), classes, flip pairs, names, image folders."""

    landmarks: int
    numbers: int
    classes: dict[int, str]
    flip_pairs: Pairs | None
    names: tuple[str, ...] | None
    folders: tuple[str, ...]


@dataclass(frozen=True)
class _Line:
    where: str
    image: Path | None
    fields: list[str]


def read_yolo_pose(file: Path, images: Path | None, category: str | None, broken: list[str] | None) -> Labels:
    """The objects of one class in all splits of a YAML file.

    The folders that it names are searched beside it and in the folder of the images, by the ends of their names. Points
    with v = 0, without v with two zeros or a negative number, are not annotated.

    Raises:
        DarkposeError: the file has another format, or a label cannot be read and `broken` is None.
    """
    content = _read_yaml(file)
    if images is not None:
        check_folder(images)
    lines, notes = _lines(file, content.folders, [file.parent] if images is None else [images, file.parent])
    used = {line.fields[0] for line in lines}
    classes = {key: name for key, name in content.classes.items() if str(key) in used} or content.classes
    chosen = only_one(list(classes.values()), category, file, "(of `names`) that has labels")
    number = next(str(key) for key, name in classes.items() if name == chosen)
    if left := sum(line.fields[0] != number for line in lines):
        notes.append(f"{left} of {len(lines)} labels are left out: of another class")
    folder = ImageFolder(images or file.parent)

    def read(line: _Line) -> Labelled:
        return _labelled(line, content, folder)

    objects = read_each(file, [line for line in lines if line.fields[0] == number], read, broken)
    return Labels(
        objects,
        content.landmarks,
        name_for_schema(chosen or file.stem),
        content.names,
        flip_pairs=content.flip_pairs,
        category=chosen,
        notes=tuple(notes),
    )


def _read_yaml(file: Path) -> _Set:
    try:
        import yaml
    except ImportError as error:
        raise DarkposeError(f"{file}: YAML files need PyYAML: pip install 'darkpose[data]'") from error
    text = read_text(file)
    try:
        values = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # the one in C is 10 times as fast
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as error:
        raise DarkposeError(f"{file}: not a YAML file ({' '.join(str(error).split())[:200]})") from error
    shape = values.get("kpt_shape") if isinstance(values, dict) else None
    if not isinstance(shape, list) or len(shape) != 2 or not all(type(each) is int for each in shape):
        raise DarkposeError(f"{file}: not of YOLO-pose: expected kpt_shape: [number of landmarks, 2 or 3]")
    landmarks, count = shape
    if not 1 <= landmarks <= MAX_LANDMARKS or count not in (2, 3):
        most = f"number of landmarks, at most {MAX_LANDMARKS}, and 2 or 3"
        raise DarkposeError(f"{file}: expected kpt_shape: [{most}]")
    classes = _named(values.get("names", {0: ""}), "names", file)
    above = _text(values.get("path") or ".", "path", file)
    given = [(split, values[split]) for split in SPLITS if values.get(split)]
    listed = [(split, each) for split, value in given for each in (value if isinstance(value, list) else [value])]
    return _Set(
        landmarks,
        count,
        classes,
        _flip_pairs(values.get("flip_idx"), landmarks, file),
        _landmark_names(values.get("kpt_names"), landmarks, file),
        tuple(f"{above}/{_text(each, split, file)}" for split, each in listed),
    )


def _named(values: Any, key: str, file: Path) -> dict[int, str]:
    """Names by number, from a list or a table."""
    listed = dict(enumerate(values)) if isinstance(values, list) else values
    if not isinstance(listed, dict) or not listed or not all(type(number) is int for number in listed):
        raise DarkposeError(f"{file}: expected {key} to be a list or a table of numbers and names")
    return {number: _text(name, key, file) for number, name in listed.items()}


def _text(value: Any, key: str, file: Path) -> str:
    """A name, which YAML may take for a number."""
    if not isinstance(value, str | int | float) or (isinstance(value, int) and abs(value) > MAX_NUMBER):
        raise DarkposeError(f"{file}: expected {key} to be texts, got a {type(value).__name__}")
    return str(value)[:500]


def _flip_pairs(values: Any, landmarks: int, file: Path) -> Pairs | None:
    if not values:
        return None
    are_numbers = isinstance(values, list) and all(type(value) is int for value in values)
    if not are_numbers or sorted(values) != list(range(landmarks)):
        raise DarkposeError(f"{file}: expected flip_idx to list the numbers from 0 to {landmarks - 1}")
    if any(values[j] != i for i, j in enumerate(values)):
        raise DarkposeError(f"{file}: expected flip_idx to swap pairs, got {str(values)[:100]}")
    return tuple((i, j) for i, j in enumerate(values) if i < j) or None  # some tools write no swaps for want of any


def _landmark_names(values: Any, landmarks: int, file: Path) -> tuple[str, ...] | None:
    """Of `kpt_names`: a list, or a list for each class."""
    names = next(iter(values.values()), None) if isinstance(values, dict) else values
    if names is None:
        return None
    if not isinstance(names, list) or len(names) != landmarks:
        raise DarkposeError(f"{file}: expected kpt_names to be {landmarks} names")
    return tuple(_text(name, "kpt_names", file) for name in names)


def _lines(file: Path, folders: Sequence[str], roots: Sequence[Path]) -> tuple[list[_Line], list[str]]:
    """The lines of all label files, each with its image, and notes."""
    lines, notes, seen = list[_Line](), list[str](), set[Path]()
    for name in _with_lists(folders, roots) or ("images",):
        labels = _find_folder(_labels_of(name), roots)
        if labels is None:
            notes.append(f"{'/'.join(_parts(name))}: no folder of labels for it, {'/'.join(_labels_of(name))}")
            continue
        places = [place for root in roots for place in (_find_folder(_parts(name), [root]), root) if place is not None]
        images, bare = [ImageFolder(place) for place in dict.fromkeys(places)], 0
        for path in (path for path in files_below(labels, (".txt",)) if path not in seen):
            seen.add(path)
            stem = path.relative_to(labels).with_suffix("").as_posix()
            image = next((found for each in images if (found := each.by_stem(stem))), None)
            own = [_Line(f"{path}:{number}", image, line.split()) for number, line in numbered_lines(path)]
            lines += own
            bare += not own
        if bare:
            notes.append(f"empty files of labels in {labels}: {bare}")
    if not lines:
        raise DarkposeError(f"{file}: expected labels/.../*.txt with objects beside its images, found none")
    return lines, notes


def _with_lists(folders: Sequence[str], roots: Sequence[Path]) -> list[str]:
    """The folders, those of the images for a text file that lists images; each once."""
    found = []
    for name in folders:
        parts = _parts(name)
        ends = [root.joinpath(*parts[first:]) for first in range(len(parts)) for root in roots]
        listed = next((path for path in ends if is_file(path)), None) if name.endswith(".txt") else None
        lines = [name] if listed is None else [str(PureWindowsPath(line).parent) for _, line in numbered_lines(listed)]
        found += lines
    return list(dict.fromkeys(found))


def _parts(name: str) -> list[str]:
    path = PureWindowsPath(name)
    return [part for part in path.parts[bool(path.anchor) :] if part not in ("..", ".")]


def _labels_of(name: str) -> list[str]:
    """The folder of the labels of a folder of images: `labels` for the last `images`."""
    parts = _parts(name)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return parts


def _find_folder(parts: Sequence[str], roots: Sequence[Path]) -> Path | None:
    """The first folder below the roots by the end of its name, the longest end first; a root for no name."""
    for first in range(len(parts) + (not parts)):
        for root in roots:
            if is_folder(path := root.joinpath(*parts[first:])):
                return path
    return None


def _labelled(line: _Line, content: _Set, folder: ImageFolder) -> Labelled:
    expected = 5 + content.landmarks * content.numbers
    if len(line.fields) != expected:
        told = f"5 + {content.landmarks} x {content.numbers}, as kpt_shape says"
        raise DarkposeError(f"{line.where}: expected {expected} numbers ({told}), got {len(line.fields)}")
    if line.image is None:
        raise DarkposeError(f"{line.where}: expected an image of the same name, and only one")
    values = numbers(line.fields, line.where)
    size = np.array(folder.size(line.image), np.float64)
    centre, sides = values[1:3] * size, values[3:5] * size
    rows = values[5:].reshape(content.landmarks, content.numbers)
    if content.numbers == 3:
        visibility = rows[:, 2]
    else:
        visibility = np.where((rows < 0).any(axis=1) | (rows == 0).all(axis=1), 0.0, 2.0)
    box = np.concatenate([centre - sides / 2, centre + sides / 2])
    return labelled(line.image, rows[:, :2] * size, visibility, box.tolist(), line.where)


def format_labels(objects: Sequence[Labelled], size: tuple[int, int]) -> str:
    """The text of the labels of one image of (width, height) px; points outside the image are not annotated."""
    shape = np.array(size, np.float64)
    lines = []
    for sample, hidden in objects:
        corners = np.clip(sample.box.reshape(2, 2), 0, shape) / shape
        keypoints = sample.keypoints / shape
        seen = (sample.visible > 0) & is_inside(sample.keypoints, size)
        rows = np.where(seen[:, None], keypoints, 0.0)
        points = [
            f"{x:.10g} {y:.10g} {(1 if behind else 2) if known else 0}"
            for (x, y), known, behind in zip(rows.tolist(), seen, hidden, strict=True)
        ]
        box = [*corners.mean(axis=0).tolist(), *(corners[1] - corners[0]).tolist()]
        lines.append(" ".join(["0", *(f"{value:.10g}" for value in box), *points]) + "\n")
    return "".join(lines)


def is_inside(keypoints: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Which landmarks (K, 2) lie in an image of (width, height) px, as YOLO needs it: from 0 to the size."""
    return np.asarray(((keypoints >= 0) & (keypoints <= np.array(size))).all(axis=1))


def format_yaml(schema: KeypointSchema, category: str) -> str:
    """The text of the YAML file for labels/ beside images/."""
    lines = [
        "train: images",
        "val: images",
        f"kpt_shape: [{len(schema)}, 3]",
        f"flip_idx: {schema.flip_index.tolist()}",
        f"names: [{quoted(category)}]",
        f"kpt_names: [{', '.join(map(quoted, schema.names))}]",
    ]
    return "\n".join(lines) + "\n"
