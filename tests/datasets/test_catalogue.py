"""The published data sets by name."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from darkpose.datasets.catalogue import DATA_SETS
from darkpose.datasets.openmmlab_tree import openmmlab_split_file
from darkpose.errors import DarkposeError
from darkpose.evaluation.benchmarks import benchmark_of
from needed import needs

WFLW_SUBSETS = "wflw-pose wflw-expression wflw-illumination wflw-makeup wflw-occlusion wflw-blur"
PUBLISHED = f"""wflw-train wflw-test {WFLW_SUBSETS} aflw-train aflw-full aflw-frontal 300w-train 300w-common
300w-challenge 300w-full 300w-private cofw-train cofw-test"""
NAMES = f"{PUBLISHED} 300w-lfpw faces-lfpw faces-300w faces faces-wflw-test poses poses-wflw-test"
NAMES = f"{NAMES} cfp-validation merlrav-validation ytf-validation"
LIST = "WFLW_annotations/list_98pt_rect_attr_train_test/list_98pt_rect_attr_test.txt"
POSE_LIST = "WFLW_annotations/list_98pt_test/list_98pt_test_largepose.txt"
OFFICIAL = {  # what the official reader of a split looks for first
    "wflw-train": LIST.replace("test.txt", "train.txt"),
    "wflw-test": LIST,
    **{name: f"WFLW_annotations/list_98pt_test/list_98pt_test_{name[5:]}.txt" for name in WFLW_SUBSETS.split()},
    "wflw-pose": POSE_LIST,
    **dict.fromkeys(["aflw-train", "aflw-full", "aflw-frontal"], "AFLWinfo_release.mat"),
    **{"300w-train": "afw", "300w-common": "helen/testset", "300w-challenge": "ibug", "300w-full": "helen/testset"},
    **{"300w-private": "300W/01_Indoor", "cofw-train": "COFW_train_color.mat", "cofw-test": "COFW_test_color.mat"},
}


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def write_json(root: Path, name: str) -> None:
    """One face of a data set in OpenMMLab's layout, `json.jpg`."""
    data_set, split = name.split("-")
    keypoints = [*(float(value) for value in np.arange(3 * len(DATA_SETS[name].schema)) + 1)]
    face = {"id": 1, "image_id": 7, "iscrowd": 0, "keypoints": keypoints, "center": [9.0, 9.0], "scale": 0.1}
    content = {"images": [{"id": 7, "file_name": "json.jpg"}], "annotations": [face]}
    write(openmmlab_split_file(root, data_set, split), json.dumps(content))


def write_wflw(root: Path) -> None:
    """One face of WFLW's test set and of its subset pose in the official files, `official.jpg`."""
    landmarks = " ".join(str(value) for value in range(196))
    write(root / LIST, f"{landmarks} 0 0 9 9 1 0 0 0 0 0 official.jpg\n")
    write(root / POSE_LIST, f"{landmarks} official.jpg\n")


def test_the_names_are_these() -> None:
    assert sorted(DATA_SETS) == sorted(NAMES.split())


@pytest.mark.parametrize("name", sorted(DATA_SETS))
def test_an_empty_folder_is_one_clear_error_that_names_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match=str(tmp_path)):
        DATA_SETS[name].read(tmp_path)


@needs("h5py", "scipy")
@pytest.mark.parametrize("name", PUBLISHED.split())
def test_where_there_is_neither_layout_the_error_names_what_was_looked_for_in_both(name: str, tmp_path: Path) -> None:
    with pytest.raises(DarkposeError) as caught:
        DATA_SETS[name].read(tmp_path)
    assert str(tmp_path / OFFICIAL[name]) in str(caught.value)
    assert str(openmmlab_split_file(tmp_path, *name.split("-"))) in str(caught.value)


@pytest.mark.parametrize("name", PUBLISHED.split())
def test_every_published_data_set_is_read_from_openmmlabs_layout_under_the_same_name(name: str, tmp_path: Path) -> None:
    write_json(tmp_path, name)
    (face,) = DATA_SETS[name].read(tmp_path)
    assert face.image == tmp_path / "images" / "json.jpg"
    assert face.box.tolist() == [-1, -1, 19, 19]


@pytest.mark.parametrize("name", ["wflw-test", "wflw-pose"])
def test_json_wins_over_the_official_files_split_by_split(name: str, tmp_path: Path) -> None:
    write_wflw(tmp_path)
    (official,) = DATA_SETS[name].read(tmp_path)
    assert official.image.name == "official.jpg"
    assert official.subsets == {"pose"}
    other = {"wflw-test": "wflw-pose", "wflw-pose": "wflw-test"}[name]
    write_json(tmp_path, other)
    assert DATA_SETS[name].read(tmp_path)[0].image.name == "official.jpg"
    write_json(tmp_path, name)
    assert DATA_SETS[name].read(tmp_path)[0].image.name == "json.jpg"


def test_what_cannot_be_read_is_collected_in_either_layout(tmp_path: Path) -> None:
    write_wflw(tmp_path)
    write(tmp_path / LIST, (tmp_path / LIST).read_text() + "1 2 3\n")
    broken: list[str] = []
    assert len(DATA_SETS["wflw-test"].read(tmp_path, broken=broken)) == 1
    with pytest.raises(DarkposeError, match=re.escape(f"{LIST}:2: expected 206 numbers")):
        DATA_SETS["wflw-test"].read(tmp_path)
    write_json(tmp_path, "wflw-test")
    file = openmmlab_split_file(tmp_path, "wflw", "test")
    content = json.loads(file.read_text())
    content["annotations"].append({"id": 2, "image_id": 7})
    file.write_text(json.dumps(content))
    assert len(DATA_SETS["wflw-test"].read(tmp_path, broken=broken)) == 1
    of_list, of_json = broken
    assert f"{LIST}:2: expected 206 numbers" in of_list
    assert "wflw_test.json: annotation 2: expected 294 numbers" in of_json


def test_the_published_counts_are_the_papers() -> None:
    counts = {name: each.published["faces"] for name, each in DATA_SETS.items() if each.published}
    assert (counts["wflw-train"], counts["wflw-test"]) == (7500, 2500)
    assert (counts["aflw-train"], counts["aflw-full"], counts["aflw-frontal"]) == (20000, 4386, 1314)
    assert (counts["300w-train"], counts["300w-full"]) == (3148, 689)
    subsets = {name: DATA_SETS[name].published for name in WFLW_SUBSETS.split()}
    assert [counts[name] for name in subsets] == [326, 314, 698, 206, 736, 773]
    assert all(published == {"faces": counts[name], name[5:]: counts[name]} for name, published in subsets.items())


def test_an_unknown_subset_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(DarkposeError, match=r"no data set 'wflw-profile'; the names are wflw-train, .*wflw-pose, .*"):
        benchmark_of("wflw-profile")
    assert benchmark_of("wflw-blur").test_set is DATA_SETS["wflw-blur"]


def test_real_faces_are_read_by_name(shared_data: Path) -> None:
    faces = DATA_SETS["wflw-test"].read(shared_data / "wflw")
    assert len(faces) == 310
    assert all(len(face.keypoints) == 98 for face in faces)
