"""Drawn data sets are read back by the readers of the official formats."""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from darkpose.datasets import aflw, drawn_data_sets, wflw
from darkpose.datasets.aflw import read_aflw
from darkpose.datasets.check import check_samples
from darkpose.datasets.drawn_data_sets import hidden, make_aflw, make_wflw, wflw_attributes
from darkpose.datasets.drawn_face import draw_face
from darkpose.datasets.face_plan import plan_face
from darkpose.datasets.sample import Sample
from darkpose.datasets.wflw import SUBSETS, read_wflw, read_wflw_subset
from darkpose.derived.conversion import derive
from darkpose.errors import DarkposeError
from darkpose.image.geometry import landmark_box
from darkpose.image.pixels import read_image
from darkpose.schema import AFLW_19, WFLW_98

TRAIN, TEST, FRONTAL = 6, 24, 8


@pytest.fixture(scope="module")
def wflw_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made") / "new" / "wflw"
    assert make_wflw(root, train=TRAIN, test=TEST, seed=1) == TRAIN + TEST
    return root


@pytest.fixture(scope="module")
def aflw_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("scipy.io")
    root = tmp_path_factory.mktemp("made") / "aflw"
    assert make_aflw(root, train=TRAIN, test=TEST, frontal=FRONTAL, seed=1) == TRAIN + TEST
    return root


@pytest.fixture
def _few_training_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aflw, "_TRAIN_FACES", TRAIN)


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def names(face: Sample) -> tuple[int, int, frozenset[str]]:
    """Seed, index and attributes, from the name of the image."""
    first, *attributes = face.image.stem.split("_")
    seed, index = map(int, first.split("-"))
    return seed, index, frozenset(attributes)


def test_the_flags_of_the_full_test_set_are_the_published_ones() -> None:
    for seed in (0, 1):
        counts = Counter(subset for attributes in wflw_attributes(2500, seed) for subset in attributes)
        assert {"faces": 2500, **counts} == wflw.PUBLISHED["test"]
    assert wflw_attributes(2500, 0) != wflw_attributes(2500, 1)
    assert wflw_attributes(2500, 0) == wflw_attributes(2500, 0)


def test_the_flags_of_another_number_of_faces_are_in_proportion() -> None:
    counts = Counter(subset for attributes in wflw_attributes(7500, 0) for subset in attributes)
    assert counts == {subset: 3 * wflw.PUBLISHED["test"][subset] for subset in SUBSETS}
    assert Counter(subset for attributes in wflw_attributes(3, 0) for subset in attributes) == dict.fromkeys(SUBSETS, 1)


@pytest.mark.parametrize(("split", "count"), [("train", TRAIN), ("test", TEST)])
def test_a_made_wflw_is_whole_and_no_landmark_lies_outside_its_image(wflw_root: Path, split: str, count: int) -> None:
    broken: list[str] = []
    faces = read_wflw(wflw_root, split, broken=broken)
    flags = Counter(subset for attributes in wflw_attributes(count, 1) for subset in attributes)
    report = check_samples(faces, WFLW_98, {"faces": count, "images": count, **flags}, broken=broken)
    assert report.whole, report.lines()
    assert not report.outside
    assert not report.duplicates


def test_a_wflw_face_is_the_drawn_one(wflw_root: Path) -> None:
    for face in [*read_wflw(wflw_root, "train"), *read_wflw(wflw_root)]:
        seed, index, attributes = names(face)
        plan = plan_face(seed, index, attributes)
        assert attributes == face.subsets
        np.testing.assert_allclose(face.keypoints, plan.keypoints, rtol=0, atol=1e-5)
    image, drawn = read_image(face.image), draw_face(seed, index, attributes).image
    assert np.abs(image.astype(int) - drawn).mean() < 4, "but for JPEG"


def test_the_boxes_of_a_made_wflw_are_whole_pixels_around_the_landmarks(wflw_root: Path) -> None:
    for face in read_wflw(wflw_root, box="file"):
        np.testing.assert_array_equal(face.box, landmark_box(face.keypoints))
    line = next(wflw_root.rglob("list_98pt_rect_attr_test.txt")).read_text().splitlines()[0].split()
    assert len(line) == 196 + 4 + 6 + 1
    assert all(len(field.split(".")[1]) == 6 for field in line[:196])
    assert all(field.isdigit() for field in line[196:206])


@pytest.mark.parametrize("subset", SUBSETS)
def test_a_subset_list_holds_the_faces_with_its_flag(wflw_root: Path, subset: str) -> None:
    listed, flagged = read_wflw_subset(wflw_root, subset), [f for f in read_wflw(wflw_root) if subset in f.subsets]
    assert [face.image for face in listed] == [face.image for face in flagged]
    for one, other in zip(listed, flagged, strict=True):
        np.testing.assert_array_equal(one.keypoints, other.keypoints)


def test_no_face_is_in_two_splits_or_data_sets(wflw_root: Path, aflw_root: Path) -> None:
    images = [path for root in (wflw_root, aflw_root) for path in root.rglob("*.jpg")]
    assert len({path.stem.split("_")[0] for path in images}) == len(images) == 2 * (TRAIN + TEST)


def test_what_is_there_is_not_drawn_again_and_the_rest_is(wflw_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(wflw_root)
    images = sorted(wflw_root.rglob("*.jpg"))
    times = [path.stat().st_mtime_ns for path in images]
    images[3].unlink()
    next(wflw_root.rglob("list_98pt_test_blur.txt")).unlink()
    assert make_wflw(wflw_root, train=TRAIN, test=TEST, seed=1) == 1
    assert contents(wflw_root) == before
    assert [i for i, path in enumerate(images) if path.stat().st_mtime_ns != times[i]] == [3]


def test_the_lists_come_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0

    def stop(*arguments: object) -> None:
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(drawn_data_sets, "write_image", stop)
    with pytest.raises(KeyboardInterrupt):
        make_wflw(tmp_path, train=2, test=2)
    assert not list(tmp_path.rglob("list_*.txt"))


def test_another_seed_draws_other_images_beside_the_first(tmp_path: Path) -> None:
    for seed in (0, 1):
        assert make_wflw(tmp_path, train=1, test=1, seed=seed) == 2
        assert {names(face)[0] for face in read_wflw(tmp_path)} == {seed}
    assert len(list(tmp_path.rglob("*.jpg"))) == 4


@pytest.mark.slow
def test_processes_draw_what_one_draws(tmp_path: Path, wflw_root: Path) -> None:
    assert make_wflw(tmp_path, train=TRAIN, test=TEST, seed=1, workers=2) == TRAIN + TEST
    assert contents(tmp_path) == contents(wflw_root)


@pytest.mark.usefixtures("_few_training_faces")
def test_a_made_aflw_has_its_splits_and_is_whole(aflw_root: Path) -> None:
    train, full, frontal = (read_aflw(aflw_root, split) for split in ("train", "full", "frontal"))
    assert (len(train), len(full), len(frontal)) == (TRAIN, TEST, FRONTAL)
    assert [face.image for face in frontal] == [face.image for face in full if face.subsets == {"frontal"}]
    for faces, published in ((train, {"faces": TRAIN}), (full, {"faces": TEST, "frontal": FRONTAL})):
        report = check_samples(faces, AFLW_19, published)
        assert report.whole, report.lines()
        assert not report.outside
        assert not report.duplicates
    assert sum(face.visible.all() for face in train) == TRAIN * FRONTAL // TEST


@pytest.mark.usefixtures("_few_training_faces")
def test_an_aflw_face_has_landmarks_derived_from_the_drawn_ones(aflw_root: Path) -> None:
    train, full = read_aflw(aflw_root, "train"), read_aflw(aflw_root)
    for faces, offset in ((train, 2), (full, 3)):
        assert [names(face)[:2] for face in faces] == [(1, 4 * place + offset) for place in range(len(faces))]
    for face in [*train, *full]:
        plan = plan_face(*names(face))
        keypoints, _ = derive(plan.keypoints, np.ones(98), WFLW_98, AFLW_19)
        np.testing.assert_allclose(face.keypoints, keypoints, rtol=0, atol=1e-9)
        assert np.flatnonzero(face.visible == 0).tolist() == sorted(hidden(plan.yaw))
        assert face.visible.all() == ("pose" not in plan.attributes)
        assert face.image.parent.parent == aflw_root / "data" / "flickr"
    assert {face.image.parent.name for face in train} == {"0", "2", "3"}


@pytest.mark.usefixtures("_few_training_faces")
def test_the_box_of_an_aflw_face_is_a_larger_square_off_its_centre(aflw_root: Path) -> None:
    from scipy.io import loadmat

    left, right, top, bottom = loadmat(aflw_root / "AFLWinfo_release.mat")["bbox"].T
    np.testing.assert_allclose(right - left, bottom - top)
    for face in read_aflw(aflw_root):
        keypoints = plan_face(*names(face)).keypoints
        low, high = keypoints.min(axis=0), keypoints.max(axis=0)
        assert (face.box[:2] < low).all()
        assert (face.box[2:] > high).all()
        assert face.box_size is not None
        assert 1.19 < face.box_size / (high - low).max() < 1.41
        middle = (face.box[:2] + face.box[2:]) / 2 - (low + high) / 2
        assert -0.09 < middle[1] / face.box_size < -0.01, "higher"


def test_masked_landmarks_are_of_the_side_turned_away_and_more_the_farther_it_is_turned() -> None:
    assert hidden(20) == hidden(-34.9) == []
    assert [AFLW_19.names[i] for i in hidden(36)] == ["right_brow_outer"]
    assert [AFLW_19.names[i] for i in hidden(-41)] == ["left_brow_outer", "left_eye_outer_corner"]
    assert [len(hidden(yaw)) for yaw in (35, 45, 59.9, 60)] == [1, 3, 5, 6]


def test_masks_of_heads_turned_either_way_mirror_each_other() -> None:
    for yaw in (36.0, 50.0, 59.0):
        assert {AFLW_19.flip_index[i] for i in hidden(yaw)} == set(hidden(-yaw))


@pytest.mark.usefixtures("_few_training_faces")
def test_by_default_the_published_share_of_test_faces_is_frontal(tmp_path: Path) -> None:
    pytest.importorskip("scipy.io")
    make_aflw(tmp_path, train=TRAIN, test=10)
    assert len(read_aflw(tmp_path, "frontal")) == 3


def test_an_aflw_is_continued_and_its_file_holds_no_time(aflw_root: Path) -> None:
    before = contents(aflw_root)
    next(aflw_root.rglob("*.jpg")).unlink()
    assert make_aflw(aflw_root, train=TRAIN, test=TEST, frontal=FRONTAL, seed=1) == 1
    assert contents(aflw_root) == before
    assert b"Created on" not in before["AFLWinfo_release.mat"]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"train": 0}, "at least 1 face .*train 0, test 2"),
        ({"test": -3}, "at least 1 face .*train 2, test -3"),
        ({"train": 10**20}, "at most 1000000, got train 1000.*, test 2"),
        ({"seed": -1}, "must not be negative, got -1"),
    ],
)
def test_sizes_and_seeds_that_cannot_be_are_refused(tmp_path: Path, sizes: dict[str, int], message: str) -> None:
    arguments = {"train": 2, "test": 2} | sizes
    with pytest.raises(DarkposeError, match=message):
        make_wflw(tmp_path, **arguments)
    with pytest.raises(DarkposeError, match=message):
        make_aflw(tmp_path, frontal=1, **arguments)
    assert not list(tmp_path.iterdir())


def test_more_frontal_faces_than_faces_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match="no more frontal faces than test faces, got 5 of 4"):
        make_aflw(tmp_path, train=2, test=4, frontal=5)


def test_without_scipy_the_extra_is_named_before_anything_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(DarkposeError, match=r"needs SciPy: pip install 'darkpose\[data\]'"):
        make_aflw(tmp_path / "aflw", train=2, test=2, frontal=1)
    assert not (tmp_path / "aflw").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(DarkposeError, match=r"taken.*cannot be made"):
        make_wflw(tmp_path / "taken", train=1, test=1)


@pytest.mark.parametrize("theirs", ["annotations", "WFLW_images", "WFLW_annotations"])
def test_drawn_faces_do_not_lie_among_others(tmp_path: Path, theirs: str) -> None:
    (tmp_path / theirs).mkdir()
    with pytest.raises(DarkposeError, match=f"{theirs}: .*not drawn by darkpose"):
        make_wflw(tmp_path, train=1, test=1)
    assert [path.name for path in tmp_path.iterdir()] == [theirs]
