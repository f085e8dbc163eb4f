"""Frames: the reference's arrays, round trips between image, crop and heatmap, mirrors."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conftest import Golden
from darkpose.errors import DarkposeError
from darkpose.image.geometry import (
    align_eyes,
    box_to_crop,
    compose,
    crop_to_heatmap,
    crop_to_image,
    heatmap_to_crop,
    heatmap_to_image,
    image_to_crop,
    landmark_box,
    mirror_keypoints,
    mirror_matrix,
    resize_points,
    similarity,
    transform,
    whole_pixels,
    with_margin,
)
from darkpose.image.pixels import warp_image
from darkpose.schema import AFLW_19, WFLW_98, KeypointSchema

COORDINATES = st.floats(-2000, 2000)
POINTS = st.tuples(COORDINATES, COORDINATES)
SIDES = st.floats(8, 2000)
ANGLES = st.floats(-180, 180)


# ------------------------------------------------------------------------------------------------ the golden arrays


def test_crop_matrices_are_the_references(golden: Golden) -> None:
    arrays = golden("c_affine")
    for i in range(len(arrays["center"])):
        width, height = map(int, arrays["out_size"][i])
        crop = (arrays["center"][i], 200 * arrays["scale"][i, 0], (width, height), float(arrays["rot"][i]))
        # A matrix's product with a coordinate below 1e4 px stays within 1e-6 px.
        np.testing.assert_allclose(image_to_crop(*crop), arrays["mat"][i], rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(crop_to_image(*crop), arrays["mat_inv"][i], rtol=1e-11, atol=1e-11)
        points = transform(image_to_crop(*crop), arrays["pts"][i])
        np.testing.assert_allclose(points, arrays["pts_t"][i], rtol=0, atol=1e-6)


def test_heatmap_points_come_back_to_the_image_as_in_the_reference(golden: Golden) -> None:
    arrays = golden("c_affine")
    for i, points in enumerate(arrays["hm_pts"]):
        width, height = map(int, arrays["hm_size"][i])
        crop = (arrays["center"][i], 200 * arrays["scale"][i], (width, height))
        np.testing.assert_array_equal(heatmap_to_image(points, *crop), arrays["preds"][i])
        # In float64 the golden's own float32 rounding is left: 6e-5 px per operation at up to 1537 px.
        np.testing.assert_allclose(heatmap_to_image(points.astype(float), *crop), arrays["preds"][i], rtol=0, atol=2e-4)


@pytest.mark.parametrize(("aspect", "suffix"), [(1.0, ""), (0.75, "_ar075")])
def test_crops_around_boxes_are_the_references(golden: Golden, aspect: float, suffix: str) -> None:
    arrays = golden("c_affine")
    boxes = arrays["boxes_xywh"].copy()
    boxes[:, 2:] += boxes[:, :2]
    center, sides = box_to_crop(boxes, aspect=aspect)
    # The golden is float32: 3e-5 px at 512 .. 1024 px for a centre, 2e-7 (of 200 px) for a scale of 2 .. 4.
    np.testing.assert_allclose(center, arrays[f"box_center{suffix}"], rtol=6e-8, atol=0)
    np.testing.assert_allclose(sides / 200, arrays[f"box_scale{suffix}"], rtol=1.2e-7, atol=0)


@pytest.mark.parametrize("case", range(5), ids=["upright", "small", "turned", "beyond the image", "off centre"])
def test_warped_crops_are_the_references_pixel_for_pixel(golden: Golden, case: int) -> None:
    arrays = golden("c_warp")
    side, rotation = 200 * arrays[f"scale{case}"][0], float(arrays[f"rot{case}"])
    matrix = image_to_crop(arrays[f"center{case}"], side, (64, 64), rotation)
    np.testing.assert_array_equal(warp_image(arrays["image"], matrix, (64, 64)), arrays[f"warp{case}"])


@pytest.mark.parametrize(("name", "schema"), [("aflw", AFLW_19), ("wflw", WFLW_98)])
def test_mirrored_landmarks_are_the_references(golden: Golden, name: str, schema: KeypointSchema) -> None:
    arrays = golden("c_flip")
    np.testing.assert_array_equal(schema.flip_index, arrays[f"{name}_flip_index"])
    seen = arrays[f"{name}_fvis"][:, 0] > 0
    np.testing.assert_array_equal(arrays[f"{name}_vis"][schema.flip_index, 0] > 0, seen)
    mirrored = mirror_keypoints(arrays[f"{name}_joints"][:, :2], schema.flip_index, 301)
    # The golden is float32 (1.5e-5 px at 128 .. 256 px) and puts landmarks that are not annotated at (0, 0).
    np.testing.assert_allclose(mirrored[seen], arrays[f"{name}_fjoints"][seen, :2], rtol=0, atol=1.6e-5)


def test_augmented_landmarks_are_the_references(golden: Golden) -> None:
    arrays = golden("c_augment")
    center, width = np.array([130.5, 120.25]), 256
    keypoints, seen = arrays["joints0"][:, :2], arrays["vis0"][:, 0] > 0
    for i, flipped in enumerate(arrays["flipped"]):
        points, visible, middle = keypoints, seen, center
        if flipped:
            points = mirror_keypoints(keypoints, WFLW_98.flip_index, width)
            visible, middle = seen[WFLW_98.flip_index], transform(mirror_matrix(width), center)
        np.testing.assert_array_equal(middle, arrays["center"][i])
        matrix = image_to_crop(middle, 200 * arrays["scale"][i, 0], (256, 256), float(arrays["rot"][i]))
        expected = arrays["joints"][i, visible, :2]
        np.testing.assert_allclose(transform(matrix, points)[visible], expected, rtol=1e-7, atol=1.6e-5)  # its float32


# ------------------------------------------------------------------------------------------------------ round trips


@given(center=POINTS, side=SIDES, rotation=ANGLES, point=POINTS, size=st.sampled_from([(256, 256), (192, 256)]))
def test_image_to_crop_and_back_is_where_it_was(
    center: tuple[float, float], side: float, rotation: float, point: tuple[float, float], size: tuple[int, int]
) -> None:
    there = transform(image_to_crop(center, side, size, rotation), point)
    # Each matrix goes through the same float32 points: to the rounding of float64, they invert each other.
    np.testing.assert_allclose(transform(crop_to_image(center, side, size, rotation), there), point, rtol=0, atol=1e-6)


@given(center=POINTS, side=SIDES, point=POINTS)
def test_crop_to_heatmap_to_image_is_the_inverse_of_the_crop(
    center: tuple[float, float], side: float, point: tuple[float, float]
) -> None:
    in_heatmap = crop_to_heatmap(transform(image_to_crop(center, side, (256, 256)), point))
    back = heatmap_to_image(in_heatmap, center, [side, side], (64, 64))
    # The matrix's three points are float32: 1.2e-4 px at 2000 px, magnified by how far the point lies outside.
    reach = 1 + np.abs(np.subtract(point, center)).max() / side
    np.testing.assert_allclose(back, point, rtol=0, atol=4e-4 * reach)


def test_heatmap_and_crop_differ_by_the_stride_alone_for_arrays_and_tensors() -> None:
    points = np.array([[0.0, 4.0], [-3.0, 255.5]])
    np.testing.assert_array_equal(crop_to_heatmap(points), [[0, 1], [-0.75, 63.875]])
    np.testing.assert_array_equal(crop_to_heatmap(points, stride=2), points / 2)
    tensor = torch.from_numpy(points)
    for stride in (2, 4):
        np.testing.assert_array_equal(heatmap_to_crop(crop_to_heatmap(points, stride=stride), stride=stride), points)
        assert torch.equal(heatmap_to_crop(crop_to_heatmap(tensor, stride=stride), stride=stride), tensor)


def test_the_crops_centre_and_edges_are_where_the_docstring_says() -> None:
    matrix = image_to_crop((100, 50), 40, (256, 256))
    np.testing.assert_allclose(transform(matrix, [[100, 50], [80, 30], [120, 70]]), [[128, 128], [0, 0], [256, 256]])


def test_a_positive_rotation_turns_the_content_counter_clockwise_on_the_screen() -> None:
    matrix = image_to_crop((100, 50), 40, (256, 256), 90)
    right_of_the_centre = transform(matrix, [110, 50])
    np.testing.assert_allclose(right_of_the_centre, [128, 64], atol=1e-4)  # now above it


def test_an_enlarged_picture_keeps_the_places_of_its_edges() -> None:
    # The left edge of the first pixel is -0.5 in every picture; the right edge of a 10 px picture is 9.5, then 29.5.
    np.testing.assert_allclose(resize_points([[-0.5, 9.5], [0, 4.5]], 3), [[-0.5, 29.5], [1, 14.5]])
    np.testing.assert_allclose(resize_points(resize_points([3.3, -7.1], 0.37), 1 / 0.37), [3.3, -7.1])


@given(first=st.tuples(POINTS, SIDES, ANGLES), second=st.tuples(POINTS, SIDES, ANGLES), point=POINTS)
def test_composed_matrices_act_one_after_the_other_the_last_first(
    first: tuple[tuple[float, float], float, float],
    second: tuple[tuple[float, float], float, float],
    point: tuple[float, float],
) -> None:
    a, b = (image_to_crop(center, side, (256, 256), rotation) for center, side, rotation in (first, second))
    expected = transform(a, transform(b, point))
    np.testing.assert_allclose(transform(compose(a, b), point), expected, rtol=1e-9, atol=1e-6)
    np.testing.assert_array_equal(compose(a), a)
    np.testing.assert_array_equal(compose(), np.eye(3)[:2])


@given(seed=st.integers(0, 2**32 - 1), width=st.integers(1, 5000))
def test_mirroring_twice_changes_nothing(seed: int, width: int) -> None:
    keypoints = np.random.default_rng(seed).uniform(-100, width + 100, (2, 98, 2))
    mirrored = mirror_keypoints(keypoints, WFLW_98.flip_index, width)
    back = mirror_keypoints(mirrored, WFLW_98.flip_index, width)
    np.testing.assert_allclose(back, keypoints, rtol=0, atol=1e-11)
    np.testing.assert_array_equal(compose(mirror_matrix(width), mirror_matrix(width)), np.eye(3)[:2])


def test_the_mirror_exchanges_the_first_and_the_last_pixel() -> None:
    np.testing.assert_array_equal(transform(mirror_matrix(300), [[0, 7], [299, 8]]), [[299, 7], [0, 8]])


# ------------------------------------------------------------------------------------------------------------ boxes


def test_a_landmark_box_is_tight_and_grown_to_whole_pixels() -> None:
    faces = [[[1.2, 9.0], [5.0, 3.7], [4.1, 9.0]], [[-1.2, 0.0], [2.0, 0.0], [1.0, 0.5]]]
    np.testing.assert_array_equal(landmark_box(faces), [[1, 3, 5, 9], [-2, 0, 2, 1]])
    np.testing.assert_array_equal(whole_pixels([-0.5, 2.0, 3.1, 4.0]), [-1, 2, 4, 4])


@pytest.mark.parametrize(
    ("aspect", "expected"),
    [
        pytest.param(1.0, [60, 60], id="square: the long side twice"),
        pytest.param(0.5, [30, 60], id="tall enough already: the width grows"),
        pytest.param(2.0, [120, 60], id="wide: the height stays"),
    ],
)
def test_the_short_side_grows_to_the_aspect_and_both_are_padded(aspect: float, expected: list[float]) -> None:
    center, sides = box_to_crop([10, 20, 20, 50], padding=2.0, aspect=aspect)
    np.testing.assert_array_equal(center, [15, 35])
    np.testing.assert_allclose(sides, expected)


@pytest.mark.parametrize(
    ("center", "side"),
    [((0, 0), 0.0), ((0, 0), -3.0), ((0, 0), np.nan), ((0, 0), np.inf), ((np.nan, 0), 9.0), ((0, np.inf), 9.0)],
    ids=str,
)
def test_a_crop_without_a_place_or_a_size_is_refused(center: tuple[float, float], side: float) -> None:
    for matrix in (image_to_crop, crop_to_image):
        with pytest.raises(DarkposeError, match="finite centre and a positive side"):
            matrix(center, side, (256, 256))


# ------------------------------------------------------------------------------------------------------------- eyes


@given(left=POINTS, right=POINTS, size=st.integers(16, 512))
def test_aligned_eyes_are_level_at_their_places_and_the_shape_is_kept(
    left: tuple[float, float], right: tuple[float, float], size: int
) -> None:
    distance = float(np.hypot(*np.subtract(right, left)))
    if distance < 1:
        return
    matrix = align_eyes(left, right, size)
    placed = transform(matrix, [left, right]) / (size - 1)
    np.testing.assert_allclose(placed, [[0.35, 0.4], [0.65, 0.4]], rtol=0, atol=1e-9)
    turn = matrix[:, :2]  # a rotation times a scale, not a mirror
    scale = 0.3 * (size - 1) / distance
    np.testing.assert_allclose(turn @ turn.T, scale**2 * np.eye(2), rtol=1e-9, atol=1e-9 * scale**2)
    assert np.linalg.det(turn) > 0


@pytest.mark.parametrize("right", [(5.0, 5.0), (np.nan, 5.0), (np.inf, 5.0)], ids=str)
def test_eyes_that_coincide_or_are_not_finite_cannot_be_aligned(right: tuple[float, float]) -> None:
    with pytest.raises(DarkposeError, match="cannot be aligned"):
        align_eyes((5.0, 5.0), right, 112)


@given(st.lists(POINTS, min_size=3, max_size=9, unique=True), ANGLES, st.floats(0.1, 10), POINTS)
def test_a_similarity_is_found_by_the_points_that_it_moved(
    points: list[tuple[float, float]], angle: float, scale: float, shift: tuple[float, float]
) -> None:
    source = np.array(points)
    if np.ptp(source, axis=0).max() < 1:
        return
    cos, sin = scale * np.cos(np.deg2rad(angle)), scale * np.sin(np.deg2rad(angle))
    matrix = np.array([[cos, -sin, shift[0]], [sin, cos, shift[1]]])
    target = transform(matrix, source)
    np.testing.assert_allclose(transform(similarity(source, target), source), target, atol=1e-6 * (1 + scale))


def test_a_margin_keeps_the_middle_of_a_crop_and_shows_more_around() -> None:
    matrix = with_margin([[1.0, 0, 0], [0, 1.0, 0]], 101, 0.5)
    np.testing.assert_allclose(transform(matrix, [[50, 50], [-50, 150], [0, 100]]), [[50, 50], [0, 100], [25, 75]])
    np.testing.assert_allclose(with_margin(matrix, 101, 0.0), matrix)
