"""One annotated face: what it refuses, and its normaliser."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darkpose.datasets.sample import Sample, all_normalisers, nme_normaliser
from darkpose.errors import DarkposeError
from darkpose.schema import AFLW_19, WFLW_98
from random_faces import faces


def face(**fields: Any) -> Sample:
    valid: dict[str, Any] = {
        "image": Path("folder/face.png"),
        "keypoints": np.ones((3, 2)),
        "visible": np.ones(3),
        "box": np.array([0.0, 0.0, 10.0, 10.0]),
    }
    return Sample(**(valid | fields))


def test_a_hidden_landmark_need_not_be_finite() -> None:
    keypoints = np.array([[1.0, 2.0], [np.nan, 2.0], [3.0, np.inf]])
    assert face(keypoints=keypoints, visible=np.array([1.0, 0.0, 0.0])).keypoints is keypoints


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param({"keypoints": np.ones((3, 3))}, r"got \(\(3, 3\), \(3,\), \(4,\)\)", id="three coordinates"),
        pytest.param({"visible": np.ones(2)}, r"got \(\(3, 2\), \(2,\), \(4,\)\)", id="visible too short"),
        pytest.param({"visible": np.ones((3, 1))}, r"got \(\(3, 2\), \(3, 1\), \(4,\)\)", id="visible as a column"),
        pytest.param({"box": np.ones(5)}, r"got \(\(3, 2\), \(3,\), \(5,\)\)", id="a box with a score"),
        pytest.param({"image": Path("folder/face.png\0")}, "NUL character", id="a name that no file can have"),
        pytest.param({"keypoints": np.full((3, 2), np.nan)}, "not a finite number", id="a visible NaN"),
        pytest.param({"box": np.array([0, 0, np.inf, 1])}, "not a finite number", id="an infinite box"),
    ],
)
def test_a_face_that_cannot_be_used_is_refused_and_its_image_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(DarkposeError, match=rf"^folder/face\.png.*: .*{message}"):
        face(**fields)


def test_the_normaliser_is_the_distance_of_the_schemas_pair() -> None:
    keypoints = np.zeros((98, 2))
    keypoints[60], keypoints[72] = (10, 20), (40, 60)
    assert nme_normaliser(face(keypoints=keypoints, visible=np.ones(98)), WFLW_98) == 50


def test_the_normaliser_of_a_schema_without_a_pair_is_the_boxs_long_side() -> None:
    for box, side in (([5, 5, 25, 45], 40), ([5, 5, 65, 45], 60)):
        sample = face(keypoints=np.zeros((19, 2)), visible=np.ones(19), box=np.array(box, float))
        assert nme_normaliser(sample, AFLW_19) == side


def test_a_normaliser_without_its_landmarks_is_not_a_number() -> None:
    keypoints = np.random.default_rng(0).uniform(10, 90, (98, 2))
    visible = np.ones(98)
    visible[60] = 0
    hidden = Sample(Path("a.jpg"), keypoints, visible, np.array([0.0, 0, 100, 100]))
    assert nme_normaliser(hidden, WFLW_98) == pytest.approx(np.hypot(*(keypoints[60] - keypoints[72])))
    keypoints = keypoints.copy()
    keypoints[60] = 0
    absent = Sample(Path("a.jpg"), keypoints, visible, np.array([0.0, 0, 100, 100]))
    assert np.isnan(nme_normaliser(absent, WFLW_98))


def test_all_normalisers_are_right() -> None:
    sample = faces(1)[0]
    sample.visible[:] = 1
    lengths = all_normalisers([sample], WFLW_98)
    width, height = sample.keypoints.max(axis=0) - sample.keypoints.min(axis=0)
    assert lengths["inter_ocular"][0] == pytest.approx(np.hypot(50, 2))
    eyes = sample.keypoints[60:68].mean(axis=0) - sample.keypoints[68:76].mean(axis=0)
    assert lengths["inter_pupil"][0] == pytest.approx(np.hypot(*eyes))
    assert lengths["box"][0] == 110
    assert lengths["landmark_diagonal"][0] == pytest.approx(np.hypot(width, height))
    assert lengths["landmark_sqrt"][0] == pytest.approx(np.sqrt(width * height))
