"""YOLO-pose: a YAML file and text files of labels."""

import sys
from pathlib import Path

import numpy as np
import pytest

from darkpose.datasets.annotations import read_annotations
from darkpose.errors import DarkposeError
from needed import needs
from own_annotations import BOX, POINTS, YAML, picture, yolo_line, yolo_set

pytestmark = needs("yaml")


def test_labels_are_shares_of_the_image(tmp_path: Path) -> None:
    found = read_annotations(yolo_set(tmp_path, yolo_line((2, 1, 0, 2))))
    (sample,) = found.samples
    np.testing.assert_allclose(sample.keypoints, np.where([[True], [True], [False], [True]], POINTS, 0))
    np.testing.assert_allclose(sample.box, BOX)
    assert sample.visible.tolist() == [1, 1, 0, 1]
    assert found.hidden[0].tolist() == [False, True, False, False]
    assert sample.image == tmp_path / "images" / "train" / "a.png"
    assert sample.source == f"{tmp_path / 'labels' / 'train' / 'a.txt'}:1"
    assert (found.schema.flip_pairs, found.schema.names[0], found.category) == (((0, 1),), "point_0", "cat")
    assert any("images/val: no folder of labels" in note for note in found.notes)


def test_without_visibility_two_zeros_and_negative_numbers_are_not_annotated(tmp_path: Path) -> None:
    line = "0 0.5 0.5 0.5 0.5 0.25 0.5 0 0 -1 0.5 0.5 1"
    found = read_annotations(yolo_set(tmp_path, line, yaml="train: images/train\nkpt_shape: [4, 2]\nnames: [cat]\n"))
    assert found.samples[0].visible.tolist() == [1, 0, 0, 1]
    assert found.samples[0].keypoints[0].tolist() == [16, 24]


@pytest.mark.parametrize(
    "lines",
    [
        "train: ../train/images\n",
        "path: /home/me/train\ntrain: images\n",
        "train: train/images\nval: train/images\n",
        "train: [train/images]\n",
        "path: .\ntrain: list.txt\n",
        "train: C:\\data\\train\\images\n",
    ],
)
def test_folders_are_found_by_the_ends_of_their_names(tmp_path: Path, lines: str) -> None:
    image = picture(tmp_path, "train/images/a.png")
    (tmp_path / "train" / "labels").mkdir()
    (tmp_path / "train" / "labels" / "a.txt").write_text(yolo_line())
    (tmp_path / "list.txt").write_text("./train/images/a.png\n")
    (tmp_path / "data.yaml").write_text(f"{lines}kpt_shape: [4, 3]\nnames: ['cat']\nkpt_names: {{0: [a, b, c, d]}}\n")
    found = read_annotations(tmp_path)
    assert [each.image for each in found.samples] == [image]
    assert found.schema.names == ("a", "b", "c", "d")


def test_images_may_lie_elsewhere_and_no_name_leads_out_of_the_folders(tmp_path: Path) -> None:
    yolo_set(tmp_path / "secret")
    images = tmp_path / "photos"
    image = picture(images, "a.png")
    file = yolo_set(tmp_path / "set")
    assert [each.image for each in read_annotations(file, images).samples] == [image]
    (tmp_path / "set" / "images" / "train" / "a.png").unlink()
    file.write_text("train: ../secret/images/train\nkpt_shape: [4, 3]\n")
    with pytest.raises(DarkposeError, match=r"a\.txt:1: expected an image of the same name"):
        read_annotations(file)
    (tmp_path / "set" / "labels" / "train" / "a.txt").unlink()
    with pytest.raises(DarkposeError, match=r"data\.yaml: expected labels"):
        read_annotations(file)


def test_a_flip_idx_that_swaps_nothing_is_none(tmp_path: Path) -> None:
    yaml = YAML.replace("[1, 0, 2, 3]", "[0, 1, 2, 3]\nkpt_names: [left_ear, right_ear, snout, tail]")
    found = read_annotations(yolo_set(tmp_path, yaml=yaml))
    assert found.schema.flip_pairs == ((0, 1),)
    assert any("inferred" in note for note in found.notes)


def test_one_of_several_classes_is_chosen(tmp_path: Path) -> None:
    yaml = YAML.replace("{0: cat}", "[cat, dog, cow]")
    file = yolo_set(tmp_path, yolo_line(), yolo_line(number=1), "", yaml=yaml)
    with pytest.raises(DarkposeError, match=r"choose with --category: 'cat', 'dog'$"):
        read_annotations(file)
    found = read_annotations(file, category="dog")
    assert [each.source[-2:] for each in found.samples] == [":2"]
    assert any("1 of 2 labels are left out" in note for note in found.notes)


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("a: [", "not a YAML file"),
        ("[" * 5000, "not a YAML file"),
        ("a: 1", "expected kpt_shape"),
        ("kpt_shape: 4", "expected kpt_shape"),
        ("kpt_shape: [4, 5]", r"expected kpt_shape: .*2 or 3"),
        ("kpt_shape: [4, 3]\nnames: 5", "expected names to be a list or a table"),
        ("kpt_shape: [4, 3]\nnames: [" + "[" * 900 + "]" * 901, "expected names to be texts, got a list"),
        ("kpt_shape: [4, 3]\nflip_idx: [[1, 0, 2, 3]]", "expected flip_idx to list"),
        ("kpt_shape: [4, 3]\ntrain: [{a: 1}]", "expected train to be texts, got a dict"),
        ("kpt_shape: [0x" + "f" * 5000 + ", 3]", "expected kpt_shape: "),
        ("kpt_shape: [4, 3]\nnames: [0x" + "f" * 5000 + "]", "expected names to be texts, got a int"),
        ("kpt_shape: [4, 3]\nflip_idx: [1, 0]", "expected flip_idx to list the numbers from 0 to 3"),
        ("kpt_shape: [4, 3]\nflip_idx: [1, 2, 0, 3]", "expected flip_idx to swap pairs"),
        ("kpt_shape: [4, 3]\nkpt_names: [a]", "expected kpt_names to be 4 names"),
        ("kpt_shape: [4, 3]\ntrain: nothing", "expected labels/.*found none"),
    ],
)
def test_another_yaml_file_is_one_sentence(tmp_path: Path, yaml: str, message: str) -> None:
    with pytest.raises(DarkposeError, match=rf"data\.yaml: .*{message}"):
        read_annotations(yolo_set(tmp_path, yaml=yaml))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5", "expected 17 numbers .*got 3"),
        (yolo_line().replace("2", "x"), "expected numbers"),
        ("0 0.5 0.5 0.5 0.5" + " nan 0 2" * 4, "a landmark is not a finite number"),
    ],
)
def test_another_label_is_one_sentence_with_its_line(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(DarkposeError, match=rf"a\.txt:2: {message}"):
        read_annotations(yolo_set(tmp_path, yolo_line(), line))


def test_an_image_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    file = yolo_set(tmp_path)
    (tmp_path / "images" / "train" / "a.png").write_bytes(b"no image")
    with pytest.raises(DarkposeError, match=r"a\.png"):
        read_annotations(file)


def test_without_pyyaml_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(DarkposeError, match=r"pip install 'darkpose\[data\]'"):
        read_annotations(yolo_set(tmp_path))
