"""How far the eyes and the mouth are open, and how high the brows are.

The landmarks are brought to the front first (`pose.from_the_front`), so that a turned head does not look like an open
mouth or wide eyes. The unit is the distance between the outer corners of the eyes of the same face.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from darkpose.derived.pose import Camera, Pose, from_the_front
from darkpose.image.geometry import Floats
from darkpose.schema import KeypointSchema

FARTHEST = 60.0  # degrees between the axis of the face and of the camera; beyond, half of the face is hidden
_LIDS = ("outer", "middle", "inner")
_BROW = ("brow_0", "brow_1", "brow_2", "brow_3", "brow_4", "brow_outer", "brow_middle", "brow_inner")


@dataclass(frozen=True)
class Openness:
    """Shares; NaN where the schema lacks the landmarks, one of them is not known, or there is a problem.

    Attributes:
        left_eye, right_eye: eye aspect ratio (Soukupova, Cech, CVWW 2016): mean distance of the lids over the distance
            of the corners; left and right in the picture.
        mouth: distance of the inner lips over that of the outer corners of the eyes.
        mouth_width: distance of the corners of the mouth over the same.
        left_brow, right_brow: height of the brow over the corners of its eye, over the same.
        problem: why nothing is known, as a sentence; else empty.
    """

    left_eye: float = np.nan
    right_eye: float = np.nan
    mouth: float = np.nan
    mouth_width: float = np.nan
    left_brow: float = np.nan
    right_brow: float = np.nan
    problem: str = ""


def openness(keypoints: ArrayLike, schema: KeypointSchema, camera: Camera, pose: Pose) -> Openness:
    """How far eyes and mouth of a face are open.

    Args:
        keypoints: (K, 2) image px.
        schema: of the landmarks.
        camera: that took the image.
        pose: of the face in it.
    """
    if pose.problem:
        return Openness(problem=pose.problem)
    turned = float(np.degrees(np.arccos(np.clip(pose.rotation[2, 2], -1, 1))))
    if turned > FARTHEST:
        return Openness(problem=f"the head is turned by {turned:.0f} degrees, of at most {FARTHEST:.0f}")
    front = _Front(from_the_front(keypoints, schema, camera, pose), schema)
    unit = front.distance("left_eye_outer_corner", "right_eye_outer_corner")
    return Openness(
        front.eye("left"),
        front.eye("right"),
        front.distance("inner_upper_lip", "inner_lower_lip") / unit,
        front.distance("left_mouth_corner", "right_mouth_corner") / unit,
        front.brow("left") / unit,
        front.brow("right") / unit,
    )


@dataclass(frozen=True, eq=False)
class _Front:
    """Landmarks (K, 2) as seen from the front."""

    points: Floats
    schema: KeypointSchema

    def place(self, name: str) -> Floats:
        """A landmark by its name; NaN if the schema lacks it."""
        return self.points[self.schema.names.index(name)] if name in self.schema.names else np.full(2, np.nan)

    def distance(self, first: str, second: str) -> float:
        return float(np.linalg.norm(self.place(first) - self.place(second)))

    def eye(self, side: str) -> float:
        gaps = [
            self.distance(f"{side}_eye_upper_{part}", f"{side}_eye_lower_{part}")
            for part in _LIDS
            if f"{side}_eye_upper_{part}" in self.schema.names
        ]
        width = self.distance(f"{side}_eye_outer_corner", f"{side}_eye_inner_corner")
        return float(np.mean(gaps) / width) if gaps else np.nan

    def brow(self, side: str) -> float:
        rows = [self.place(f"{side}_{part}")[1] for part in _BROW if f"{side}_{part}" in self.schema.names]
        corners = [self.place(f"{side}_eye_{corner}_corner")[1] for corner in ("outer", "inner")]
        return float(np.mean(corners) - np.mean(rows)) if rows else np.nan
