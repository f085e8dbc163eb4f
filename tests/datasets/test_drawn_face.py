"""Drawn faces: the picture agrees with the landmarks, and every attribute can be seen."""

import numpy as np
import pytest

from darkpose.datasets import drawn_face
from darkpose.datasets.drawn_face import DrawnFace, draw_face
from darkpose.datasets.face_plan import SIZE, plan_face
from darkpose.image.opencv import cv2
from darkpose.image.pixels import Pixels

FACES = range(8)
CONTOUR, BROWS, EYES = slice(0, 33), (slice(33, 42), slice(42, 51)), (slice(60, 68), slice(68, 76))
LIPS, MOUTH, PUPILS = slice(76, 88), slice(88, 96), slice(96, 98)


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even light, and no noise."""

    def as_drawn(image: Pixels, *_: object) -> Pixels:
        return image

    monkeypatch.setattr(drawn_face, "_relit", as_drawn)


def grey(image: Pixels) -> np.ndarray:
    return np.asarray(image.mean(axis=2))


def window(points: np.ndarray, border: int) -> tuple[slice, slice]:
    low, high = np.floor(points.min(axis=0)).astype(int) - border, np.ceil(points.max(axis=0)).astype(int) + border + 1
    return slice(low[1], high[1]), slice(low[0], high[0])


def centroid(weights: np.ndarray, where: tuple[slice, slice]) -> np.ndarray:
    ys, xs = np.mgrid[where]
    return np.array([(weights * xs).sum() / weights.sum(), (weights * ys).sum() / weights.sum()])


def cross(points: np.ndarray) -> np.ndarray:
    following = np.roll(points, -1, axis=0)
    return np.asarray(points[:, 0] * following[:, 1] - following[:, 0] * points[:, 1])


def polygon_area(points: np.ndarray) -> float:
    return abs(float(cross(points).sum())) / 2


def polygon_centroid(points: np.ndarray) -> np.ndarray:
    weights = cross(points)[:, None]
    return np.asarray(((points + np.roll(points, -1, axis=0)) * weights).sum(axis=0) / (3 * weights.sum()))


def distances(points: np.ndarray, where: tuple[slice, slice]) -> np.ndarray:
    """From each pixel to the border of a polygon, px, positive inside."""
    polygon = points.astype(np.float32)
    ys, xs = np.mgrid[where]
    pixels = zip(xs.ravel(), ys.ravel(), strict=True)
    return np.array([cv2.pointPolygonTest(polygon, (float(x), float(y)), True) for x, y in pixels]).reshape(xs.shape)


def coverage(image: Pixels, points: np.ndarray, where: tuple[slice, slice]) -> np.ndarray:
    """How much of each pixel has the colour inside of a polygon, and not that just outside, from 0 to 1."""
    patch, distance = image[where].astype(np.float64), distances(points, where)
    outside = np.median(patch[(distance < -1.5) & (distance > -3)], axis=0)
    way = np.median(patch[distance > 1.2], axis=0) - outside
    return np.clip((patch - outside) @ way / (way @ way), 0, 1) * (distance > -2)


@pytest.mark.parametrize("index", FACES)
def test_the_dark_of_an_eye_lies_around_its_pupil(index: int) -> None:
    face = draw_face(0, index)
    for pupil in face.keypoints[PUPILS]:
        where = window(pupil[None], 3)
        dark = np.clip(45 - grey(face.image)[where], 0, 15)
        np.testing.assert_allclose(centroid(dark, where), pupil, atol=0.3)


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize("index", FACES)
def test_eyes_fill_the_polygons_of_their_landmarks(index: int) -> None:
    face = draw_face(0, index)
    for points in (face.keypoints[eye] for eye in EYES):
        where = window(points, 3)
        patch, distance = face.image[where].astype(np.float64), distances(points, where)
        skin = np.median(patch[(distance < -1.5) & (distance > -3)], axis=0)
        eye = (np.linalg.norm(patch - skin, axis=2) > 25) & (distance > -2)
        np.testing.assert_allclose(centroid(eye, where), polygon_centroid(points), atol=0.3)


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize("index", FACES)
def test_lips_and_brows_fill_the_polygons_of_their_landmarks(index: int) -> None:
    face = draw_face(0, index)
    for part in (LIPS, *BROWS):
        points = face.keypoints[part]
        where = window(points, 3)
        covered = coverage(face.image, points, where)
        # OpenCV draws nothing thinner than a pixel, so a brow's tip weighs a little more than its polygon's.
        thin = 0.01 * float(np.ptp(points, axis=0).max())
        np.testing.assert_allclose(
            centroid(covered, where), polygon_centroid(points), atol=0.1 if part is LIPS else thin
        )
        assert covered.sum() == pytest.approx(polygon_area(points), rel=0.03)


@pytest.mark.usefixtures("clean")
def test_an_open_mouth_is_dark_inside_its_landmarks() -> None:
    faces = [face for face in (draw_face(0, index, ["expression"]) for index in FACES) if opening(face) > 10]
    assert len(faces) > 3
    for face in faces:
        points = face.keypoints[MOUTH]
        where = window(points, 3)
        inside = distances(points, where) > 1.5
        reddest = face.image[where][inside].astype(int)
        assert np.median(reddest.sum(axis=1)) < 120


def edge_offsets(image: Pixels, points: np.ndarray, closed: bool) -> np.ndarray:
    """How far outside of the lines between neighbouring landmarks the picture's edges lie, px, where there are any.

    Independent of how it was drawn: across the middle of a line, the place at which one colour passes into the other.
    """
    ways = (np.roll(points, -1, axis=0) - points)[: None if closed else -1]
    middles = points[: len(ways)] + ways / 2
    outwards = np.sign(cross(points).sum()) * ways[:, ::-1] * [1, -1] / np.linalg.norm(ways, axis=1)[:, None]
    steps = np.linspace(-2.5, 2.5, 51)
    places = (middles[:, None] + steps[:, None] * outwards[:, None]).astype(np.float32)
    values = cv2.remap(image.astype(np.float32), places[..., 0], places[..., 1], cv2.INTER_LINEAR).astype(np.float64)
    inside, outside = values[:, :8].mean(axis=1), values[:, -8:].mean(axis=1)
    change = inside - outside
    contrast = np.linalg.norm(change, axis=1)
    share = ((values - outside[:, None]) * change[:, None]).sum(axis=2) / np.maximum(contrast**2, 1e-9)[:, None]
    offsets = share.sum(axis=1) * (steps[1] - steps[0]) - 2.55
    plain = np.linalg.norm(values[:, [0, -1]] - values[:, [7, -8]], axis=2).max(axis=1) < 8
    return np.asarray(offsets[(contrast > 60) & plain])


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize("attributes", [(), ("pose",)], ids=["frontal", "pose"])
def test_the_edges_of_the_face_and_the_lips_pass_through_the_landmarks(attributes: tuple[str, ...]) -> None:
    faces = [draw_face(0, index, attributes) for index in range(20)]
    for part, closed in ((CONTOUR, False), (LIPS, True)):
        offsets = np.concatenate([edge_offsets(face.image, face.keypoints[part], closed) for face in faces])
        assert len(offsets) > 40
        assert abs(np.median(offsets)) < 0.03
        assert np.percentile(np.abs(offsets), 90) < 0.1


def test_a_face_is_a_function_of_seed_index_and_attributes() -> None:
    one, again = (draw_face(3, 5, ["pose", "blur"]) for _ in range(2))
    np.testing.assert_array_equal(one.image, again.image)
    np.testing.assert_array_equal(one.keypoints, again.keypoints)
    for other in (draw_face(3, 6, ["pose", "blur"]), draw_face(4, 5, ["pose", "blur"])):
        assert (one.image != other.image).mean() > 0.5
        assert not np.allclose(one.keypoints, other.keypoints, atol=1)


def test_the_plan_has_the_landmarks_of_the_drawing() -> None:
    for attributes in ((), ("pose", "expression")):
        plan, face = plan_face(1, 2, attributes), draw_face(1, 2, attributes)
        np.testing.assert_array_equal(plan.keypoints, face.keypoints)
        assert (plan.yaw, plan.attributes) == (face.yaw, face.attributes) == (face.yaw, frozenset(attributes))


def test_the_image_is_square() -> None:
    assert draw_face(0, 0).image.shape == (SIZE, SIZE, 3)
    assert draw_face(0, 0).image.dtype == np.uint8


def both(index: int, attribute: str) -> tuple[DrawnFace, DrawnFace]:
    return draw_face(7, index), draw_face(7, index, [attribute])


def opening(face: DrawnFace) -> float:
    """Between the inner lips, px."""
    return float(np.linalg.norm(face.keypoints[90] - face.keypoints[94]))


@pytest.mark.parametrize("attribute", ["illumination", "makeup", "occlusion", "blur"])
def test_landmarks_stay_where_they_are_under_what_changes_the_picture_alone(attribute: str) -> None:
    for index in FACES:
        plain, changed = both(index, attribute)
        np.testing.assert_array_equal(changed.keypoints, plain.keypoints)
        assert (changed.image != plain.image).any()


def test_illumination_darkens_the_face_or_lights_one_side() -> None:
    darkened = one_sided = 0
    for index in range(12):
        plain, changed = both(index, "illumination")
        ratio = (grey(changed.image) + 1) / (grey(plain.image) + 1)
        halves = [np.median(part) for part in (ratio[:, :80], ratio[:, -80:], ratio[:80], ratio[-80:])]
        darkened += max(halves) < 0.5
        one_sided += max(halves) / min(halves) > 1.8
        assert max(halves) < 0.5 or max(halves) / min(halves) > 1.8
    assert darkened > 2
    assert one_sided > 2


def test_makeup_colours_lids_and_lips() -> None:
    for index in FACES:
        plain, changed = both(index, "makeup")
        difference = np.linalg.norm(changed.image.astype(float) - plain.image, axis=2)
        lids = ([60, 61, 62, 63, 64, 38, 39, 40, 41], [68, 69, 70, 71, 72, 47, 48, 49, 50])
        for points in (changed.keypoints[LIPS], *(changed.keypoints[lid] for lid in lids)):
            where = window(points, 0)
            assert np.percentile(difference[where][distances(points, where) > 1.5], 75) > 25
        assert np.median(difference[window(changed.keypoints[51:60], 0)]) < 1, "the nose"


def test_an_occlusion_covers_a_part_of_the_face_with_one_colour() -> None:
    for index in FACES:
        plain, changed = both(index, "occlusion")
        covered = (plain.image != changed.image).any(axis=2)
        y, x = np.nonzero(covered)
        assert 300 < len(x) < 0.2 * SIZE**2
        assert np.hypot(*(changed.keypoints - [x.mean(), y.mean()]).T).min() < 15
        assert np.median(np.abs(changed.image[covered] - np.median(changed.image[covered], axis=0))) < 12


def test_blur_takes_the_sharp_edges() -> None:
    for index in FACES:
        plain, changed = both(index, "blur")
        before, after = (cv2.Laplacian(grey(face.image), cv2.CV_64F).var() for face in (plain, changed))
        assert after < before / 5
