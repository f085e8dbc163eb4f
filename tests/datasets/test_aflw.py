"""AFLW: a MATLAB file of the published layout, written here with a few faces and a smaller training part."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darkpose.datasets import aflw
from darkpose.datasets.aflw import PUBLISHED, read_aflw
from darkpose.datasets.sample import nme_normaliser
from darkpose.errors import DarkposeError
from darkpose.schema import AFLW_19

scipy_io = pytest.importorskip("scipy.io")

FACES, TRAIN = 7, 4
NAMES = [f"{folder}/image{i}.jpg" for i, folder in enumerate([0, 2, 3, 0, 2, 3, 0])]
ORDER = [3, 1, 7, 5, 6, 2, 4]  # from 1, as the file has it: rows 2, 0, 6, 4 train; 5, 1, 3 test


def keypoints(row: int) -> np.ndarray:
    return np.random.default_rng(row).uniform(0, 100, (19, 2))


def arrays() -> dict[str, Any]:
    names = np.empty((FACES, 1), object)
    names[:, 0] = NAMES
    masks = np.ones((FACES, 19))
    masks[1, [4, 7]] = 0
    masks[0, 3] = 0
    boxes = np.array([[10 + row, 60 + row, 20, 90] for row in range(FACES)], float)  # left, right, top, bottom
    data = np.stack([keypoints(row).T.ravel() for row in range(FACES)])
    return {"nameList": names, "data": data, "mask_new": masks, "bbox": boxes, "ra": np.array([ORDER])}


def write(root: Path, **changes: Any) -> Path:
    contents = {name: value for name, value in (arrays() | changes).items() if value is not None}
    scipy_io.savemat(root / "AFLWinfo_release.mat", contents)
    return root


@pytest.fixture(autouse=True)
def _few_training_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aflw, "_TRAIN_FACES", TRAIN)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in "023":
        (tmp_path / "data" / "flickr" / folder).mkdir(parents=True)
    return tmp_path


def rows(faces: list[Any]) -> list[int]:
    return [int(face.source.rsplit(" ", 1)[1]) - 1 for face in faces]


def test_the_splits_follow_the_permutation_which_counts_from_1(root: Path) -> None:
    write(root)
    assert rows(read_aflw(root, "train")) == [2, 0, 6, 4]
    assert rows(read_aflw(root)) == [5, 1, 3]
    assert rows(read_aflw(root, "frontal")) == [5, 3]


def test_frontal_test_faces_have_all_landmarks_and_their_subset(root: Path) -> None:
    write(root)
    assert [face.subsets for face in read_aflw(root, "full")] == [{"frontal"}, frozenset(), {"frontal"}]
    assert not any(face.subsets for face in read_aflw(root, "train"))


def test_a_face_has_its_landmarks_and_a_mask(root: Path) -> None:
    face = read_aflw(write(root))[1]
    np.testing.assert_array_equal(face.keypoints, keypoints(1))
    assert np.flatnonzero(face.visible == 0).tolist() == [4, 7]
    assert face.image == root / "data/flickr/2/image1.jpg"


def test_the_box_is_a_square_around_left_right_top_bottom(root: Path) -> None:
    face = read_aflw(write(root))[2]  # row 3: x from 13 to 63, y from 20 to 90
    assert face.box.tolist() == [38 - 35, 20, 38 + 35, 90]
    assert face.box_size == nme_normaliser(face, AFLW_19) == 70


@pytest.mark.parametrize("below", ["data/flickr", "flickr", "images", "."])
def test_the_images_are_found_where_people_put_them(tmp_path: Path, below: str) -> None:
    for folder in "023":
        (tmp_path / below / folder).mkdir(parents=True)
    face = read_aflw(write(tmp_path))[0]
    assert face.image == tmp_path / below / "3" / "image5.jpg"


def test_missing_images_are_refused_with_the_places_looked_at(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match=r"images of AFLW .*looked for '3' in .*data/flickr, .*flickr"):
        read_aflw(write(tmp_path))


def test_an_unknown_split_is_refused(root: Path) -> None:
    with pytest.raises(DarkposeError, match="no split of AFLW 'test'; choose one of train, full, frontal"):
        read_aflw(root, "test")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": None}, "expected data of the shape .7, 38., as many rows as nameList, got nothing"),
        ({"bbox": np.ones((FACES, 5))}, "expected bbox of the shape .7, 4.*got .7, 5."),
        ({"mask_new": np.ones((FACES - 1, 19))}, "expected mask_new of the shape .7, 19.*got .6, 19."),
        ({"ra": None}, "a permutation of them, counted from 1, as `ra`; got 7 faces and 0 numbers"),
        ({"ra": np.arange(FACES)}, "counted from 1"),
        ({"nameList": np.ones((FACES, 1))}, "expected nameList to hold a path in every cell"),
        ({"nameList": None}, "expected nameList to hold a path"),
    ],
)
def test_another_structure_is_refused(root: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DarkposeError, match=rf"AFLWinfo_release\.mat: .*{message}"):
        read_aflw(write(root, **changes))


def test_a_file_with_too_few_faces_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aflw, "_TRAIN_FACES", PUBLISHED["train"]["faces"])
    with pytest.raises(DarkposeError, match=r"expected more than 20000 faces .* got 7 faces"):
        read_aflw(write(root))


def test_what_is_no_matlab_file_is_refused(root: Path) -> None:
    with pytest.raises(DarkposeError, match="cannot be read"):
        read_aflw(root)
    write(root)
    whole = (root / "AFLWinfo_release.mat").read_bytes()
    (root / "AFLWinfo_release.mat").write_bytes(whole[:2000])
    with pytest.raises(DarkposeError, match=r"AFLWinfo_release\.mat: "):
        read_aflw(root)
    for data in (b"", b"hello" * 100, b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x00" * 400):
        (root / "AFLWinfo_release.mat").write_bytes(data)
        with pytest.raises(DarkposeError, match="not a MATLAB 5 file"):
            read_aflw(root)


def test_broken_faces_are_refused_or_collected(root: Path) -> None:
    changes = arrays()
    changes["bbox"][5] = [50, 50, 20, 90]
    changes["data"][3, 0] = np.nan
    changes["data"][1, 4] = np.nan  # masked: nobody looks
    write(root, **changes)
    with pytest.raises(DarkposeError, match=r"row 6: expected a box with x0 < x1"):
        read_aflw(root)
    broken: list[str] = []
    assert rows(read_aflw(root, broken=broken)) == [1]
    assert [text.split("row ")[1].split(":")[0] for text in broken] == ["6", "4"]


def test_the_published_counts_add_up() -> None:
    assert PUBLISHED["train"]["faces"] + PUBLISHED["full"]["faces"] == 24386
    assert PUBLISHED["full"]["frontal"] == PUBLISHED["frontal"]["faces"] == 1314


@pytest.mark.parametrize(("name", "value"), [("bbox", "cells"), ("mask_new", "cells"), ("ra", "a text")])
def test_arrays_that_hold_no_numbers_are_refused(root: Path, name: str, value: str) -> None:
    cells = np.empty(np.shape(arrays()[name]), object)
    cells[:] = "x"
    write(root, **{name: value if name == "ra" else cells})
    with pytest.raises(DarkposeError, match=f"AFLWinfo_release.mat: .*expected {name} to hold .*numbers"):
        read_aflw(root)
