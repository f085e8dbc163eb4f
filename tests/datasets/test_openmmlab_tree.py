"""OpenMMLab's folders: which file is which split, and subsets that are files of their own."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darkpose.datasets import aflw, cofw, w300, wflw
from darkpose.datasets.catalogue import DATA_SETS
from darkpose.datasets.openmmlab_tree import (
    has_openmmlab_split,
    openmmlab_split_file,
    read_openmmlab_split,
)
from darkpose.datasets.sample import Sample, nme_normaliser
from darkpose.errors import DarkposeError
from darkpose.schema import AFLW_19, WFLW_98

LANDMARKS = {"wflw": 98, "aflw": 19, "300w": 68, "cofw": 29}
SPLITS = {
    "wflw": {*wflw.PUBLISHED, *wflw.SUBSETS},
    "aflw": set(aflw.PUBLISHED),
    "300w": set(w300.PUBLISHED),
    "cofw": set(cofw.PUBLISHED),
}
EVERY_SPLIT = [(data_set, split) for data_set, splits in SPLITS.items() for split in sorted(splits)]
FILES = """face_landmarks_wflw_train face_landmarks_wflw_test face_landmarks_wflw_test_largepose
face_landmarks_wflw_test_expression face_landmarks_wflw_test_illumination face_landmarks_wflw_test_makeup
face_landmarks_wflw_test_occlusion face_landmarks_wflw_test_blur face_landmarks_aflw_train face_landmarks_aflw_test
face_landmarks_aflw_test_frontal face_landmarks_300w_train face_landmarks_300w_valid face_landmarks_300w_valid_common
face_landmarks_300w_valid_challenge face_landmarks_300w_test cofw_train cofw_test"""


def face(data_set: str, number: int, image: str = "", **fields: Any) -> dict[str, Any]:
    """An annotation and, as `file_name`, its image; every number gives other landmarks, those of `at` + 0, 1, 2, ..."""
    at = 100 * number + np.arange(2 * LANDMARKS[data_set]).reshape(-1, 2)
    keypoints = np.column_stack([at, np.ones(len(at))]).ravel().tolist()
    known = {"id": number, "keypoints": keypoints, "center": [50.0 + number, 60.0], "scale": 0.25, "iscrowd": 0}
    return {"file_name": image or f"{number}.jpg", **known, **fields}


def write(root: Path, data_set: str, split: str, faces: Sequence[dict[str, Any]]) -> Path:
    """The JSON file of a split; its images are numbered anew, as in every file of OpenMMLab's."""
    names = list(dict.fromkeys(each["file_name"] for each in faces))
    images = [{"id": place, "file_name": name} for place, name in enumerate(names)]
    annotations = [{**each, "image_id": names.index(each["file_name"])} for each in faces]
    file = openmmlab_split_file(root, data_set, split)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": []}))
    return file


def numbers(samples: Sequence[Sample]) -> list[int]:
    return [int(sample.source.rsplit(" ", 1)[1]) for sample in samples]


def subsets(samples: Sequence[Sample]) -> dict[int, set[str]]:
    return dict(zip(numbers(samples), (set(sample.subsets) for sample in samples), strict=True))


def test_the_files_are_named_as_openmmlab_names_them(tmp_path: Path) -> None:
    files = [openmmlab_split_file(tmp_path, data_set, split) for data_set, split in EVERY_SPLIT]
    assert sorted(files) == sorted(tmp_path / "annotations" / f"{stem}.json" for stem in FILES.split())


def test_the_splits_that_have_another_name_here_are_these(tmp_path: Path) -> None:
    ours = {"aflw": {"full": "aflw_test"}, "300w": {"full": "300w_valid", "private": "300w_test"}}
    ours["wflw"] = {"pose": "wflw_test_largepose"}
    for data_set, names in ours.items():
        for split, theirs in names.items():
            assert openmmlab_split_file(tmp_path, data_set, split).name == f"face_landmarks_{theirs}.json"


@pytest.mark.parametrize(("data_set", "split"), EVERY_SPLIT)
def test_every_published_split_is_read_from_its_file_and_the_images_folder(
    tmp_path: Path, data_set: str, split: str
) -> None:
    assert not has_openmmlab_split(tmp_path, data_set, split)
    write(tmp_path, data_set, split, [face(data_set, 1, "some/where/1.jpg"), face(data_set, 2)])
    assert has_openmmlab_split(tmp_path, data_set, split)
    samples = read_openmmlab_split(tmp_path, data_set, split)
    assert [sample.image for sample in samples] == [tmp_path / "images/some/where/1.jpg", tmp_path / "images/2.jpg"]
    assert all(len(sample.keypoints) == LANDMARKS[data_set] for sample in samples)
    assert samples[0].box.tolist() == [51 - 25, 60 - 25, 51 + 25, 60 + 25]


@pytest.mark.parametrize("ask", [openmmlab_split_file, has_openmmlab_split, read_openmmlab_split])
def test_an_unknown_name_is_refused_with_the_names_there_are(tmp_path: Path, ask: Any) -> None:
    with pytest.raises(DarkposeError, match=r"no data set .*'coco'; choose one of wflw, aflw"):
        ask(tmp_path, "coco", "train")
    with pytest.raises(DarkposeError, match="no split of aflw 'test'; choose one of train, full, frontal"):
        ask(tmp_path, "aflw", "test")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match=r"annotations/face_landmarks_300w_valid\.json: cannot be read"):
        read_openmmlab_split(tmp_path, "300w", "full")


def test_a_face_is_of_the_subsets_whose_files_hold_it(tmp_path: Path) -> None:
    faces = [face("wflw", number) for number in range(1, 5)]
    write(tmp_path, "wflw", "test", faces)
    members = {"pose": [3, 1], "expression": [1], "illumination": [2], "makeup": [1], "occlusion": [3], "blur": [1]}
    for subset, chosen in members.items():
        write(tmp_path, "wflw", subset, [{**faces[number - 1], "id": 70 + number} for number in chosen])
    assert subsets(read_openmmlab_split(tmp_path, "wflw", "test")) == {
        1: {"pose", "expression", "makeup", "blur"},
        2: {"illumination"},
        3: {"pose", "occlusion"},
        4: set(),
    }


def test_the_faces_of_one_image_are_told_apart_by_their_landmarks(tmp_path: Path) -> None:
    faces = [face("300w", number, "ibug/crowd.jpg") for number in (1, 2, 3)]
    write(tmp_path, "300w", "full", faces)
    write(tmp_path, "300w", "challenge", faces[1:2])
    write(tmp_path, "300w", "common", faces[::2])
    expected = {1: {"common"}, 2: {"challenge"}, 3: {"common"}}
    assert subsets(read_openmmlab_split(tmp_path, "300w", "full")) == expected


def test_the_same_landmarks_in_another_image_are_another_face(tmp_path: Path) -> None:
    write(tmp_path, "aflw", "full", [face("aflw", 1, "one.jpg"), face("aflw", 1, "two.jpg", id=2)])
    write(tmp_path, "aflw", "frontal", [face("aflw", 1, "two.jpg")])
    assert subsets(read_openmmlab_split(tmp_path, "aflw", "full")) == {1: set(), 2: {"frontal"}}


def test_the_noise_of_float_arithmetic_makes_no_other_face_and_a_moved_landmark_does(tmp_path: Path) -> None:
    whole, noisy, moved = (face("aflw", 1) for _ in range(3))
    noisy["keypoints"] = (np.array(whole["keypoints"]) + np.tile([1e-9, 1e-9, 0], 19)).tolist()
    moved["keypoints"][0] += 0.1
    write(tmp_path, "aflw", "full", [whole])
    write(tmp_path, "aflw", "frontal", [noisy])
    assert subsets(read_openmmlab_split(tmp_path, "aflw", "full")) == {1: {"frontal"}}
    write(tmp_path, "aflw", "frontal", [moved])
    with pytest.raises(DarkposeError, match=r"annotation 1: this face of 1\.jpg is not among those read from"):
        read_openmmlab_split(tmp_path, "aflw", "full")


def test_a_face_of_a_subset_only_is_refused_by_file_and_annotation_or_collected(tmp_path: Path) -> None:
    whole = write(tmp_path, "wflw", "test", [face("wflw", 1), face("wflw", 2)])
    subset = write(tmp_path, "wflw", "blur", [face("wflw", 1), face("wflw", 9), face("wflw", 2)])
    with pytest.raises(DarkposeError) as caught:
        read_openmmlab_split(tmp_path, "wflw", "test")
    assert str(caught.value) == f"{subset}: annotation 9: this face of 9.jpg is not among those read from {whole}"
    broken: list[str] = []
    samples = read_openmmlab_split(tmp_path, "wflw", "test", broken=broken)
    assert broken == [str(caught.value)]
    assert subsets(samples) == {1: {"blur"}, 2: {"blur"}}


def test_a_broken_face_is_collected_from_either_file(tmp_path: Path) -> None:
    write(tmp_path, "wflw", "test", [face("wflw", 1), face("wflw", 2, keypoints=[1])])
    write(tmp_path, "wflw", "blur", [face("wflw", 1), face("wflw", 3, scale=-1)])
    with pytest.raises(DarkposeError, match=r"wflw_test\.json: annotation 2: expected 294 numbers"):
        read_openmmlab_split(tmp_path, "wflw", "test")
    broken: list[str] = []
    assert subsets(read_openmmlab_split(tmp_path, "wflw", "test", broken=broken)) == {1: {"blur"}}
    of_whole, of_subset = broken
    assert "wflw_test.json: annotation 2: expected 294 numbers" in of_whole
    assert "wflw_test_blur.json: annotation 3: expected a box" in of_subset


def test_a_subset_whose_file_is_not_there_is_nobodys(tmp_path: Path) -> None:
    write(tmp_path, "300w", "full", [face("300w", 1), face("300w", 2)])
    write(tmp_path, "300w", "common", [face("300w", 1)])
    assert subsets(read_openmmlab_split(tmp_path, "300w", "full")) == {1: {"common"}, 2: set()}


@pytest.mark.parametrize(
    ("data_set", "split", "expected"),
    [
        ("wflw", "makeup", {"makeup"}),
        ("aflw", "frontal", {"frontal"}),
        ("300w", "common", {"common"}),
        ("300w", "challenge", {"challenge"}),
        ("wflw", "train", set()),
        ("aflw", "train", set()),
        ("300w", "train", set()),
        ("cofw", "test", set()),
    ],
)
def test_a_split_that_is_a_subset_says_so_of_all_its_faces(
    tmp_path: Path, data_set: str, split: str, expected: set[str]
) -> None:
    write(tmp_path, data_set, split, [face(data_set, 1)])
    assert subsets(read_openmmlab_split(tmp_path, data_set, split)) == {1: expected}


def test_the_private_faces_of_300w_are_indoor_or_outdoor_by_their_images_names(tmp_path: Path) -> None:
    names = {1: "Test/01_Indoor/indoor_001.png", 2: "Test/02_Outdoor/outdoor_001.png", 3: "indoor_029.png"}
    write(tmp_path, "300w", "private", [face("300w", number, name) for number, name in names.items()])
    expected = {1: {"indoor"}, 2: {"outdoor"}, 3: {"indoor"}}
    assert subsets(read_openmmlab_split(tmp_path, "300w", "private")) == expected


def lay_out(shared_data: Path, data_set: str, split: str, root: Path) -> None:
    """The published samples of a set as the whole of one of its splits, the pictures linked."""
    source = shared_data / "openmmlab_samples" / data_set
    if not source.is_dir():
        pytest.skip(f"needs the published samples in {source}")
    file = openmmlab_split_file(root, data_set, split)
    file.parent.mkdir(parents=True)
    shutil.copyfile(source / f"test_{data_set}.json", file)
    (root / "images").symlink_to(source)


def test_real_faces_of_wflw_are_read_by_name_and_cut_by_center_and_scale(shared_data: Path, tmp_path: Path) -> None:
    lay_out(shared_data, "wflw", "test", tmp_path)
    whole = json.loads(openmmlab_split_file(tmp_path, "wflw", "test").read_text())
    cut_off = next(each for each in whole["annotations"] if each["bbox"][3] < each["bbox"][2] / 2)
    openmmlab_split_file(tmp_path, "wflw", "pose").write_text(json.dumps({**whole, "annotations": [cut_off]}))

    faces = DATA_SETS["wflw-test"].read(tmp_path)
    assert len(faces) == 4
    assert all(sample.image.is_file() and len(sample.keypoints) == 98 for sample in faces)
    by_id = {each["id"]: each for each in whole["annotations"]}
    for number, sample in zip(numbers(faces), faces, strict=True):
        center, half = np.array(by_id[number]["center"]), 100 * by_id[number]["scale"]
        np.testing.assert_allclose(sample.box, [*(center - half), *(center + half)], rtol=0, atol=1e-9)
        assert sample.subsets == ({"pose"} if number == cut_off["id"] else frozenset())
        assert nme_normaliser(sample, WFLW_98) > 0
        assert sample.box_size is None
    assert numbers(DATA_SETS["wflw-pose"].read(tmp_path)) == [cut_off["id"]]


def test_real_faces_of_aflw_are_read_by_name_and_bring_their_normaliser(shared_data: Path, tmp_path: Path) -> None:
    lay_out(shared_data, "aflw", "full", tmp_path)
    shutil.copyfile(*(openmmlab_split_file(tmp_path, "aflw", split) for split in ("full", "frontal")))
    faces = DATA_SETS["aflw-full"].read(tmp_path)
    assert sorted(sample.box_size or 0 for sample in faces) == [128, 362]
    assert all(sample.image.is_file() and sample.subsets == {"frontal"} for sample in faces)
    for sample in faces:
        np.testing.assert_allclose(sample.box[2:] - sample.box[:2], sample.box_size or 0, rtol=0, atol=1e-9)
        assert nme_normaliser(sample, AFLW_19) == sample.box_size
    (large,) = (sample for sample in faces if sample.box_size == 362)
    np.testing.assert_allclose((large.box[:2] + large.box[2:]) / 2, [449, 321], rtol=0, atol=1e-9)
