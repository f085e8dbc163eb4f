"""Folders of `.pts` files."""

from pathlib import Path

import numpy as np
import pytest

from darkpose.datasets.annotations import read_annotations
from darkpose.errors import DarkposeError
from darkpose.files.pts import format_pts
from own_annotations import POINTS, picture


def written(folder: Path, name: str, points: np.ndarray = POINTS) -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(format_pts(points))
    return folder / name


def test_each_file_is_an_object_of_the_image_of_its_name(tmp_path: Path) -> None:
    images = [picture(tmp_path, name) for name in ("a.png", "sub/b.png")]
    for name in ("a_0.pts", "a_1.pts", "sub/b.PTS"):
        written(tmp_path, name)
    found = read_annotations(tmp_path)
    assert [each.image for each in found.samples] == [images[0], images[0], images[1]]
    np.testing.assert_allclose(found.samples[0].keypoints, POINTS, atol=1e-6)
    assert found.samples[0].box.tolist() == [10, 20, 50, 44]
    assert found.format == "pts"


def test_images_may_lie_elsewhere(tmp_path: Path) -> None:
    image = picture(tmp_path / "photos", "a.png")
    file = written(tmp_path / "points", "a.pts")
    assert read_annotations(tmp_path / "points", tmp_path / "photos").samples[0].image == image
    assert read_annotations(file, tmp_path / "photos").samples[0].image == image
    with pytest.raises(DarkposeError, match=r"a\.pts: expected an image of the same name"):
        read_annotations(tmp_path / "points")


def test_other_files_are_told_by_their_names(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png", "d.png", "e.png"):
        picture(tmp_path, name)
    for name in ("a.pts", "b.pts"):
        written(tmp_path, name)
    written(tmp_path, "c.pts", POINTS[:3])
    (tmp_path / "d.pts").write_text("n_points: 4\n")
    written(tmp_path, "e.pts", np.full((4, 2), np.nan))
    broken: list[str] = []
    assert len(read_annotations(tmp_path, broken=broken).samples) == 2
    for text, name, told in zip(
        broken, "cde", ("expected 4 landmarks, as in most files, got 3", "not a .pts file", "not a finite"), strict=True
    ):
        assert f"{name}.pts" in text
        assert told in text


def test_files_without_points_are_refused(tmp_path: Path) -> None:
    picture(tmp_path)
    written(tmp_path, "a.pts", np.zeros((0, 2)))
    with pytest.raises(DarkposeError, match=r"a\.pts"):
        read_annotations(tmp_path)
