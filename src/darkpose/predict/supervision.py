"""Conversion to `supervision.KeyPoints`, for the annotators, trackers and filters of that package."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from darkpose.errors import DarkposeError
from darkpose.predict.face import Face

if TYPE_CHECKING:
    from supervision import KeyPoints


def to_supervision(faces: Sequence[Face]) -> "KeyPoints":
    """The landmarks of M faces of one schema.

    Args:
        faces: of one image, as `Predictor` gives them.

    Returns:
        `KeyPoints` with xy (M, K, 2) float32, image px, the first pixel's centre at (0, 0); keypoint_confidence (M, K),
        the maxima of the heatmaps; detection_confidence (M,), None if a box was given; class_id (M,), all 0; and data:
        "class_name" (M,), all "face"; "box" (M, 4) x0, y0, x1, y1, image px; "names" (M, K) of the landmarks; and, if
        a face has covariances, "covariance" (M, K, 2, 2), image px^2, NaN if not known. Empty without faces.

    Raises:
        DarkposeError: supervision is not installed, or the faces are of several schemas.
    """
    try:
        from supervision import KeyPoints
    except ImportError as error:
        raise DarkposeError("to_supervision needs supervision: pip install 'darkpose[supervision]'") from error
    schemas = sorted({face.schema.name for face in faces})
    if len(schemas) > 1:
        raise DarkposeError(f"expected faces of one schema, got {', '.join(schemas)}")
    if not faces:
        return KeyPoints.empty()
    names = list(faces[0].schema.names)
    data: dict[str, Any] = {
        "class_name": np.array(["face"] * len(faces)),
        "box": np.stack([face.box for face in faces]),
        "names": np.array([names] * len(faces)),
    }
    if any(face.covariance is not None for face in faces):
        unknown = np.full((len(names), 2, 2), np.nan, np.float32)
        data["covariance"] = np.stack([unknown if face.covariance is None else face.covariance for face in faces])
    found = np.array([face.detection_score for face in faces], np.float32)
    return KeyPoints(
        xy=np.stack([face.keypoints for face in faces]),
        class_id=np.zeros(len(faces), int),
        keypoint_confidence=np.stack([face.scores for face in faces]),
        detection_confidence=found if np.isfinite(found).all() else None,
        data=data,
    )
