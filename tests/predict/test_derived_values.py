"""What is derived from a face: methods of faces, values, tables, the picture."""

import csv
import io
import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from darkpose.derived.mean_face import mean_face
from darkpose.derived.pose import Camera, Pose
from darkpose.derived.rotation import rotation_matrix
from darkpose.errors import DarkposeError
from darkpose.predict.derived_values import NUMBERS, PROBLEM, derived_values
from darkpose.predict.draw import draw_faces
from darkpose.predict.face import Face, aligned_crops
from darkpose.predict.formats import ImageResult, csv_lines, to_csv, to_dict, to_json
from darkpose.schema import AFLW_19, COFW_29, SCHEMAS, WFLW_98, KeypointSchema

SIZE = (640, 480)
CAMERA = Camera.of_image(*SIZE)


def a_face(yaw: float = 20.0, name: str = "300w-68") -> Face:
    """The mean face, turned, in the middle of an image."""
    mean, schema = mean_face(name), SCHEMAS[name]
    assert mean is not None
    points = CAMERA.project(mean.points @ rotation_matrix(yaw, -5, 8).T + [0, 0, 12.0]).astype(np.float32)
    box = np.array([*points.min(axis=0), *points.max(axis=0)], np.float64)
    image = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
    return Face(points, np.full(len(schema), 0.9, np.float32), box, schema, image=image)


def sure(face: Face) -> Face:
    return replace(face, covariance=np.tile(np.eye(2, dtype=np.float32), (len(face.schema), 1, 1)))


def test_a_face_tells_its_pose() -> None:
    pose = a_face().pose()
    assert (pose.yaw, pose.pitch, pose.roll) == pytest.approx((20, -5, 8), abs=0.01)
    assert np.isnan(pose.errors).all()
    assert (sure(a_face()).pose().errors > 0).all()
    assert a_face().pose(CAMERA).yaw == pytest.approx(20, abs=0.01)


def test_a_pose_needs_a_camera_or_the_image_and_reliable_landmarks() -> None:
    face = replace(a_face(), image=None)
    with pytest.raises(DarkposeError, match="give the camera"):
        face.pose()
    assert face.pose(CAMERA).yaw == pytest.approx(20, abs=0.01)
    unsure = replace(face, scores=np.full(68, 0.3, np.float32))
    assert unsure.pose(CAMERA).problem == "the landmarks are not reliable: their mean score is 0.30"
    assert np.isnan(unsure.pose(CAMERA).yaw)
    assert np.isnan(unsure.openness(CAMERA).mouth)


def test_a_face_tells_its_openness_and_five_points() -> None:
    face = a_face()
    assert face.openness().left_eye == pytest.approx(face.openness().right_eye, abs=1e-4)
    assert face.five_points[2] == pytest.approx(face["nose_bridge_3"])


def test_landmarks_are_converted_by_the_name_of_a_schema() -> None:
    found = a_face().converted("aflw-19")
    assert found.schema is AFLW_19
    assert found.keypoints.shape == (19, 2)
    with pytest.raises(DarkposeError, match="expected one of the schemas"):
        a_face().converted("aflw-21")
    with pytest.raises(DarkposeError, match="cannot be derived"):
        a_face().converted("cofw-29")


def test_aligned_crops_come_with_their_matrices() -> None:
    faces = [a_face(0), a_face(30)]
    crops, matrices = aligned_crops(faces, "arcface-112", margin=0.1)
    assert crops.shape == (2, 112, 112, 3)
    assert (matrices[1] == faces[1].alignment("arcface-112", 0.1).matrix).all()
    assert a_face().aligned(64, margin=0.5).shape == (64, 64, 3)
    with pytest.raises(DarkposeError, match="no face to cut out"):
        aligned_crops([])
    with pytest.raises(DarkposeError, match="expected a template"):
        a_face().aligned("dlib")


def test_values_are_those_of_the_methods() -> None:
    face = sure(a_face())
    values = derived_values(face, SIZE)
    pose, found = face.pose(), face.openness()
    assert list(values) == [*NUMBERS, PROBLEM]
    assert [values[f"{name}_error"] for name in ("yaw", "pitch", "roll")] == pytest.approx(pose.errors, abs=1e-3)
    assert (values["yaw"], values["head_z"]) == pytest.approx((pose.yaw, pose.translation[2]), abs=1e-3)
    assert values["mouth_openness"] == pytest.approx(found.mouth, abs=1e-4)
    assert values["right_mouth_corner_y"] == pytest.approx(face.five_points[4, 1], abs=1e-3)
    assert values[PROBLEM] == ""


def test_values_that_are_not_known_are_none_with_a_reason() -> None:
    schema = KeypointSchema("x", ("a", "b"), ())
    other = Face(np.zeros((2, 2), np.float32), np.ones(2, np.float32), np.zeros(4), schema)
    values = derived_values(other, SIZE)
    assert {values[name] for name in NUMBERS} == {None}
    assert values[PROBLEM] == "there is no mean face for the landmarks of x"
    lost = replace(a_face(), keypoints=np.full((68, 2), np.nan, np.float32))
    assert derived_values(lost, SIZE)[PROBLEM] == "0 landmarks are known, a pose needs 6"
    turned = derived_values(a_face(70), SIZE)
    assert turned["yaw"] == pytest.approx(70, abs=0.1)
    assert turned["mouth_openness"] is None
    few = derived_values(Face(np.ones((29, 2), np.float32), np.ones(29, np.float32), np.zeros(4), COFW_29), SIZE)
    assert few["nose_x"] == 1.0


def test_json_and_csv_have_the_values_if_they_are_asked_for() -> None:
    face = a_face()
    plain, full = (ImageResult("a.png", SIZE, [face], derived) for derived in (False, True))
    assert "derived" not in json.loads(to_json(plain))["faces"][0]
    assert json.loads(to_json(full))["faces"][0]["derived"] == derived_values(face, SIZE)
    rows = list(csv.DictReader(io.StringIO(to_csv([full]))))
    assert len(rows) == 68
    assert {row["yaw"] for row in rows} == {"20.0"}
    assert list(rows[0])[7:] == [*NUMBERS, PROBLEM]
    assert "yaw" not in to_csv([plain])
    lines = "".join(csv_lines([to_dict(ImageResult("b.png", SIZE, [sure(face)], True))]))
    assert lines.splitlines()[0].startswith("image,face,landmark,name,x,y,score,xx,xy,yy,yaw,pitch,roll,yaw_error")


@pytest.mark.skipif(not find_spec("pyarrow"), reason="needs pyarrow")
def test_parquet_has_columns_of_the_values(tmp_path: Path) -> None:
    from darkpose.predict.parquet import arrow_schema, read_parquet, write_parquet

    head = {"input": 0, "image": "a.png", "status": "done", "reason": "", "width": 640, "height": 480}
    faces = to_dict(ImageResult("a.png", SIZE, [a_face(), a_face(70)], True))["faces"]
    write_parquet(tmp_path / "a.parquet", [{**head, "faces": faces}], derived=True)
    (record,) = read_parquet(tmp_path / "a.parquet")
    assert [face["derived"] for face in record["faces"]] == [face["derived"] for face in faces]
    assert set(arrow_schema(True).names) - set(arrow_schema().names) == {*NUMBERS, PROBLEM}
    without = {**head, "status": "no face", "faces": []}
    write_parquet(tmp_path / "b.parquet", [without], derived=True)
    assert read_parquet(tmp_path / "b.parquet") == [without]
    import pyarrow.parquet as pq

    assert pq.read_schema(tmp_path / "b.parquet").names == arrow_schema(True).names


def test_the_axes_of_a_head_are_drawn_from_the_nose() -> None:
    face = a_face(40, "wflw-98")
    assert face.schema is WFLW_98
    plain = draw_faces(face.image, [face])  # type: ignore[arg-type]
    drawn = draw_faces(face.image, [face], poses=[face.pose()])  # type: ignore[arg-type]
    changed = np.argwhere((plain != drawn).any(axis=2))[:, ::-1]
    distance = np.linalg.norm(changed - face.five_points[2], axis=1)
    assert distance.min() < 3
    blue = np.argwhere((drawn == (50, 110, 240)).all(axis=2))[:, ::-1].mean(axis=0)
    assert blue[0] > face.five_points[2, 0] + 5  # a positive yaw looks to the right
    assert (draw_faces(face.image, [face], poses=[Pose(problem="?")]) == plain).all()  # type: ignore[arg-type]
