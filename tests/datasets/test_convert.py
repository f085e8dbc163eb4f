"""Annotations written in the formats of other tools, and read again."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkpose.datasets.annotations import Annotations, read_annotations
from darkpose.datasets.convert import Target, image_names, target_format, write_annotations
from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.files.atomic import write_text
from darkpose.schema import KeypointSchema
from needed import needs
from own_annotations import CAT, HEIGHT, POINTS, WIDTH, annotations, picture

ENDS = {"coco": ".json", "csv": ".csv", "imglab": ".xml", "pts": "", "yolo-pose": ""}
HIDES = ("coco", "csv", "yolo-pose")
FORMATS = [pytest.param(each, marks=needs("yaml") if each == "yolo-pose" else ()) for each in get_args(Target)]


def written(folder: Path, found: Annotations, format: Target) -> tuple[Path, list[str]]:
    path = folder / f"out{ENDS[format]}"
    return path, write_annotations(path, found, format)


@st.composite
def many(draw: st.DrawFn, images: list[Path], whole: bool) -> Annotations:
    """Objects in several images; landmarks in whole px where the format holds no others."""
    count = draw(st.integers(2, 6))
    text = st.text(st.characters(categories=["L", "Nd"], include_characters="_ -.'\"&<>;,"), min_size=1, max_size=9)
    names = draw(st.lists(text.filter(lambda name: name.strip() == name), min_size=count, max_size=count, unique=True))
    pairs = tuple(draw(st.sampled_from([((0, 1),), ()])))
    schema = KeypointSchema("cat", tuple(names), pairs, tuple(pairwise(range(count))))
    x, y = (st.integers(1, side - 1) if whole else st.floats(0.25, side - 1) for side in (WIDTH, HEIGHT))
    samples, hidden = [], []
    for _ in range(draw(st.integers(1, 5))):
        points = np.array(draw(st.lists(st.tuples(x, y), min_size=count, max_size=count)), np.float64)
        visibility = np.array(draw(st.lists(st.sampled_from([0, 1, 2]), min_size=count, max_size=count).filter(any)))
        seen = np.minimum(visibility, 1).astype(np.float64)
        box = np.array([*np.floor(points.min(axis=0)) - 0, *np.ceil(points.max(axis=0)) + 1])
        image = draw(st.sampled_from(images))
        samples.append(Sample(image, points * seen[:, None], seen, box))
        hidden.append(visibility == 1)
    order = np.argsort([str(sample.image) for sample in samples], kind="stable")
    return Annotations([samples[i] for i in order], schema, "coco", (), tuple(hidden[i] for i in order), "cat")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("images")
    return [picture(folder, name) for name in ("a.png", "b c.png", "sub/ü.png")]


def same(found: Annotations, expected: Annotations, *, hides: bool, tolerance: float = 1e-6) -> None:
    assert [each.image for each in found.samples] == [each.image for each in expected.samples]
    for one, other in zip(found.samples, expected.samples, strict=True):
        np.testing.assert_allclose(one.keypoints, other.keypoints, atol=tolerance)
        np.testing.assert_array_equal(one.visible, other.visible)
        np.testing.assert_allclose(one.box, other.box, atol=tolerance)
    if hides:
        np.testing.assert_array_equal(found.hidden, expected.hidden)


@pytest.mark.parametrize("format", [each for each in FORMATS if "pts" not in each.values])
@settings(max_examples=40)
@given(data=st.data())
def test_what_a_format_holds_comes_back(
    format: Target, images: list[Path], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    expected = data.draw(many(images, whole=format == "imglab"))
    folder = tmp_path_factory.mktemp("out")
    path, _ = written(folder, expected, format)
    found = read_annotations(path, images[0].parent, schema=expected.schema)
    same(found, expected, hides=format in HIDES)
    if format != "csv":
        assert found.category == "cat"


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("then", FORMATS)
def test_any_two_formats_lose_nothing_that_both_hold(
    tmp_path: Path, images: list[Path], format: Target, then: Target
) -> None:
    cats = [annotations(image, keypoints=np.round(POINTS)) for image in images]
    hidden = np.array([True, False, False, False])
    samples = [each.samples[0] for each in cats]
    expected = Annotations(samples, CAT, "coco", (), (hidden,) * 3, "cat")
    found = expected
    for number, each in enumerate((format, then)):
        (tmp_path / str(number)).mkdir()
        path, _ = written(tmp_path / str(number), found, each)
        found = read_annotations(path, images[0].parent, schema=CAT)
    with_boxes = "pts" not in (format, then)
    boxed = (
        expected.samples if with_boxes else [replace(s, box=f.box) for s, f in zip(samples, found.samples, strict=True)]
    )
    same(found, replace(expected, samples=boxed), hides={format, then} <= set(HIDES))
    if with_boxes and "csv" not in (format, then):
        assert found.category == "cat"


@pytest.mark.parametrize(
    ("format", "visible", "told"),
    [
        ("imglab", (1, 1, 1, 1), "whole px: coordinates are rounded"),
        ("imglab", (1, 1, 1, 1), "imglab does not hold outlines"),
        ("pts", (1, 1, 1, 1), "no boxes and no names"),
        ("pts", (1, 1, 1, 1), "pts does not hold flip pairs, outlines"),
        ("pts", (1, 1, 1, 1), "does not say the category, cat"),
        ("csv", (1, 1, 1, 1), "does not say the category, cat"),
    ],
)
def test_what_is_lost_is_told(tmp_path: Path, format: Target, visible: tuple[int, ...], told: str) -> None:
    _, lost = written(tmp_path, annotations(picture(tmp_path), visible), format)
    assert any(told in each for each in lost)


def test_coco_and_yolo_lose_no_names_that_tell_the_flip_pairs(tmp_path: Path) -> None:
    assert written(tmp_path, annotations(picture(tmp_path)), "coco")[1] == []
    other = KeypointSchema("cat", ("a", "b", "c", "d"), ((0, 1),))
    _, (lost,) = written(tmp_path, replace(annotations(picture(tmp_path)), schema=other), "coco")
    assert "coco does not hold flip pairs of the schema; --write-schema" in lost


def test_objects_with_landmarks_that_pts_cannot_say_are_left_out(tmp_path: Path) -> None:
    whole, part = annotations(picture(tmp_path)), annotations(picture(tmp_path), (1, 0, 1, 1))
    both = replace(whole, samples=whole.samples + part.samples, hidden=whole.hidden + part.hidden)
    path, lost = written(tmp_path, both, "pts")
    assert any("not annotated, which .pts cannot say: 1, left out" in each for each in lost)
    assert [each.name for each in path.iterdir()] == ["a.pts"]
    with pytest.raises(DarkposeError, match="nothing is left to be written"):
        write_annotations(tmp_path / "none", part, "pts")


def test_landmarks_outside_the_image_are_not_annotated_in_yolo(tmp_path: Path) -> None:
    cat = annotations(picture(tmp_path), keypoints=POINTS + np.array([20.0, 0]))
    path, lost = written(tmp_path, cat, "yolo-pose")
    assert any("outside their images, which YOLO refuses: 1" in each for each in lost)
    numbers = np.array((path / "labels" / "a.txt").read_text().split(), float)
    assert numbers[-1] == 0
    assert ((numbers[1:5] >= 0) & (numbers[1:5] <= 1)).all()


def test_images_that_are_missing_are_told_in_coco_and_refused_by_yolo(tmp_path: Path) -> None:
    cat = annotations(tmp_path / "none.png")
    path, lost = written(tmp_path, cat, "coco")
    assert any("cannot be read: 1; their width" in each for each in lost)
    assert json.loads(path.read_text())["images"] == [{"id": 1, "file_name": "none.png"}]
    with pytest.raises(DarkposeError, match=r"none\.png"):
        written(tmp_path, cat, "yolo-pose")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_there_stays_and_nothing_is_half_written(tmp_path: Path) -> None:
    cat = annotations(picture(tmp_path / "in"))
    (tmp_path / "out").mkdir()
    written(tmp_path, cat, "pts")
    before = (tmp_path / "out" / "a.pts").read_bytes()
    with pytest.raises(DarkposeError, match="expected a new folder"):
        written(tmp_path, cat, "pts")
    assert (tmp_path / "out" / "a.pts").read_bytes() == before
    with pytest.raises(DarkposeError, match="cannot be made"):
        write_annotations(tmp_path / "in" / "a.png" / "out", cat, "pts")
    with pytest.raises(DarkposeError, match="cannot be written"):
        write_annotations(tmp_path / "none" / "out.json", cat, "coco")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


def test_a_disk_that_is_full_in_the_middle_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (annotations(picture(tmp_path, name)) for name in ("a.png", "b.png"))
    both = replace(one, samples=one.samples + other.samples, hidden=one.hidden + other.hidden)
    before = sorted(tmp_path.iterdir())

    def full(path: Path, text: str) -> None:
        if path.name == "b.pts":
            raise DarkposeError(f"{path}: cannot be written: No space left on device")
        write_text(path, text)

    monkeypatch.setattr("darkpose.datasets.convert.write_text", full)
    with pytest.raises(DarkposeError, match="No space left"):
        written(tmp_path, both, "pts")
    assert sorted(tmp_path.iterdir()) == before
    monkeypatch.undo()
    (tmp_path / ".darkpose-out.partial").mkdir()  # of a killed process
    (tmp_path / ".darkpose-out.partial" / "old.pts").touch()
    path, _ = written(tmp_path, both, "pts")
    assert sorted(each.name for each in path.iterdir()) == ["a.pts", "b.pts"]
    assert not list(tmp_path.glob(".darkpose*"))


def test_annotations_that_do_not_say_what_is_hidden_are_written(tmp_path: Path) -> None:
    path, _ = written(tmp_path, replace(annotations(picture(tmp_path)), hidden=()), "coco")
    assert read_annotations(path).hidden[0].tolist() == [False] * 4


def test_labels_of_two_images_that_would_have_one_name_are_refused(tmp_path: Path) -> None:
    one, other = (annotations(picture(tmp_path, name)) for name in ("a.png", "a.bmp"))
    both = replace(one, samples=one.samples + other.samples, hidden=one.hidden + other.hidden)
    with pytest.raises(DarkposeError, match=r"a\.png and a\.bmp"):
        written(tmp_path, both, "pts")
    three = [one, one, annotations(picture(tmp_path, "a_0.png"))]
    found = replace(one, samples=[s for each in three for s in each.samples], hidden=one.hidden * 3)
    with pytest.raises(DarkposeError, match=r"a_0\.pts"):
        written(tmp_path, found, "pts")


def test_the_format_is_named_or_that_of_the_suffix() -> None:
    assert [target_format(Path(f"x{end}")) for end in (".json", ".CSV", ".xml")] == ["coco", "csv", "imglab"]
    assert target_format(Path("x.json"), "pts") == "pts"
    with pytest.raises(DarkposeError, match="ends in"):
        target_format(Path("x"))
    with pytest.raises(DarkposeError, match="'yolo'"):
        target_format(Path("x"), "yolo")


def test_images_are_named_below_the_folder_that_all_are_in(tmp_path: Path) -> None:
    images = [tmp_path / "a" / "x.png", tmp_path / "a" / "b" / "y.png", tmp_path / "a" / "b" / ".." / "z.png"]
    assert list(image_names(images).values()) == ["x.png", "b/y.png", "z.png"]
    assert list(image_names(images[:1]).values()) == ["x.png"]
