"""Rotations of a head, as matrices and as yaw, pitch and roll.

The camera's axes are x to the right, y down and z forward, away from the viewer; a head in front of the camera that
looks straight into it has the same axes. The matrix takes points of the head to the camera's axes:

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


def line_of_sight(place: ArrayLike) -> Floats:
    """The smallest rotation (3, 3) that turns the camera's axis towards a place (3,) on its axes."""
    x, y, z = np.asarray(place, np.float64) / np.linalg.norm(place)
    across = np.hypot(x, y)
    axis = np.array([-y, x, 0.0]) / max(across, 1e-300)
    return small_rotation(np.arctan2(across, z) * axis)
