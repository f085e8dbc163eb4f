"""COFW: MATLAB 7.3 files of the published layout, written here with h5py as MATLAB would."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darkpose.datasets.cofw import PUBLISHED, read_cofw
from darkpose.errors import DarkposeError
from darkpose.image.geometry import landmark_box
from darkpose.image.pixels import read_image

h5py = pytest.importorskip("h5py")


def picture(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


PICTURES = [picture(0, 40, 50, 3), picture(1, 30, 60), picture(2, 45, 35, 3)]  # the second one is grey


def keypoints(row: int) -> np.ndarray:
    return np.random.default_rng(row).uniform(1, 30, (29, 2))


def write(root: Path, split: str, suffix: str, **changes: Any) -> Path:
    count = len(PICTURES)
    occluded = np.tile(np.arange(29) % 2, (count, 1))
    arrays = {
        "phis": np.concatenate([[keypoints(row).T.ravel() for row in range(count)], occluded], axis=1).T,
        "bboxes": np.array([[2.0, 3.0, 20.0, 10.0]] * count).T,
    } | changes
    path = root / f"COFW_{split}_color.mat"
    with h5py.File(path, "w") as file:
        references = [file.create_dataset(f"#refs#/{i}", data=p.T).ref for i, p in enumerate(PICTURES)]
        file.create_dataset(f"Is{suffix}", data=np.array([references], object), dtype=h5py.ref_dtype)
        for name, value in arrays.items():
            if value is not None:
                file.create_dataset(f"{name}{suffix}", data=value)
    return path


@pytest.mark.parametrize(("split", "suffix"), [("train", "Tr"), ("test", "T")])
def test_a_face_has_its_landmarks_all_visible_and_their_box(tmp_path: Path, split: str, suffix: str) -> None:
    write(tmp_path, split, suffix)
    faces = read_cofw(tmp_path, split, images=tmp_path / "images")
    assert len(faces) == 3
    for row, face in enumerate(faces):
        np.testing.assert_array_equal(face.keypoints, keypoints(row))
        np.testing.assert_array_equal(face.visible, np.ones(29))
        np.testing.assert_array_equal(face.box, landmark_box(keypoints(row)))
        assert face.source.endswith(f"COFW_{split}_color.mat: row {row + 1}")


def test_the_pictures_are_written_upright_and_grey_ones_as_rgb(tmp_path: Path) -> None:
    write(tmp_path, "test", "T")
    faces = read_cofw(tmp_path, images=tmp_path / "a" / "b")
    assert [face.image.name for face in faces] == ["test_0001.png", "test_0002.png", "test_0003.png"]
    for face, expected in zip(faces, PICTURES, strict=True):
        rgb = expected if expected.ndim == 3 else np.stack([expected] * 3, axis=2)
        np.testing.assert_array_equal(read_image(face.image), rgb)


def test_pictures_that_are_there_are_not_written_again(tmp_path: Path) -> None:
    write(tmp_path, "test", "T")
    images = tmp_path / "images"
    read_cofw(tmp_path, images=images)
    (images / "test_0002.png").write_bytes(b"mine")
    (images / "test_0003.png").unlink()
    read_cofw(tmp_path, images=images)
    assert (images / "test_0002.png").read_bytes() == b"mine"
    assert read_image(images / "test_0003.png").shape == (45, 35, 3)
    assert len(list(images.iterdir())) == 3


def test_the_face_box_of_the_file_is_taken_if_asked(tmp_path: Path) -> None:
    write(tmp_path, "test", "T")
    assert read_cofw(tmp_path, images=tmp_path, box="file")[0].box.tolist() == [2, 3, 22, 13]


@pytest.mark.parametrize(
    "changes",
    [{"phis": np.ones((58, 3))}, {"phis": np.ones((87, 2))}, {"bboxes": np.ones((3, 4))}, {"bboxes": None}],
)
def test_another_structure_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    write(tmp_path, "test", "T", **changes)
    with pytest.raises(DarkposeError, match=r"COFW_test_color\.mat: expected .*IsT.* bboxesT.* phisT"):
        read_cofw(tmp_path, images=tmp_path)


def test_the_other_split_under_this_name_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "test", "Tr")
    with pytest.raises(DarkposeError, match="expected the arrays IsT, bboxesT, phisT; IsT is missing"):
        read_cofw(tmp_path, images=tmp_path)


def test_pictures_that_are_no_cells_are_refused(tmp_path: Path) -> None:
    with h5py.File(write(tmp_path, "test", "T"), "a") as file:
        del file["IsT"]
        file["IsT"] = np.ones((1, 3))
    with pytest.raises(DarkposeError, match="expected N cells in IsT"):
        read_cofw(tmp_path, images=tmp_path)


def test_a_missing_file_or_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match=r"COFW_test_color\.mat: cannot be read as a MATLAB 7\.3"):
        read_cofw(tmp_path, images=tmp_path)
    (tmp_path / "COFW_test_color.mat").write_bytes(b"MATLAB 5.0 MAT-file" * 50)
    with pytest.raises(DarkposeError, match=r"COFW_test_color\.mat: cannot be read as a MATLAB 7\.3"):
        read_cofw(tmp_path, images=tmp_path)


def test_an_unknown_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match="no split of COFW 'val'; choose one of train, test"):
        read_cofw(tmp_path, "val", images=tmp_path)


def test_broken_faces_are_refused_or_collected(tmp_path: Path) -> None:
    phis = np.random.default_rng(0).uniform(1, 30, (87, 3))
    phis[4, 1] = np.nan
    with h5py.File(write(tmp_path, "test", "T", phis=phis), "a") as file:
        del file["#refs#/2"]
        file["#refs#/2"] = np.ones((3, 4, 5))  # a dangling reference would be as bad
    with pytest.raises(DarkposeError, match="row 2: an annotated landmark or the box is not a finite number"):
        read_cofw(tmp_path, images=tmp_path / "images")
    broken: list[str] = []
    assert len(read_cofw(tmp_path, images=tmp_path / "images", broken=broken)) == 1
    assert ["row 2" in broken[0], "row 3: its image cannot be written" in broken[1]] == [True, True]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    write(tmp_path, "test", "T")
    (tmp_path / "file").write_text("")
    with pytest.raises(DarkposeError, match=r"cannot be written to .*file/images/test_0001\.png"):
        read_cofw(tmp_path, images=tmp_path / "file" / "images")


def test_without_h5py_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DarkposeError, match=r"needs h5py: pip install 'darkpose\[data\]'"):
        read_cofw(tmp_path, images=tmp_path)


def test_the_published_counts_are_those_of_the_paper() -> None:
    assert PUBLISHED == {"train": {"faces": 1345}, "test": {"faces": 507}}


def test_an_unknown_box_rule_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match="'tight'; choose one of landmarks, file"):
        read_cofw(tmp_path, images=tmp_path, box="tight")  # type: ignore[arg-type]


def test_a_group_in_place_of_pictures_is_refused(tmp_path: Path) -> None:
    with h5py.File(write(tmp_path, "test", "T"), "a") as file:
        del file["IsT"]
        file.create_group("IsT")
    with pytest.raises(DarkposeError, match=r"COFW_test_color\.mat: .*IsT is no array"):
        read_cofw(tmp_path, images=tmp_path)


def test_damaged_bytes_are_a_clear_error_or_pictures(tmp_path: Path) -> None:
    whole, rng = write(tmp_path, "test", "T").read_bytes(), np.random.default_rng(0)
    for _ in range(15):
        damaged = bytearray(whole)
        for place in rng.integers(100, len(whole), 40):
            damaged[place] = rng.integers(256)
        (tmp_path / "COFW_test_color.mat").write_bytes(damaged)
        with suppress(DarkposeError):
            read_cofw(tmp_path, images=tmp_path / "images", broken=[])
