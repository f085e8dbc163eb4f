"""Drawn data sets: trees of exactly the official formats and counts, which read back as they were drawn."""

import sys
from pathlib import Path

import numpy as np
import pytest

from darkpose.check import check
from darkpose.datasets import aflw
from darkpose.datasets.aflw import read_aflw
from darkpose.datasets.made import hidden, make_aflw, make_wflw, wflw_attributes
from darkpose.datasets.wflw import PUBLISHED, SUBSETS, read_wflw, read_wflw_subset
from darkpose.drawn_face import draw_face
from darkpose.errors import DarkposeError
from darkpose.image import read_image
from darkpose.schema import AFLW_19, WFLW_98


def test_at_the_published_size_the_test_set_has_the_published_subsets() -> None:
    attributes = wflw_attributes(2500, seed=0)
    counts = {"faces": len(attributes)} | {name: sum(name in each for each in attributes) for name in SUBSETS}
    assert counts == PUBLISHED["test"]
    assert any(len(each) > 1 for each in attributes)
    assert wflw_attributes(2500, seed=0) == attributes != wflw_attributes(2500, seed=1)


@pytest.fixture(scope="module")
def wflw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("wflw")
    assert make_wflw(root, train=6, test=12) == 18
    return root


def test_a_made_wflw_reads_back_whole_with_its_landmarks_and_subsets(wflw: Path) -> None:
    attributes = wflw_attributes(12, seed=0)
    faces = read_wflw(wflw, "test")
    counts = {"faces": 12} | {name: sum(name in each for each in attributes) for name in SUBSETS}
    found = check(faces, WFLW_98, counts)
    assert found.whole
    assert not found.outside
    assert not found.duplicates
    assert [face.subsets for face in faces] == attributes
    assert len(read_wflw(wflw, "train")) == 6
    for subset in SUBSETS:
        expected = [face for face in faces if subset in face.subsets]
        listed = read_wflw_subset(wflw, subset)
        assert [face.image for face in listed] == [face.image for face in expected]
    for face in faces:
        seed, index = (int(number) for number in face.image.name.split("_")[0].removesuffix(".jpg").split("-"))
        drawn = draw_face(seed, index, face.subsets)
        np.testing.assert_allclose(face.keypoints, drawn.keypoints, rtol=0, atol=1e-5)
        assert np.abs(read_image(face.image).astype(int) - drawn.image).mean() < 6  # JPEG


def test_the_boxes_of_the_list_are_the_published_crop_rules(wflw: Path) -> None:
    tight, given = read_wflw(wflw, "test"), read_wflw(wflw, "test", box="file")
    for one, other in zip(tight, given, strict=True):
        np.testing.assert_array_equal(one.box, other.box)


def test_what_is_there_is_not_drawn_again(tmp_path: Path) -> None:
    assert make_wflw(tmp_path, train=1, test=2, workers=0) == 3
    lists = sorted((tmp_path / "WFLW_annotations").rglob("*.txt"))
    assert len(lists) == 8
    before = {path: path.read_bytes() for path in (*lists, *(tmp_path / "WFLW_images").rglob("*.jpg"))}
    gone = next((tmp_path / "WFLW_images").rglob("*.jpg"))
    gone.unlink()
    assert make_wflw(tmp_path, train=1, test=2, workers=2) == 1
    assert {path: path.read_bytes() for path in before} == before


def test_a_made_aflw_reads_back_with_its_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("scipy.io", reason="needs SciPy")
    monkeypatch.setattr(aflw, "_TRAIN_FACES", 7)
    assert make_aflw(tmp_path, train=7, test=6, frontal=2) == 13
    faces = {split: read_aflw(tmp_path, split) for split in ("train", "full", "frontal")}
    assert {split: len(found) for split, found in faces.items()} == {"train": 7, "full": 6, "frontal": 2}
    assert check(faces["full"], AFLW_19, {"faces": 6, "frontal": 2}).whole
    for face in faces["full"]:
        assert face.visible.all() == ("frontal" in face.subsets)
        low, high = face.keypoints.min(axis=0), face.keypoints.max(axis=0)
        assert (face.box[:2] < low).all()
        assert (face.box[2:] > high).all()
        assert face.box_size == pytest.approx((face.box[2:] - face.box[:2]).max())


def test_the_farther_a_head_is_turned_the_more_landmarks_are_hidden() -> None:
    assert hidden(10.0) == []
    assert hidden(36.0) != []
    assert set(hidden(36.0)) < set(hidden(59.0))
    assert {AFLW_19.flip_index[i] for i in hidden(50.0)} == set(hidden(-50.0))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [({"train": 0}, "must be at least 1, got train 0"), ({"seed": -1, "train": 1, "test": 1}, "must not be negative")],
)
def test_sizes_that_make_no_sense_are_one_clear_error(tmp_path: Path, sizes: dict[str, int], message: str) -> None:
    with pytest.raises(DarkposeError, match=message):
        make_wflw(tmp_path, **sizes)
    assert not list(tmp_path.iterdir())


def test_more_frontal_faces_than_there_are_and_a_missing_scipy_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DarkposeError, match="no more frontal faces than test faces, got 5 of 3"):
        make_aflw(tmp_path, train=1, test=3, frontal=5)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(DarkposeError, match=r"pip install 'darkpose\[data\]'"):
        make_aflw(tmp_path, train=1, test=3)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DarkposeError, match="the folder cannot be made"):
        make_wflw(tmp_path / "file", train=1, test=1)
