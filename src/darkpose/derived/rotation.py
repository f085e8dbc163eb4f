"""Rotations of a head, as matrices and as yaw, pitch and roll.

The camera's axes are x to the right, y down and z forward, away from the viewer; a head that looks straight into the
camera has the same axes. The matrix takes points of the head to the camera's axes:

    R = Rz(roll) Rx(pitch) Ry(-yaw)

Each angle is positive towards growing image coordinates. Yaw: the person turns the head to their own left, which is the
right of the picture. Pitch: the person looks down. Roll: the head leans clockwise on the screen. Turning a picture
around the camera's axis changes the roll alone.
"""

import numpy as np
from numpy.typing import ArrayLike

from darkpose.image.geometry import Floats


def rotation_matrix(yaw: float, pitch: float, roll: float) -> Floats:
    """The matrix (3, 3) of angles in degrees."""
    (cy, cp, cr), (sy, sp, sr) = (f(np.radians([yaw, pitch, roll])) for f in (np.cos, np.sin))
    across = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    nod = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    return np.asarray(np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]]) @ nod @ across)


def rotation_angles(rotation: ArrayLike) -> Floats:
    """Yaw, pitch and roll (..., 3) in degrees of matrices (..., 3, 3): the inverse of `rotation_matrix`.

    Yaw and roll are from -180 to 180, pitch from -90 to 90; at -90 and 90, only a combination of yaw and roll is
    determined.
    """
    r = np.asarray(rotation, np.float64)
    yaw = np.arctan2(r[..., 2, 0], r[..., 2, 2])
    pitch = np.arcsin(np.clip(r[..., 2, 1], -1, 1))
    roll = np.arctan2(-r[..., 0, 1], r[..., 1, 1])
    return np.asarray(np.degrees(np.stack([yaw, pitch, roll], axis=-1)))


def cross_matrix(vectors: ArrayLike) -> Floats:
    """The matrices (..., 3, 3) of the cross product with vectors (..., 3): cross_matrix(a) @ b = a x b."""
    x, y, z = np.moveaxis(np.asarray(vectors, np.float64), -1, 0)
    o = np.zeros_like(x)
    rows = [[o, -z, y], [z, o, -x], [-y, x, o]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def small_rotation(vector: ArrayLike) -> Floats:
    """The rotation (..., 3, 3) around vectors (..., 3) by their lengths in radians (Rodrigues)."""
    vector = np.asarray(vector, np.float64)
    angle, cross = np.linalg.norm(vector, axis=-1)[..., None, None], cross_matrix(vector)
    first, second = np.sinc(angle / np.pi), 0.5 * np.sinc(angle / (2 * np.pi)) ** 2
    return np.asarray(np.eye(3) + first * cross + second * (cross @ cross))


def angle_errors(rotation: Floats, covariance: Floats) -> Floats:
    """Standard errors (3,) of yaw, pitch and roll in degrees.

    Args:
        rotation: (3, 3).
        covariance: (3, 3) of a small rotation (radians) that is applied after it, along the camera's axes.
    """
    roll = np.radians(rotation_angles(rotation)[2])
    axes = np.stack([-rotation[:, 1], [np.cos(roll), np.sin(roll), 0], [0, 0, 1]], axis=1)  # of yaw, pitch and roll
    inverse = np.linalg.pinv(axes)
    return np.degrees(np.sqrt(np.diag(inverse @ covariance @ inverse.T)))
