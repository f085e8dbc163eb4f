"""Checks of a data set."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darkpose.datasets.check import check_samples
from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.image.pixels import write_image
from darkpose.schema import KeypointSchema

TRIANGLE = KeypointSchema("triangle", ("left_eye", "right_eye", "chin"), ((0, 1),))
POINTS = [[10.0, 10.0], [30.0, 10.0], [20.0, 30.0]]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A picture of 60 x 40."""
    write_image(tmp_path / "a.png", np.zeros((40, 60, 3), np.uint8))
    return tmp_path / "a.png"


def face(image: Path, points: Any = POINTS, *, shift: float = 0, source: str = "list:1", **facts: Any) -> Sample:
    keypoints = np.asarray(points, np.float64) + shift
    box = np.concatenate([np.nanmin(keypoints, axis=0), np.nanmax(keypoints, axis=0)])
    values: dict[str, Any] = {"visible": np.ones(len(keypoints)), "box": box, "source": source} | facts
    return Sample(image, keypoints, **values)


def test_a_whole_data_set_has_no_findings(image: Path) -> None:
    report = check_samples([face(image, subsets=frozenset(["blur"]))], TRIANGLE, {"faces": 1, "blur": 1})
    assert report.whole
    assert report.counts == {"faces": 1, "images": 1, "blur": 1}
    assert report.lines() == ["faces 1, images 1, blur 1", "whole"]


def test_counts_are_held_against_the_published_ones(image: Path) -> None:
    faces = [face(image, subsets=frozenset(["blur", "pose"])), face(image, shift=5, subsets=frozenset(["pose"]))]
    report = check_samples(faces, TRIANGLE, {"faces": 3, "pose": 2, "blur": 2, "makeup": 1})
    assert report.wrong_counts == ("faces: 2, published 3", "blur: 1, published 2", "makeup: 0, published 1")
    assert not report.whole


def test_an_image_that_is_not_there_is_named_once_with_who_needs_it(image: Path) -> None:
    lost = image.with_name("lost.png")
    for decode in (True, False):
        report = check_samples([face(image), face(lost, source="list:2"), face(lost, shift=5)], TRIANGLE, decode=decode)
        assert report.missing == (f"{lost}: missing; list:2 refers to it",)
        assert not report.whole


def test_a_truncated_image_is_found_by_decoding_only(image: Path) -> None:
    image.write_bytes(image.read_bytes()[:40])
    report = check_samples([face(image)], TRIANGLE)
    assert len(report.unreadable) == 1
    assert "truncated" in report.unreadable[0]
    assert not report.whole
    quick = check_samples([face(image)], TRIANGLE, decode=False)
    assert quick.whole
    assert "not decoded" in "\n".join(quick.lines())


def test_annotated_landmarks_outside_the_image_are_counted_by_face(image: Path) -> None:
    points = [[-0.6, 10], [62.5, 10], [20, 30]]
    report = check_samples([face(image, points, source="list:7")], TRIANGLE)
    assert report.outside == (
        "list:7: 2 of 3 landmarks outside the 60 x 40 image a.png, the farthest right_eye, by 3.0 px",
    )
    assert report.whole, "published data sets have some"


def test_a_pixel_reaches_half_a_px_around_its_centre(image: Path) -> None:
    assert not check_samples([face(image, [[-0.5, -0.5], [59.5, 0], [0, 39.5]])], TRIANGLE).outside


def test_landmarks_that_are_not_annotated_may_be_anywhere(image: Path) -> None:
    points = np.array([[np.nan, np.nan], [1000, 10], [20, 30]])
    report = check_samples([face(image, points, visible=np.array([0.0, 0, 1]))], TRIANGLE)
    assert not report.outside
    assert report.whole


def test_the_same_landmarks_twice_in_an_image_are_a_duplicate(image: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "b.png", np.zeros((40, 60, 3), np.uint8))
    faces = [face(image), face(tmp_path / "b.png"), face(image, source="list:3")]
    report = check_samples(faces, TRIANGLE)
    assert report.duplicates == ("list:1 and list:3: equal landmarks",)


def test_boxes_that_nearly_coincide_are_a_duplicate(image: Path) -> None:
    one, near, less = (np.array([0.0, 0, 100, height]) for height in (100, 95, 80))
    report = check_samples([face(image, box=one), face(image, shift=1, box=near, source="list:2")], TRIANGLE)
    assert report.duplicates == ("list:1 and list:2: boxes overlap by 95%",)
    assert not check_samples([face(image, box=one), face(image, shift=1, box=less)], TRIANGLE).duplicates


def test_broken_entries_that_the_reader_collected_are_reported(image: Path) -> None:
    report = check_samples([face(image)], TRIANGLE, broken=["list:4: short"])
    assert report.broken == ("list:4: short",)
    assert not report.whole


def test_faces_of_another_schema_are_refused(image: Path) -> None:
    with pytest.raises(DarkposeError, match=r"list:1: expected 3 .*triangle.*got 2"):
        check_samples([face(image, POINTS[:2])], TRIANGLE)


def test_people_see_a_few_of_many_findings_and_json_has_all(image: Path) -> None:
    report = check_samples([face(image)], TRIANGLE, {"faces": 2}, broken=[f"list:{i}: short" for i in range(25)])
    lines = report.lines(limit=3)
    assert lines[lines.index("broken (25):") + 1 :] == [*(f"  list:{i}: short" for i in range(3)), "  and 22 more"]
    values = json.loads(json.dumps(report.to_dict()))
    assert len(values["broken"]) == 25
    assert values["whole"] is False
    assert values["published"] == {"faces": 2}
    assert set(values) >= {"counts", "missing", "unreadable", "outside", "duplicates", "wrong_counts", "decoded"}


def test_no_faces_at_all_are_reported_not_refused() -> None:
    assert check_samples([], TRIANGLE, {"faces": 5}).wrong_counts == ("faces: 0, published 5",)
