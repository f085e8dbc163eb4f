"""300-W: faces read from a small tree and, where it is to be had, from the real one."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from darkpose.datasets.sample import nme_normaliser
from darkpose.datasets.w300 import LFPW_TEST_FOLDERS, PUBLISHED, TRAIN_FOLDERS, read_300w, read_300w_split
from darkpose.errors import DarkposeError
from darkpose.files.pts import format_pts
from darkpose.image.pixels import read_image
from darkpose.schema import W300_68


def landmarks(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(5, 55, (68, 2)).round(6)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two faces in afw, one each in helen and lfpw; the names' order is not the order of writing."""
    for seed, name in enumerate(("afw/b.jpg", "afw/a.png", "helen/trainset/c.jpg", "lfpw/trainset/d.png")):
        image = tmp_path / name
        image.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(image), np.zeros((60, 60, 3), np.uint8))
        image.with_suffix(".pts").write_text(format_pts(landmarks(seed)))
    return tmp_path


def test_faces_come_folder_by_folder_in_the_order_of_their_names(tree: Path) -> None:
    names = [face.image.relative_to(tree).as_posix() for face in read_300w(tree)]
    assert names == ["afw/a.png", "afw/b.jpg", "helen/trainset/c.jpg", "lfpw/trainset/d.png"]
    for letter in "qzkxmj":  # so that neither the order of writing nor its reverse is the names'
        for suffix in (".png", ".pts"):
            shutil.copy(tree / f"lfpw/trainset/d{suffix}", tree / f"afw/{letter}{suffix}")
    names = [face.image.stem for face in read_300w(tree, ["lfpw/trainset", "afw"])]
    assert names == ["d", "a", "b", "j", "k", "m", "q", "x", "z"]


def test_a_face_has_its_landmarks_and_their_whole_pixel_box(tree: Path) -> None:
    face = read_300w(tree)[1]
    np.testing.assert_allclose(face.keypoints, landmarks(0), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(face.visible, np.ones(68))
    expected = [*np.floor(landmarks(0).min(axis=0)), *np.ceil(landmarks(0).max(axis=0))]
    np.testing.assert_array_equal(face.box, expected)


def test_a_missing_or_empty_folder_is_refused(tree: Path) -> None:
    (tree / "ibug").mkdir()
    for folder in ("ibug", "nowhere"):
        with pytest.raises(DarkposeError, match=rf"{folder}: expected .pts files"):
            read_300w(tree, [folder])


def test_an_annotation_without_its_image_is_refused(tree: Path) -> None:
    (tree / "afw" / "a.png").unlink()
    with pytest.raises(DarkposeError, match=r"a\.pts: expected an image"):
        read_300w(tree)


def test_an_annotation_of_another_schema_is_refused(tree: Path) -> None:
    (tree / "afw" / "a.pts").write_text(format_pts(landmarks(0)[:51]))
    with pytest.raises(DarkposeError, match=r"a\.pts: expected 68 landmarks, got 51"):
        read_300w(tree)


def test_every_published_suffix_is_found(tree: Path) -> None:
    for suffix in (".jpeg", ".JPG", ".PNG"):
        shutil.move(tree / "lfpw/trainset/d.png", tree / "lfpw/trainset" / f"d{suffix}")
        assert read_300w(tree)[-1].image.suffix == suffix
        shutil.move(tree / "lfpw/trainset" / f"d{suffix}", tree / "lfpw/trainset/d.png")


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ("train", {"afw/1": "", "helen/trainset/1": "", "lfpw/trainset/1": ""}),
        ("common", {"helen/testset/1": "common", "lfpw/testset/1": "common"}),
        ("challenge", {"ibug/1": "challenge"}),
        ("full", {"helen/testset/1": "common", "lfpw/testset/1": "common", "ibug/1": "challenge"}),
        ("private", {"300W/01_Indoor/1": "indoor", "300W/02_Outdoor/1": "outdoor"}),
    ],
)
def test_a_published_split_has_its_folders_and_subsets(tmp_path: Path, split: str, expected: dict[str, str]) -> None:
    folders = ("afw", "helen/trainset", "helen/testset", "lfpw/trainset", "lfpw/testset", "ibug")
    for folder in (*folders, "300W/01_Indoor", "300W/02_Outdoor"):
        image = tmp_path / folder / "1.png"
        image.parent.mkdir(parents=True)
        cv2.imwrite(str(image), np.zeros((60, 60, 3), np.uint8))
        image.with_suffix(".pts").write_text(format_pts(landmarks(0)))
    found = {
        face.image.with_suffix("").relative_to(tmp_path).as_posix(): face for face in read_300w_split(tmp_path, split)
    }
    assert list(found) == list(expected)
    for name, subset in expected.items():
        assert found[name].subsets == ({subset} if subset else frozenset())


def test_an_unknown_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match="no split of 300-W 'test'; choose one of train, common, challenge, full"):
        read_300w_split(tmp_path, "test")


def test_the_published_counts_add_up() -> None:
    assert PUBLISHED["train"] == {"faces": 337 + 2000 + 811}
    assert PUBLISHED["common"]["faces"] == 330 + 224
    assert PUBLISHED["full"] == {"faces": 689, "common": 554, "challenge": 689 - 554}
    assert PUBLISHED["private"] == {"faces": 600, "indoor": 300, "outdoor": 300}


def test_all_broken_faces_are_collected_if_asked(tree: Path) -> None:
    (tree / "afw" / "a.png").unlink()
    (tree / "helen/trainset/c.pts").write_text("version: 1\nn_points: 68\n{\n1 2\nx y\n}\n")
    (tree / "lfpw/trainset/d.pts").write_text(format_pts(np.full((68, 2), np.nan)))
    broken: list[str] = []
    assert [face.image.name for face in read_300w(tree, broken=broken)] == ["b.jpg"]
    assert [Path(text.split(": ")[0]).name for text in broken] == ["a.pts", "c.pts", "d.pts"]
    assert "line 5: expected two numbers" in broken[1]


def test_the_real_faces_lie_in_their_images_with_eyes_on_their_sides(shared_data: Path) -> None:
    root = shared_data / "300w"
    assert len(read_300w(root, TRAIN_FOLDERS)) == 2017
    faces = read_300w(root, LFPW_TEST_FOLDERS)
    assert len(faces) == 224
    for face in faces:
        left, right = (face.keypoints[list(eye)].mean(axis=0) for eye in (W300_68.left_eye, W300_68.right_eye))
        assert left[0] < right[0], face.image
        assert 10 < nme_normaliser(face, W300_68) < 240, face.image
    for face in faces[::40]:
        height, width = read_image(face.image).shape[:2]
        assert (face.keypoints > -0.5).all(), face.image
        assert (face.keypoints < [width - 0.5, height - 0.5]).all(), face.image
