"""XML files of dlib's imglab: images, boxes, and parts with names.

    <dataset><images><image file='a.jpg'><box top='8' left='9' width='30' height='30'>
      <label>face</label><part name='00' x='10' y='20'/> ... </box></image></images></dataset>

Coordinates are whole px, the first pixel at (0, 0).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element, ParseError, TreeBuilder
from xml.parsers.expat import ExpatError, ParserCreate
from xml.sax.saxutils import quoteattr

import numpy as np

from darkpose.datasets.image_folder import find_image_folder
from darkpose.datasets.labels import Labelled, Labels, labelled, only_one
from darkpose.datasets.reading import numbers, read_each
from darkpose.errors import DarkposeError, shown
from darkpose.files.json_text import MAX_DEPTH
from darkpose.files.paths import check_regular
from darkpose.schema import KeypointSchema, name_for_schema


class _Box(NamedTuple):
    image: str
    label: str
    element: Element
    where: str


def read_imglab(file: Path, images: Path | None, category: str | None, broken: list[str] | None) -> Labels:
    """The boxes with parts of one label; a part that a box lacks is not annotated. Boxes to be ignored are left out.

    Raises:
        DarkposeError: the file has another format, or a box cannot be read and `broken` is None.
    """
    root = parse_xml(file)
    if root.tag != "dataset":
        hint = "; from CVAT, export COCO Keypoints" if root.tag == "annotations" else ""
        raise DarkposeError(f"{file}: not a file of imglab: expected <dataset>, got <{root.tag[:60]}>{hint}")
    listed = root.findall("images/image")
    boxes = _boxes(listed, file)
    labels = sorted({box.label for box in boxes if _is_used(box)})
    chosen = only_one(labels, category, file, "of boxes with parts") if labels or category else ""
    left = Counter(why for box in boxes if (why := _why_left_out(box, chosen)))
    used = [box for box in boxes if not _why_left_out(box, chosen)]
    notes = [f"{left.total()} of {len(boxes)} boxes are left out: {_listed(left)}"] if left else []
    if bare := len(listed) - len({box.image for box in used}):
        notes.append(f"{bare} of {len(listed)} images have no box that is read")
    names = _names(used)
    folder = find_image_folder(file, images, [box.image for box in used])

    def read(box: _Box) -> Labelled:
        image = folder.find(box.image, box.where)
        return _labelled(box, image, names)

    objects = read_each(file, used, read, broken)
    notes += folder.notes(each.sample.image for each in objects)
    return Labels(
        objects, len(names), name_for_schema(chosen or file.stem), tuple(names), category=chosen, notes=tuple(notes)
    )


def parse_xml(file: Path) -> Element:
    """The root of an XML file without a document type, which could define entities.

    Raises:
        DarkposeError: the file cannot be read, is not XML, or has a document type or more than `MAX_DEPTH` levels.
    """
    builder, depth = TreeBuilder(), 0
    parser = ParserCreate()

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise DarkposeError(f"{file}: more than {MAX_DEPTH} elements in each other")
        builder.start(tag, {**attributes, "": str(parser.CurrentLineNumber)})

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(*_: object) -> None:
        raise DarkposeError(f"{file}: expected XML without a document type (<!DOCTYPE ...>)")

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        check_regular(file)
        parser.Parse(file.read_bytes(), True)
        return builder.close()
    except OSError as error:
        raise DarkposeError(f"{file}: cannot be read: {error.strerror or error}") from error
    except (ExpatError, ParseError, AssertionError, LookupError, ValueError) as error:
        if isinstance(error, DarkposeError):
            raise
        raise DarkposeError(f"{file}: not XML ({error})") from error


def _boxes(listed: Sequence[Element], file: Path) -> list[_Box]:
    found = []
    for image in listed:
        for box in image.findall("box"):
            label = (box.findtext("label") or "").strip()
            found.append(_Box(image.get("file", ""), label, box, f"{file}:{box.get('')}"))
    return found


def _is_used(box: _Box) -> bool:
    return box.element.get("ignore", "0") in ("0", "") and box.element.find("part") is not None


def _why_left_out(box: _Box, label: str) -> str:
    if box.element.get("ignore", "0") not in ("0", ""):
        return "to be ignored"
    return "without parts" if not _is_used(box) else "of another label" if box.label != label else ""


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {why}" for why, count in counts.items())


def _names(boxes: Sequence[_Box]) -> list[str]:
    """All names of parts: numbers by size, others in the order of the box with the most parts, then of the rest."""
    parts = [[part.get("name", "") for part in box.element.findall("part")] for box in boxes]
    first = max(parts, key=len, default=[])
    names = list(dict.fromkeys(name for each in (first, *parts) for name in each))
    are_numbers = all(name.isascii() and name.isdecimal() and len(name) < 9 for name in names)
    return sorted(names, key=int) if are_numbers else names


def _labelled(box: _Box, image: Path, names: Sequence[str]) -> Labelled:
    index, where = {name: i for i, name in enumerate(names)}, box.where
    keypoints, visibility = np.zeros((len(names), 2)), np.zeros(len(names))
    for part in box.element.findall("part"):
        i = index[part.get("name", "")]
        if visibility[i]:
            raise DarkposeError(f"{where}: the part {names[i]!r} is there twice")
        keypoints[i] = numbers([part.get("x", ""), part.get("y", "")], f"{where}: part {names[i]!r}")
        visibility[i] = 2
    given = [box.element.get(side, "") for side in ("left", "top", "width", "height")]
    left, top, width, height = numbers(given, where) if any(given) else np.zeros(4)
    return labelled(image, keypoints, visibility, [left, top, left + width, top + height], where)


def format_imglab(objects: Sequence[Labelled], schema: KeypointSchema, category: str, names: Mapping[Path, str]) -> str:
    """The text of an XML file; coordinates are rounded to whole px. `names` are those of the images."""
    by_image: dict[Path, list[Labelled]] = {path: [] for path in names}
    for each in objects:
        by_image[each.sample.image].append(each)
    lines = ["<?xml version='1.0' encoding='UTF-8'?>", "<dataset>", f"<name>{_element(schema.name)}</name>", "<images>"]
    for path, boxes in by_image.items():
        lines.append(f"  <image file={_attribute(names[path])}>")
        for sample, _ in boxes:
            x0, y0, x1, y1 = np.round(sample.box).astype(int).tolist()
            lines.append(f"    <box top='{y0}' left='{x0}' width='{x1 - x0}' height='{y1 - y0}'>")
            lines += [f"      <label>{_element(category)}</label>"] if category else []
            places = zip(schema.names, np.round(sample.keypoints).astype(int).tolist(), sample.visible, strict=True)
            lines += [f"      <part name={_attribute(name)} x='{x}' y='{y}'/>" for name, (x, y), v in places if v > 0]
            lines.append("    </box>")
        lines.append("  </image>")
    return "\n".join([*lines, "</images>", "</dataset>", ""])


def _element(text: str) -> str:
    return _attribute(text)[1:-1]


def _attribute(text: str) -> str:
    """The value of an attribute with its quotes; XML has no control characters."""
    return quoteattr(shown(text))
