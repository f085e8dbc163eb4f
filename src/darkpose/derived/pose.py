"""The pose of a head: the mean face is placed where its landmarks are seen (perspective-n-point).

The weighted sum of squared distances between the landmarks and the projected mean face is minimised by Gauss and
Newton's method, from the best affine camera. The weight of a landmark is the inverse of its covariance plus the
variance with which faces differ from the mean face; outliers lose weight, as of Student's t distribution.

The axes of the camera are x to the right, y down, z forward; for the signs of the angles see `rotation`. Yaw, pitch and
roll are those towards the camera: from the line between camera and head, so that 0, 0, 0 is a head that looks straight
into the camera, wherever in the image it is. Therefore they change little with the focal length, and when an image is
cropped. `Pose.rotation` is on the camera's axes.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from darkpose.derived.mean_face import MeanFace, mean_face
from darkpose.derived.rotation import cross_matrix, line_of_sight, rotation_angles, small_rotation
from darkpose.errors import DarkposeError
from darkpose.image.geometry import Floats
from darkpose.schema import KeypointSchema

FEWEST = 6  # landmarks for a pose
FREEDOM = 4.0  # of Student's t distribution
STEPS = 30  # of the minimisation, at most
STEP = 1e-5  # radians and units of the face
DONE = 1e-9  # radians and units of the face; smaller steps end it
NEAREST = 10.0  # units of the face, some 0.9 m
FARTHEST_YAW = 110.0  # degrees; beyond, a face is not seen
WORST_FIT = 0.2  # root mean square of the distances, in units of the face; beyond, the landmarks are no face


@dataclass(frozen=True)
class Camera:
    """A camera without distortion.

    Attributes:
        focal: (fx, fy), px.
        center: (cx, cy), where the axis of the camera meets the image, px.
    """

    focal: tuple[float, float]
    center: tuple[float, float]

    def __post_init__(self) -> None:
        if not (min(self.focal) > 0 and np.isfinite([*self.focal, *self.center]).all()):
            raise DarkposeError(f"a camera needs positive focal lengths and a finite centre in px, got {self}")

    @classmethod
    def of_image(cls, width: int, height: int, zoom: float = 1.0) -> "Camera":
        """The camera whose axis goes through the middle of an image, with a focal length of `zoom` longer sides.

        A zoom of 1 is an angle of view of 53 degrees, near that of cameras of computers and telephones.
        """
        side = zoom * float(max(width, height))
        return cls((side, side), ((width - 1) / 2, (height - 1) / 2))

    def project(self, points: ArrayLike) -> Floats:
        """Image px (..., 2) of points (..., 3) on the camera's axes."""
        points = np.asarray(points, np.float64)
        return np.asarray(points[..., :2] / points[..., 2:] * self.focal + self.center)

    def rays(self, points: ArrayLike) -> Floats:
        """x / z and y / z (..., 2) of image px (..., 2)."""
        return np.asarray((np.asarray(points, np.float64) - self.center) / self.focal)


def _unknown(*shape: int) -> Floats:
    return np.full(shape, np.nan)


@dataclass(frozen=True, eq=False)
class Pose:
    """How a head is turned, and where it is.

    Attributes:
        yaw: degrees towards the camera, positive where the person turns to their own left: the right of the picture.
        pitch: degrees, positive where the person looks down.
        roll: degrees, positive where the head leans clockwise on the screen.
        rotation: (3, 3), from the axes of the face to those of the camera.
        translation: (3,), place of the middle between the outer corners of the eyes on the camera's axes, in units of
            the face: their distance. It is as right as the focal length.
        residual: px, root mean square of the distances between the landmarks and the placed mean face.
        errors: (3,), standard errors of yaw, pitch and roll in degrees, of the covariances of the landmarks; NaN where
            these are not known. That a person's face differs from the mean face is not in them.
        problem: why the pose is not known, as a sentence; all numbers are NaN then. Empty: it is known.
    """

    yaw: float = np.nan
    pitch: float = np.nan
    roll: float = np.nan
    rotation: Floats = field(default_factory=lambda: _unknown(3, 3), repr=False)
    translation: Floats = field(default_factory=lambda: _unknown(3), repr=False)
    residual: float = np.nan
    errors: Floats = field(default_factory=lambda: _unknown(3))
    problem: str = ""

    def place(self, points: ArrayLike) -> Floats:
        """Points (..., 3) of the face on the camera's axes."""
        return np.asarray(np.asarray(points, np.float64) @ self.rotation.T + self.translation)


def assumed_camera(keypoints: ArrayLike, schema: KeypointSchema, size: tuple[int, int]) -> Camera:
    """The camera that is assumed for a face where none is known.

    Its axis goes through the middle of the image. Its focal length is the longer side of the image, but at least so
    long that the face is `NEAREST` units away: a large face is part of a larger picture, not so near.

    Args:
        keypoints, schema: of the face.
        size: (width, height) of the image, px.
    """
    camera, face = Camera.of_image(*size), mean_face(schema.name)
    points = _checked(keypoints, (len(schema), 2))
    known = np.isfinite(points).all(axis=1)
    if face is None or known.sum() < FEWEST:
        return camera
    start = _first(MeanFace(face.points[known], face.spread[known], face.triangles), camera.rays(points[known]))
    return camera if start is None else Camera.of_image(*size, zoom=max(1.0, NEAREST / start[1][2]))


def head_pose(
    keypoints: ArrayLike, schema: KeypointSchema, camera: Camera, covariance: ArrayLike | None = None
) -> Pose:
    """The pose of a head by its landmarks.

    Args:
        keypoints: (K, 2) image px; those that are not finite are left out.
        schema: of the landmarks: 300w-68, wflw-98 or aflw-19.
        camera: that took the image.
        covariance: (K, 2, 2) image px^2, of the errors of the landmarks; None, or NaN for single ones: not known, which
            counts as no error. The standard errors need all of them.

    Raises:
        DarkposeError: the shapes of the arrays are not those of the schema.
    """
    points = _checked(keypoints, (len(schema), 2))
    spreads = np.zeros((len(schema), 2, 2)) if covariance is None else _checked(covariance, (len(schema), 2, 2))
    face = mean_face(schema.name)
    if face is None:
        return Pose(problem=f"there is no mean face for the landmarks of {schema.name}")
    known = np.isfinite(points).all(axis=1)
    if known.sum() < FEWEST:
        return Pose(problem=f"{known.sum()} landmarks are known, a pose needs {FEWEST}")
    part = MeanFace(face.points[known], face.spread[known], face.triangles)
    certain = covariance is not None and bool(np.isfinite(spreads[known]).all())
    fit = _fitted(part, points[known], np.nan_to_num(spreads[known]), camera)
    if fit is None:
        return Pose(problem="the landmarks are not those of a face")
    return _pose(fit, part, camera, certain)


def _checked(values: ArrayLike, shape: tuple[int, ...]) -> Floats:
    values = np.asarray(values, np.float64)
    if values.shape != shape:
        raise DarkposeError(f"expected an array {shape} of landmarks, got {values.shape}")
    return values


class _Fit(NamedTuple):
    """Where the minimisation ended.

    rotation (3, 3), translation (3,), residuals (K, 2) px, and the covariance (6, 6) of a small rotation and shift.
    """

    rotation: Floats
    translation: Floats
    residuals: Floats
    covariance: Floats


def _fitted(face: MeanFace, points: Floats, spreads: Floats, camera: Camera) -> _Fit | None:
    """The mean face placed at landmarks (K, 2) with covariances (K, 2, 2); None: there is no such place."""
    start = _first(face, camera.rays(points))
    if start is None:
        return None
    rotation, translation = start
    for _ in range(STEPS):
        turned = face.points @ rotation.T
        placed = turned + translation
        if not (placed[:, 2] > 0).all():
            return None
        residuals = points - camera.project(placed)
        jacobian = _jacobian(turned, placed, camera)
        weights = _weights(face, spreads, residuals, camera, translation)
        weighted = np.einsum("kci,kcd->kid", jacobian, weights)
        inverse = np.linalg.pinv(np.einsum("kid,kdj->ij", weighted, jacobian), hermitian=True)
        change = inverse @ np.einsum("kid,kd->i", weighted, residuals)
        if not np.isfinite(change).all():
            return None
        rotation, translation = small_rotation(change[:3]) @ rotation, translation + change[3:]
        if np.abs(change).max() < DONE * max(1.0, float(np.linalg.norm(translation))):
            break
    gain = np.einsum("ij,kjd->kid", inverse, weighted)  # change of the pose per px of a landmark
    return _Fit(rotation, translation, residuals, np.einsum("kic,kcd,kjd->ij", gain, spreads, gain))


def _first(face: MeanFace, rays: Floats) -> tuple[Floats, Floats] | None:
    """Rotation and translation of the affine camera that is best for x / z and y / z (K, 2)."""
    weights = 1 / face.spread[:, None]
    rows = np.column_stack([face.points, np.ones(len(face.points))])
    matrix = np.linalg.lstsq(weights * rows, weights * rays, rcond=None)[0].T
    left, scales, right = np.linalg.svd(matrix[:, :3], full_matrices=False)
    size = scales.mean()  # 1 / distance
    if not size > 0:
        return None
    first = left @ right
    rotation = np.stack([*first, np.cross(*first)])
    return rotation, np.array([*matrix[:, 3], 1.0]) / size


def _jacobian(turned: Floats, placed: Floats, camera: Camera) -> Floats:
    """(K, 2, 6): px per radian of a rotation along the camera's axes, and per unit of a shift."""
    depth = placed[:, 2]
    project = np.zeros((len(placed), 2, 3))
    for axis in (0, 1):
        project[:, axis, axis] = camera.focal[axis] / depth
        project[:, axis, 2] = -camera.focal[axis] * placed[:, axis] / depth**2
    return np.concatenate([project @ -cross_matrix(turned), project], axis=2)


def _weights(face: MeanFace, spreads: Floats, residuals: Floats, camera: Camera, translation: Floats) -> Floats:
    """Inverse covariances (K, 2, 2) of the landmarks around the placed mean face; smaller for outliers."""
    unit = np.square(np.array(camera.focal) / translation[2])  # px^2 per square unit of the face
    total = spreads + (face.spread**2)[:, None, None] * np.diag(unit)
    inverse = np.linalg.inv(total)
    squares = np.einsum("kc,kcd,kd->k", residuals, inverse, residuals)
    return np.asarray(inverse * ((FREEDOM + 2) / (FREEDOM + squares))[:, None, None])


def _pose(fit: _Fit, face: MeanFace, camera: Camera, certain: bool) -> Pose:
    yaw, pitch, roll = (float(angle) for angle in _angles(fit.rotation, fit.translation))
    residual = float(np.sqrt(np.square(fit.residuals).sum(axis=1).mean()))
    if residual > WORST_FIT * float(np.mean(camera.focal)) / fit.translation[2]:
        return Pose(problem="the landmarks are not those of a face: they are far from any view of the mean face")
    if abs(yaw) > FARTHEST_YAW:
        return Pose(problem="the landmarks are those of a head from behind, or left and right are exchanged")
    errors = _errors(fit) if certain else _unknown(3)
    return Pose(yaw, pitch, roll, fit.rotation, fit.translation, residual, errors)


def _angles(rotation: Floats, translation: Floats) -> Floats:
    """Yaw, pitch and roll towards the camera, degrees."""
    return rotation_angles(line_of_sight(translation).T @ rotation)


def _errors(fit: _Fit) -> Floats:
    """Standard errors (3,) of yaw, pitch and roll, degrees, by their change with the pose."""

    def angles(change: Floats) -> Floats:
        return _angles(small_rotation(change[:3]) @ fit.rotation, fit.translation + change[3:])

    differences = [angles(step) - angles(-step) for step in STEP * np.eye(6)]
    slopes = (np.stack(differences, axis=1) + 180) % 360 - 180
    return np.sqrt(np.diag(slopes @ fit.covariance @ slopes.T)) / (2 * STEP)


def from_the_front(keypoints: ArrayLike, schema: KeypointSchema, camera: Camera, pose: Pose) -> Floats:
    """Landmarks (K, 2) as they are seen from the front: x and y on the axes of the face, in its units.

    Each landmark is taken to be as deep as that of the mean face. NaN where the pose is not known.
    """
    face = mean_face(schema.name)
    if face is None or pose.problem:
        return _unknown(len(schema), 2)
    rays = camera.rays(_checked(keypoints, (len(schema), 2)))
    system = pose.rotation[None, :2, :] - rays[:, :, None] * pose.rotation[2]  # of a point of the face: 0 on its ray
    fixed = rays * pose.translation[2] - pose.translation[:2] - system[..., 2] * face.points[:, 2:]
    return np.asarray(np.linalg.solve(system[..., :2], fixed[..., None])[..., 0])
