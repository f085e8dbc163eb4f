"""The mean face: symmetric, as deep as a face, with triangles that cover it once."""

import numpy as np
import pytest

from darkpose.derived.mean_face import MeanFace, mean_face
from darkpose.schema import SCHEMAS, KeypointSchema

WITH_MEAN = [SCHEMAS[name] for name in ("300w-68", "wflw-98", "aflw-19")]
WITH_MESH = WITH_MEAN[:2]


def of(schema: KeypointSchema) -> MeanFace:
    face = mean_face(schema.name)
    assert face is not None
    return face


@pytest.mark.parametrize("schema", WITH_MEAN, ids=lambda schema: schema.name)
def test_the_mean_face_is_exactly_symmetric(schema: KeypointSchema) -> None:
    face = of(schema)
    assert face.points.shape == (len(schema), 3)
    assert (face.points[schema.flip_index] * [-1, 1, 1] == face.points).all()
    assert (face.spread[schema.flip_index] == face.spread).all()
    assert (face.spread > 0).all()


@pytest.mark.parametrize("schema", WITH_MEAN, ids=lambda schema: schema.name)
def test_the_unit_is_the_distance_of_the_eyes_and_the_origin_their_middle(schema: KeypointSchema) -> None:
    points = of(schema).points
    corners = points[[schema.index(f"{side}_eye_outer_corner") for side in ("left", "right")]]
    assert corners.tolist() == [[-0.5, 0, 0], [0.5, 0, 0]]


@pytest.mark.parametrize("schema", WITH_MESH, ids=lambda schema: schema.name)
def test_the_nose_is_in_front_and_the_sides_of_the_face_are_behind(schema: KeypointSchema) -> None:
    depth = of(schema).points[:, 2]
    tip, end, corner = (schema.index(name) for name in ("nose_bridge_3", "left_contour_0", "left_mouth_corner"))
    assert depth.argmin() == tip
    assert depth[end] == depth.max()
    assert 0.4 < depth[end] < 0.8
    assert depth[tip] < depth[schema.index("nose_base")] < depth[corner]


def test_schemas_share_their_points() -> None:
    few, many = (of(SCHEMAS[name]).points for name in ("300w-68", "wflw-98"))
    assert (few[:17] == many[:33:2]).all()
    assert (few[48:68] == many[76:96]).all()


def test_other_schemas_have_no_mean_face() -> None:
    assert mean_face("cofw-29") is None


@pytest.mark.parametrize("schema", WITH_MESH, ids=lambda schema: schema.name)
def test_the_mirror_images_of_the_triangles_are_the_same_triangles(schema: KeypointSchema) -> None:
    triangles = of(schema).triangles
    as_sets = {frozenset(each) for each in triangles.tolist()}
    assert len(as_sets) == len(triangles)
    assert {frozenset(each) for each in schema.flip_index[triangles].tolist()} == as_sets


@pytest.mark.parametrize("schema", WITH_MESH, ids=lambda schema: schema.name)
def test_the_triangles_cover_the_face_inside_its_outline_once_and_nothing_else(schema: KeypointSchema) -> None:
    face = of(schema)
    flat, triangles = face.points[:, :2], face.triangles
    corners = flat[triangles]
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    areas = ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2
    assert (areas > 0).all()  # clockwise on the screen
    edges = {edge for t in triangles.tolist() for edge in zip(t, [*t[1:], t[0]], strict=True)}
    assert len(edges) == 3 * len(triangles)  # no edge is used twice in one direction
    border = {i: j for i, j in edges if (j, i) not in edges}
    outline = [next(iter(border))]
    while (following := border[outline[-1]]) != outline[0]:
        outline.append(following)
    assert len(outline) == len(border)  # one closed line
    names = {schema.names[i] for i in outline}
    assert {name for name in schema.names if "contour" in name or name == "chin"} <= names
    assert all("contour" in name or "brow" in name or name == "chin" for name in names)
    x, y = flat[outline].T
    assert areas.sum() == pytest.approx((x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)
    points = np.random.default_rng(0).uniform([-0.9, -0.4], [0.9, 1.4], (3000, 2))
    assert max(times_covered(points, corners)) == 1
    assert set(triangles.ravel().tolist()) == set(range(len(schema)))


def times_covered(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """In how many triangles (T, 3, 2) each of the points (N, 2) is."""
    sides = np.roll(corners, -1, axis=1) - corners
    to = points[:, None, None] - corners
    is_right = (sides[..., 0] * to[..., 1] - sides[..., 1] * to[..., 0]) > 0
    return np.asarray(is_right.all(axis=2).sum(axis=1))
