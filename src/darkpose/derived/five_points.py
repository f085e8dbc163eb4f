"""The five points that other packages align faces by: eyes, tip of the nose, corners of the mouth."""

import numpy as np
from numpy.typing import ArrayLike

from darkpose.errors import DarkposeError
from darkpose.image.geometry import Floats
from darkpose.schema import KeypointSchema

FIVE = ("left_eye", "right_eye", "nose", "left_mouth_corner", "right_mouth_corner")
_NOSE = ("nose_tip", "nose_bridge_3")  # the lowest point of the bridge is the tip


def five_points(keypoints: ArrayLike, schema: KeypointSchema) -> Floats:
    """The points `FIVE` (5, 2) of a face, left and right as in the picture; NaN where a landmark is.

    An eye is the mean of the landmarks that the schema gives for its centre: of the lids and corners of 68, 98 and 29
    landmarks, of the corners of 19. So the gaze does not move it, as it would a pupil.

    Args:
        keypoints: (K, 2), any frame.
        schema: of the landmarks.

    Raises:
        DarkposeError: the schema lacks one of them.
    """
    points = np.asarray(keypoints, np.float64)
    nose = next((name for name in _NOSE if name in schema.names), None)
    corners = [name for name in FIVE[3:] if name in schema.names]
    if nose is None or len(corners) < 2 or not schema.left_eye or not schema.right_eye:
        raise DarkposeError(
            f"the schema {schema.name} does not name the eyes, the tip of the nose and the mouth corners"
        )
    eyes = [points[list(eye)].mean(axis=0) for eye in (schema.left_eye, schema.right_eye)]
    return np.stack([*eyes, *(points[schema.index(name)] for name in (nose, *corners))])
