"""Conversion to `supervision.KeyPoints`."""

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from darkpose.errors import DarkposeError
from darkpose.predict.face import Face
from darkpose.predict.supervision import to_supervision
from darkpose.schema import AFLW_19, COFW_29, KeypointSchema


def a_face(seed: int, schema: KeypointSchema = COFW_29) -> Face:
    rng, count = np.random.default_rng(seed), len(schema.names)
    keypoints, scores = rng.uniform(0, 300, (count, 2)), rng.uniform(0, 1, count)
    box = np.array([10.0, 20, 60 + seed, 80])
    return Face(keypoints.astype(np.float32), scores.astype(np.float32), box, schema, "yunet", 0.5 + 0.1 * seed)


def test_landmarks_scores_boxes_and_names_are_those_of_the_faces() -> None:
    pytest.importorskip("supervision")
    faces = [a_face(0), a_face(1), a_face(2)]
    found = to_supervision(faces)
    assert len(found) == 3
    assert found.keypoint_confidence is not None
    assert found.detection_confidence is not None
    assert found.class_id is not None
    for i, face in enumerate(faces):
        np.testing.assert_array_equal(found.xy[i], face.keypoints)
        np.testing.assert_array_equal(found.keypoint_confidence[i], face.scores)
        np.testing.assert_array_equal(found.data["box"][i], face.box)
        assert list(found.data["names"][i]) == list(COFW_29.names)
    np.testing.assert_allclose(found.detection_confidence, [0.5, 0.6, 0.7], rtol=1e-6)
    assert found.class_id.tolist() == [0, 0, 0]
    assert "covariance" not in found.data


def test_a_selection_of_faces_keeps_their_data() -> None:
    pytest.importorskip("supervision")
    faces = [a_face(0), a_face(1), replace(a_face(2), covariance=np.full((29, 2, 2), 3.0, np.float32))]
    found = to_supervision(faces)
    assert found.detection_confidence is not None
    sure: Any = found[found.detection_confidence > 0.65]
    np.testing.assert_array_equal(sure.xy[0], faces[2].keypoints)
    assert (sure.data["covariance"] == 3).all()
    assert np.isnan(found.data["covariance"][:2]).all()


def test_given_boxes_have_no_score_and_no_faces_are_empty() -> None:
    pytest.importorskip("supervision")
    assert to_supervision([replace(a_face(0), detection_score=float("nan"))]).detection_confidence is None
    assert len(to_supervision([])) == 0


def test_its_annotators_draw_the_landmarks() -> None:
    supervision = pytest.importorskip("supervision")
    scene = np.zeros((300, 300, 3), np.uint8)
    drawn = supervision.VertexAnnotator(radius=2).annotate(scene.copy(), to_supervision([a_face(0)]))
    x, y = np.round(a_face(0).keypoints[3]).astype(int)
    assert drawn[y, x].any()


def test_faces_of_several_schemas_are_refused() -> None:
    pytest.importorskip("supervision")
    with pytest.raises(DarkposeError, match="one schema, got aflw-19, cofw-29"):
        to_supervision([a_face(0), a_face(1, AFLW_19)])


def test_without_supervision_an_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(DarkposeError, match=r"pip install 'darkpose\[supervision\]'"):
        to_supervision([a_face(0)])
