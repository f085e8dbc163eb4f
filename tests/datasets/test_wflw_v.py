"""WFLW-V: clips read from a small tree in the published layout."""

from pathlib import Path

import numpy as np
import pytest

from darkpose.datasets.annotated_clip import AnnotatedClip
from darkpose.datasets.wflw_v import read_wflw_v
from darkpose.errors import DarkposeError
from darkpose.schema import WFLW_98

NAMES = ("-3uh4B-qDcs", "_EUvqb9-bJw", "23Ci1rw8FW4")


def clip_of(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks and boxes of a clip."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 900, (4 + seed, 98, 2)), rng.uniform(0, 900, (4 + seed, 5))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for folder in ("landmarks", "bboxes", "videos"):
        (tmp_path / folder).mkdir()
    for seed, name in enumerate(NAMES):
        keypoints, boxes = clip_of(seed)
        np.save(tmp_path / "landmarks" / f"{name}.npy", keypoints.astype(np.float32))
        np.save(tmp_path / "bboxes" / f"{name}.npy", boxes)
        (tmp_path / "videos" / f"{name}.mp4").touch()
    (tmp_path / "easy_video_IDs.txt").write_text(f"{NAMES[1]}\n{NAMES[0]}\n")
    (tmp_path / "hard_video_IDs.txt").write_text(NAMES[2])
    return tmp_path


def test_clips_come_in_the_order_of_the_lists(tree: Path) -> None:
    clips = read_wflw_v(tree)
    assert [(clip.name, clip.subset) for clip in clips] == [(NAMES[1], "easy"), (NAMES[0], "easy"), (NAMES[2], "hard")]
    assert [clip.name for clip in read_wflw_v(tree, "hard")] == [NAMES[2]]
    with pytest.raises(DarkposeError, match="no split of WFLW-V 'test'; choose one of full, easy, hard"):
        read_wflw_v(tree, "test")


def test_a_clip_has_its_video_landmarks_and_boxes(tree: Path) -> None:
    clip = read_wflw_v(tree, "easy")[0]
    keypoints, boxes = clip_of(1)
    assert clip.frames == tree / "videos" / f"{NAMES[1]}.mp4"
    assert clip.schema is WFLW_98
    np.testing.assert_array_equal(clip.keypoints, keypoints.astype(np.float32))
    assert clip.boxes is not None
    np.testing.assert_array_equal(clip.boxes, boxes[:, :4])


def test_a_missing_list_is_named_with_its_source(tree: Path) -> None:
    (tree / "hard_video_IDs.txt").unlink()
    with pytest.raises(DarkposeError, match=r"hard_video_IDs\.txt: expected the list .* copy it from"):
        read_wflw_v(tree)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected annotated faces"),
        (f"{NAMES[0]}\n\n{NAMES[0]}\n", "txt:3: -3uh4B-qDcs is in line 1, too"),
        ("../other\n", "txt:1: expected the ID of a video"),
    ],
)
def test_lists_with_mistakes_are_refused(tree: Path, text: str, message: str) -> None:
    (tree / "easy_video_IDs.txt").write_text(text)
    with pytest.raises(DarkposeError, match=message):
        read_wflw_v(tree, "easy")


@pytest.mark.parametrize(
    ("file", "values", "message"),
    [
        ("landmarks", np.zeros((4, 68, 2)), r"expected numbers \(T, 98, 2\), got float64 \(4, 68, 2\)"),
        ("landmarks", np.zeros((0, 98, 2)), r"got float64 \(0, 98, 2\)"),
        ("landmarks", np.zeros((4, 98, 2), bool), "got bool"),
        ("landmarks", np.full((4, 98, 2), np.nan), "not a finite number"),
        ("bboxes", np.zeros((4, 3)), r"expected numbers \(T, 4\)"),
        ("bboxes", np.zeros(4), r"expected numbers \(T, 4\)"),
        ("bboxes", np.zeros((3, 4)), "4 frames have landmarks, but 3 have boxes"),
    ],
)
def test_arrays_of_other_shapes_are_refused(tree: Path, file: str, values: np.ndarray, message: str) -> None:
    np.save(tree / file / f"{NAMES[0]}.npy", values)
    with pytest.raises(DarkposeError, match=message):
        read_wflw_v(tree, "easy")


def test_missing_and_broken_files_are_collected_if_asked(tree: Path) -> None:
    (tree / "videos" / f"{NAMES[1]}.mp4").unlink()
    (tree / "landmarks" / f"{NAMES[0]}.npy").write_bytes(b"no numbers")
    (tree / "bboxes" / f"{NAMES[2]}.npy").unlink()
    broken: list[str] = []
    assert read_wflw_v(tree, broken=broken) == []
    for message, words in zip(broken, ("expected the video", "not a NumPy file", "cannot be read"), strict=True):
        assert words in message


def test_a_file_that_is_cut_off_or_holds_objects_is_refused(tree: Path) -> None:
    file = tree / "landmarks" / f"{NAMES[0]}.npy"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DarkposeError, match="not a NumPy file"):
        read_wflw_v(tree, "easy")
    np.save(file, np.array([{}], object), allow_pickle=True)
    with pytest.raises(DarkposeError, match="not a NumPy file"):
        read_wflw_v(tree, "easy")


def test_a_clip_with_arrays_that_do_not_fit_is_refused() -> None:
    with pytest.raises(DarkposeError, match=r"clip a: expected landmarks \(T, 98, 2\)"):
        AnnotatedClip("a", Path("a.mp4"), np.zeros((3, 68, 2)), WFLW_98, "easy")
    with pytest.raises(DarkposeError, match="a box for each of 3 frames"):
        AnnotatedClip("a", Path("a.mp4"), np.zeros((3, 98, 2)), WFLW_98, "easy", np.zeros((2, 4)))
