"""300-VW: clips read from a small tree in the published layout."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from darkpose.datasets import w300vw
from darkpose.datasets.w300vw import SPLITS, SUBSETS, read_300vw
from darkpose.errors import DarkposeError
from darkpose.files.pts import format_pts
from darkpose.schema import W300_68


def write_clip(folder: Path, frames: int, seed: int = 0) -> None:
    (folder / "annot").mkdir(parents=True)
    (folder / "extraction").mkdir()
    (folder / "vid.avi").touch()
    for i, points in enumerate(landmarks(frames, seed), 1):
        (folder / "annot" / f"{i:06}.pts").write_text(format_pts(points))
        (folder / "extraction" / f"{i:06}.png").touch()


def landmarks(frames: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 300, (frames, 68, 2)).round(6)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two videos of category 3 and one of category 1; the other numbers are left out."""
    few: dict[str, Sequence[int]] = {"category1": (114,), "category2": (), "category3": (410, 562), "train": (1,)}
    for subset, numbers in few.items():
        monkeypatch.setitem(w300vw.SUBSETS, subset, numbers)
    for number, frames in ((114, 3), (410, 11), (562, 2), (1, 1)):
        write_clip(tmp_path / f"{number:03}", frames, number)
    return tmp_path


def test_the_published_numbers_of_videos() -> None:
    counts = {subset: len(set(numbers)) for subset, numbers in SUBSETS.items()}
    assert counts == {"train": 50, "category1": 31, "category2": 19, "category3": 14}
    assert len({number for numbers in SUBSETS.values() for number in numbers}) == 114
    assert SPLITS["test"] == ("category1", "category2", "category3")


def test_clips_have_their_landmarks_in_pixels_from_zero(tree: Path) -> None:
    clips = read_300vw(tree, "category3")
    assert [(clip.name, clip.subset, clip.frames.name) for clip in clips] == [
        ("410", "category3", "vid.avi"),
        ("562", "category3", "vid.avi"),
    ]
    np.testing.assert_allclose(clips[0].keypoints, landmarks(11, 410), rtol=0, atol=1e-6)
    assert (clips[0].schema, clips[0].boxes) == (W300_68, None)
    first = (tree / "410" / "annot" / "000001.pts").read_text().splitlines()[3].split()
    np.testing.assert_allclose(clips[0].keypoints[0, 0] + 1, np.array(first, float))


def test_the_test_set_is_all_categories(tree: Path) -> None:
    assert [clip.name for clip in read_300vw(tree)] == ["114", "410", "562"]
    assert [clip.name for clip in read_300vw(tree, "train")] == ["001"]
    with pytest.raises(DarkposeError, match="no split of 300-VW 'val'; choose one of test, train, category1"):
        read_300vw(tree, "val")


def test_frames_may_be_images(tree: Path) -> None:
    clip = read_300vw(tree, "category1", images="extraction")[0]
    assert clip.frames == tree / "114" / "extraction"
    (tree / "114" / "extraction" / "000003.png").unlink()
    with pytest.raises(DarkposeError, match="extraction: expected 3 images, one per annotation, got 2"):
        read_300vw(tree, "category1", images="extraction")
    with pytest.raises(DarkposeError, match=r"frames: expected files 000001\.png"):
        read_300vw(tree, "category1", images="frames")


def test_names_are_counted_not_sorted_as_text(tree: Path) -> None:
    for i in range(1, 12):
        (tree / "410" / "annot" / f"{i:06}.pts").rename(tree / "410" / "annot" / f"{i}.pts")
    np.testing.assert_allclose(read_300vw(tree, "category3")[0].keypoints, landmarks(11, 410), rtol=0, atol=1e-6)


def test_missing_and_wrong_files_are_refused(tree: Path) -> None:
    folder = tree / "114"
    (folder / "annot" / "000002.pts").rename(folder / "annot" / "000009.pts")
    with pytest.raises(DarkposeError, match="annot: expected frames 1 to 3, frame 2 is missing"):
        read_300vw(tree, "category1")
    (folder / "annot" / "000009.pts").rename(folder / "annot" / "two.pts")
    with pytest.raises(DarkposeError, match=r"two\.pts: expected the number of a frame"):
        read_300vw(tree, "category1")
    (folder / "annot" / "two.pts").rename(folder / "annot" / "000002.pts")
    (folder / "vid.avi").unlink()
    with pytest.raises(DarkposeError, match=r"vid\.avi: expected the video"):
        read_300vw(tree, "category1")
    (folder / "annot" / "000002.pts").write_text(format_pts(np.zeros((51, 2))))
    with pytest.raises(DarkposeError, match=r"000002\.pts: expected 68 landmarks, got 51"):
        read_300vw(tree, "category1")
    shutil.rmtree(folder)
    with pytest.raises(DarkposeError, match="annot: expected files"):
        read_300vw(tree, "category1")


def test_all_broken_clips_are_collected_if_asked(tree: Path) -> None:
    (tree / "410" / "vid.avi").unlink()
    (tree / "114" / "annot" / "000001.pts").write_text(format_pts(np.full((68, 2), np.nan)))
    broken: list[str] = []
    assert [clip.name for clip in read_300vw(tree, broken=broken)] == ["562"]
    assert len(broken) == 2
    assert "clip 114: " in broken[0]
    assert "410" in broken[1]
