"""Predicted landmarks drawn on images."""

from collections.abc import Sequence

import numpy as np

from darkpose.derived.pose import Pose
from darkpose.derived.rotation import rotation_matrix
from darkpose.image.draw import (
    DARK_BLUE,
    WHITE,
    draw_landmarks,
    draw_outlines,
    draw_polyline,
    line_width,
)
from darkpose.image.geometry import resize_points
from darkpose.image.opencv import cv2
from darkpose.image.pixels import Pixels
from darkpose.predict.covariance import ellipse
from darkpose.predict.face import Face

RED, GREEN, BLUE = (230, 60, 50), (60, 190, 70), (50, 110, 240)
_ELLIPSE = (255, 96, 160)
_BOX = (255, 196, 64)
LEVEL = 0.95  # fraction of landmarks that should be inside their ellipses


def zoom_for(image: Pixels, faces: Sequence[Face]) -> int:
    """Factor (1 to 4) that enlarges an image until its smallest face is readable, to 2400 px at most."""
    smallest = min((_side(face.box) for face in faces), default=np.inf)
    wanted = 240 / max(smallest, 1.0)
    return int(np.clip(min(wanted, 2400 / max(image.shape[:2])), 1, 4))


def _side(box: np.ndarray) -> float:
    """Longer side of a box, as the scale of a face; unlike the landmarks, it has no outliers."""
    return float(min((box[2:] - box[:2]).max(), 4000))


def draw_faces(
    image: Pixels,
    faces: Sequence[Face],
    *,
    boxes: bool = True,
    scores: bool = False,
    zoom: int = 1,
    poses: Sequence[Pose] = (),
) -> Pixels:
    """Draw outlines and landmarks on a copy of an image; lines are as wide as the size of each face requires.

    The axes of a pose are drawn from the tip of the nose: to the left of the person (red), down (green), and out of the
    face (blue). If a face has covariances, an ellipse per landmark contains 95 % of its probable positions.

    Args:
        image: (H, W, 3) RGB.
        faces: in the image.
        boxes: draw the boxes, too, with the numbers of tracks.
        scores: write the mean and the lowest score above each box.
        zoom: whole factor that enlarges the image.
        poses: of the faces, as many; those that are not known are not drawn.

    Returns:
        (zoom * H, zoom * W, 3) RGB.
    """
    size = (image.shape[1] * zoom, image.shape[0] * zoom)
    canvas = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC) if zoom > 1 else image.copy(), np.uint8)
    for face in faces:
        keypoints = resize_points(face.keypoints, zoom)
        box = resize_points(face.box.reshape(2, 2), zoom).reshape(4)
        extent = _side(box)
        if boxes:
            draw_polyline(canvas, box[[0, 1, 2, 1, 2, 3, 0, 3]].reshape(4, 2), _BOX, line_width(extent), closed=True)
        draw_outlines(canvas, keypoints, face.schema.outlines, extent)
        if face.covariance is not None:
            for line in ellipse(face.keypoints, face.covariance, LEVEL)[np.isfinite(face.covariance).all(axis=(1, 2))]:
                draw_polyline(canvas, resize_points(line, zoom), _ELLIPSE, line_width(extent), closed=True)
        draw_landmarks(canvas, keypoints, extent)
        if scores or (boxes and face.track is not None):
            _label(canvas, face, box, extent, scores=scores)
    for face, pose in zip(faces, poses, strict=bool(poses)):
        if not pose.problem:
            draw_axes(canvas, resize_points(face.five_points[2], zoom), pose, _side(zoom * face.box))
    return canvas


def draw_axes(canvas: Pixels, origin: np.ndarray, pose: Pose, extent: float) -> None:
    """Draw the axes of a pose into an image (H, W, 3).

    Args:
        canvas: the image.
        origin: (2,) px, where they begin.
        pose: that is known.
        extent: of the face, px; it gives their length and width.
    """
    width = max(2, round(extent / 70))
    rotation = rotation_matrix(pose.yaw, pose.pitch, pose.roll)  # as seen along the line to the head
    ends = {RED: rotation[:, 0], GREEN: rotation[:, 1], BLUE: -rotation[:, 2]}
    for colour, axis in sorted(ends.items(), key=lambda each: -each[1][2]):  # the nearest one over the others
        end = origin + 0.45 * extent * axis[:2]
        side = 0.04 * extent * np.array([-axis[1], axis[0]])
        neck = origin + 0.38 * extent * axis[:2]
        draw_polyline(canvas, np.stack([origin, end]), colour, width)
        draw_polyline(canvas, np.stack([neck + side, end, neck - side]), colour, width)


def _label(canvas: Pixels, face: Face, box: np.ndarray, extent: float, *, scores: bool) -> None:
    """Write the number of its track, and the mean and the lowest score of a face above its box."""
    texts = [] if face.track is None else [str(face.track)]
    texts += [f"{face.score:.2f}", f"lowest {float(face.scores.min()):.2f}"] if scores else []
    text = ", ".join(texts)
    scale = max(0.35, extent / 400) if scores else max(0.5, extent / 160)
    x, y = round(float(box[0])), max(round(12 * scale + 8), round(float(box[1]) - 4 * scale))
    for colour, stroke in ((DARK_BLUE, max(2, round(4 * scale))), (WHITE, max(1, round(1.5 * scale)))):
        cv2.putText(canvas, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, colour, stroke, cv2.LINE_AA)
