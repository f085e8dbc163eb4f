"""WFLW: list files written here and, where they are to be had, real faces."""

from pathlib import Path

import numpy as np
import pytest

from darkpose.datasets.check import check_samples
from darkpose.datasets.sample import nme_normaliser
from darkpose.datasets.wflw import PUBLISHED, SUBSETS, read_wflw, read_wflw_subset
from darkpose.errors import DarkposeError
from darkpose.image.geometry import landmark_box
from darkpose.schema import WFLW_98

LIST = "WFLW_annotations/list_98pt_rect_attr_train_test/list_98pt_rect_attr_{}.txt"
SUBSET_LIST = "WFLW_annotations/list_98pt_test/list_98pt_test_{}.txt"


def landmarks(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(5, 95, (98, 2)).round(6)


def line(
    seed: int, flags: tuple[int, ...] = (0,) * 6, image: str = "a/b.jpg", box: tuple[float, ...] = (1, 2, 90, 80)
) -> str:
    return " ".join(map(str, [*landmarks(seed).ravel().tolist(), *box, *flags, image]))


def write(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def test_a_line_becomes_a_face_with_the_published_crop_box(tmp_path: Path) -> None:
    write(tmp_path / LIST.format("test"), line(0), line(1, image="0--Parade/x.jpg"))
    first, second = read_wflw(tmp_path)
    np.testing.assert_array_equal(first.keypoints, landmarks(0))
    np.testing.assert_array_equal(first.visible, np.ones(98))
    np.testing.assert_array_equal(first.box, landmark_box(landmarks(0)))
    assert first.subsets == frozenset()
    assert second.image == tmp_path / "WFLW_images" / "0--Parade" / "x.jpg"
    assert second.source == f"{tmp_path / LIST.format('test')}:2"


def test_the_box_of_the_list_is_taken_if_asked(tmp_path: Path) -> None:
    write(tmp_path / LIST.format("test"), line(0))
    assert read_wflw(tmp_path, box="file")[0].box.tolist() == [1, 2, 90, 80]


@pytest.mark.parametrize(("place", "subset"), list(enumerate(SUBSETS)))
def test_every_flag_names_its_subset(tmp_path: Path, place: int, subset: str) -> None:
    flags = [0] * 6
    flags[place] = 1
    write(tmp_path / LIST.format("test"), line(0, tuple(flags)))
    assert read_wflw(tmp_path)[0].subsets == {subset}


def test_the_flags_stand_in_the_published_order(tmp_path: Path) -> None:
    assert SUBSETS == ("pose", "expression", "illumination", "makeup", "occlusion", "blur")
    write(tmp_path / LIST.format("train"), line(0, (1, 0, 0, 1, 0, 1)))
    assert read_wflw(tmp_path, "train")[0].subsets == {"pose", "makeup", "blur"}


def test_a_subset_list_has_no_box_and_no_flags(tmp_path: Path) -> None:
    fields = line(3).split()
    for name in ("largepose", "blur"):
        write(tmp_path / SUBSET_LIST.format(name), " ".join([*fields[:196], fields[-1]]))
    for subset in ("pose", "blur"):
        (face,) = read_wflw_subset(tmp_path, subset)
        assert face.subsets == {subset}
        np.testing.assert_array_equal(face.keypoints, landmarks(3))
        np.testing.assert_array_equal(face.box, landmark_box(landmarks(3)))


def test_unknown_splits_and_subsets_are_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match="no split of WFLW 'val'; choose one of train, test"):
        read_wflw(tmp_path, "val")
    with pytest.raises(DarkposeError, match="no subset of WFLW 'largepose'; choose one of pose, expression"):
        read_wflw_subset(tmp_path, "largepose")


def test_a_missing_or_empty_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match=r"attr_test\.txt: cannot be read: No such file"):
        read_wflw(tmp_path)
    write(tmp_path / LIST.format("test"), "", "  ")
    with pytest.raises(DarkposeError, match=r"attr_test\.txt: .*found none"):
        read_wflw(tmp_path)


BROKEN = {
    "expected 206 numbers and an image name, got 206 fields": line(0).split(" ", 1)[1],
    "expected 206 numbers and an image name, got 208 fields": "1.5 " + line(0),
    "expected numbers .*12,5": "12,5 " + line(0).split(" ", 1)[1],
    "not a finite number": "nan " + line(0).split(" ", 1)[1],
    "expected six flags of 0 or 1": line(0, (0, 0, 2, 0, 0, 0)),
    "expected a box with x0 < x1": line(0, box=(10, 10, 10, 50)),
}


@pytest.mark.parametrize(("message", "text"), list(BROKEN.items()), ids=list(BROKEN))
def test_a_broken_line_is_refused_by_its_file_and_number(tmp_path: Path, message: str, text: str) -> None:
    write(tmp_path / LIST.format("test"), line(1), "", text)
    with pytest.raises(DarkposeError, match=rf"attr_test\.txt:3: .*{message}"):
        read_wflw(tmp_path, box="file")


def test_all_broken_lines_are_collected_if_asked(tmp_path: Path) -> None:
    write(tmp_path / LIST.format("test"), "1 2 3", line(0), "", "nan " + line(0).split(" ", 1)[1], line(1))
    broken: list[str] = []
    faces = read_wflw(tmp_path, broken=broken)
    assert [face.source.rsplit(":", 1)[1] for face in faces] == ["2", "5"]
    assert [text.split(".txt:")[1].split(":")[0] for text in broken] == ["1", "4"]


def test_landmarks_that_all_coincide_have_no_box(tmp_path: Path) -> None:
    write(tmp_path / LIST.format("test"), " ".join([*["7"] * 196, *line(0).split()[196:]]))
    with pytest.raises(DarkposeError, match=r":1: .*two different"):
        read_wflw(tmp_path)


def test_the_published_counts_are_those_of_the_paper() -> None:
    assert PUBLISHED["train"] == {"faces": 7500}
    assert PUBLISHED["test"] == {
        **{"faces": 2500, "pose": 326, "expression": 314, "illumination": 698},
        **{"makeup": 206, "occlusion": 736, "blur": 773},
    }


def test_the_real_faces_are_all_read_and_have_eyes_apart(shared_data: Path) -> None:
    faces = read_wflw(shared_data / "wflw")
    assert len(faces) == 310
    assert all(face.subsets for face in faces)
    assert all(nme_normaliser(face, WFLW_98) > 5 for face in faces)
    report = check_samples(faces, WFLW_98, decode=False)
    assert report.whole
    assert report.counts["images"] == 260
    assert not report.duplicates


def test_an_unknown_box_rule_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match="'tight'; choose one of landmarks, file"):
        read_wflw(tmp_path, box="tight")  # type: ignore[arg-type]
