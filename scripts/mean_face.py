"""Fit the mean face in three dimensions and its triangles: mean_face.py DATA OUT.json

DATA holds 300w/, merlrav/ and wflw/. The package's own file is src/darkpose/derived/mean_face.json.

68 landmarks: factorisation of the annotated shapes of 300-W's training faces and of MERL-RAV's. Each face is the same
rigid shape seen by a camera without perspective (Tomasi, Kanade, IJCV 1992); cameras and shape are fitted in turn by
least squares, with weights of Student's t distribution, so that expressions count less. Every face counts mirrored,
too, which makes the shape symmetric. The contour of 300-W's faces that are turned by more than 12 degrees does not
count: it is annotated where it is seen, which is not the same point of the head. The first shape is the mean of our
drawn heads.

98 landmarks: those shared with the 68 are the same points. The others are fitted to the 310 faces of WFLW, by the
cameras that the shared ones give; the contour between shared points is interpolated. 19 landmarks: derived from the 68.

The unit is the distance of the outer corners of the eyes, the origin their middle, and the axes are those of
`darkpose.derived.rotation`. Pitch 0 is the median pitch of 300-W's training faces that look ahead.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay

from darkpose.datasets.head_model import head_landmarks, random_person
from darkpose.datasets.posed_faces import read_merlrav
from darkpose.datasets.sample import Sample
from darkpose.datasets.w300 import read_300w
from darkpose.datasets.wflw import read_wflw
from darkpose.derived.conversion import derivation
from darkpose.derived.rotation import cross_matrix, rotation_angles, rotation_matrix, small_rotation
from darkpose.files.atomic import write_text
from darkpose.files.json_text import format_json
from darkpose.image.geometry import Floats
from darkpose.schema import AFLW_19, W300_68, WFLW_98, KeypointSchema

MIRROR = np.diag([-1.0, 1.0, 1.0])
FREEDOM = 4.0  # of Student's t distribution
SMALLEST = 0.01  # spread of a landmark
TURNED = 12.0  # degrees of yaw beyond which a contour of 300-W does not count
PRIOR = 20.0  # faces that a derived landmark of WFLW counts for


def seen_by(
    shape: Floats, points: Floats, weights: Floats, rotations: Floats | None = None, steps: int = 4
) -> tuple[Floats, Floats, Floats, Floats]:
    """Cameras without perspective of faces (N, K, 2) of a shape (K, 3), by weighted least squares.

    Returns:
        Rotations (N, 3, 3), scales (N,), shifts (N, 2) and residuals (N, K, 2) in units of the shape.
    """
    rotations = first_rotations(shape, points, weights) if rotations is None else rotations
    for _ in range(steps):
        residuals = placed(shape, points, weights, rotations)[2]
        turned = np.einsum("nij,kj->nki", rotations, shape)
        jacobian = np.zeros((*points.shape, 6))
        jacobian[..., :3], jacobian[..., 3:5] = -cross_matrix(turned)[..., :2, :], np.eye(2)
        jacobian[..., 5] = turned[..., :2]
        normal = np.einsum("nk,nkci,nkcj->nij", weights, jacobian, jacobian) + 1e-9 * np.eye(6)
        change = np.linalg.solve(normal, np.einsum("nk,nkci,nkc->ni", weights, jacobian, residuals)[..., None])
        rotations = small_rotation(np.clip(change[:, :3, 0], -0.5, 0.5)) @ rotations
    return rotations, *placed(shape, points, weights, rotations)


def first_rotations(shape: Floats, points: Floats, weights: Floats) -> Floats:
    """The rotations nearest to the best affine cameras."""
    rows = np.column_stack([shape, np.ones(len(shape))])
    normal = np.einsum("nk,ki,kj->nij", weights, rows, rows) + 1e-9 * np.eye(4)
    affine = np.linalg.solve(normal, np.einsum("nk,ki,nkj->nij", weights, rows, points))[:, :3].transpose(0, 2, 1)
    left, _, right = np.linalg.svd(affine, full_matrices=False)
    first = left @ right
    return np.concatenate([first, np.cross(first[:, 0], first[:, 1])[:, None]], axis=1)


def placed(shape: Floats, points: Floats, weights: Floats, rotations: Floats) -> tuple[Floats, Floats, Floats]:
    """Scales, shifts and residuals for known rotations."""
    flat = np.einsum("nij,kj->nki", rotations[:, :2], shape)
    share = (weights / weights.sum(axis=1, keepdims=True))[..., None]
    middle, center = (share * flat).sum(axis=1), (share * points).sum(axis=1)
    across = flat - middle[:, None]
    scale = (share * across * (points - center[:, None])).sum((1, 2)) / (share * across**2).sum((1, 2))
    shift = center - scale[:, None] * middle
    return scale, shift, (points - shift[:, None]) / scale[:, None, None] - flat


def robust(residuals: Floats, counted: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Weights (N, K) of landmarks, and the variances (K,) along an axis, from residuals."""
    squares = (residuals**2).sum(axis=-1)
    weights = counted * (FREEDOM + 2) / (FREEDOM + squares / variance)
    return weights, np.maximum((weights * squares).sum(axis=0) / (2 * counted.sum(axis=0)), SMALLEST**2)


def normalised(shape: Floats, schema: KeypointSchema) -> Floats:
    """A symmetric shape with the eyes at their places."""
    shape = (shape + shape[schema.flip_index] @ MIRROR) / 2
    left, right = (shape[schema.index(f"{side}_eye_outer_corner")] for side in ("left", "right"))
    return np.asarray((shape - (left + right) / 2) / np.linalg.norm(right - left))


def upright(shape: Floats) -> Floats:
    """The shape of 68 turned so that the top of its nose is over the chin: keeps the axes while cameras change."""
    down = shape[W300_68.index("chin")] - shape[W300_68.index("nose_bridge_0")]
    return np.asarray(shape @ rotation_matrix(0, np.degrees(np.arctan2(down[2], down[1])), 0))


def factorise(points: Floats, seen: Floats, is_300w: NDArray[np.bool_], rounds: int = 40) -> tuple[Floats, Floats]:
    """The shape (68, 3) of faces (N, 68, 2), and the standard deviations (68,) of faces from it along an axis."""
    flip, contour = W300_68.flip_index, np.arange(17)
    shape, variance, rotations = upright(drawn_shape()), np.full(68, 0.05**2), None
    counted = weights = seen
    for _ in range(rounds):
        rotations, scale, shift, residuals = seen_by(shape, points, weights / variance, rotations)
        turned = is_300w & (np.abs(rotation_angles(rotations)[:, 0]) > TURNED)
        counted = seen.copy()
        counted[np.ix_(turned, contour)] = 0
        weights, variance = robust(residuals, counted, variance)
        variance = (variance + variance[flip]) / 2
        shape = upright(normalised(fitted(points, weights / variance, rotations, scale, shift, flip), W300_68))
    rotations, _, _, residuals = seen_by(shape, points, weights / variance, rotations)
    variance = robust(residuals, seen, variance)[1]  # with the contours, as of the faces that are met
    angles = rotation_angles(rotations)
    ahead = is_300w & (np.abs(angles[:, 0]) < TURNED)
    shape = normalised(shape @ rotation_matrix(0, float(np.median(angles[ahead, 1])), 0).T, W300_68)
    print(f"{len(points)} faces, residual {np.sqrt(np.mean(variance)):.4f}, pitch {np.median(angles[ahead, 1]):.1f}")
    return shape, np.sqrt((variance + variance[flip]) / 2)


def fitted(
    points: Floats, weights: Floats, rotations: Floats, scale: Floats, shift: Floats, flip: Any, prior: Any = 0.0
) -> Floats:
    """The symmetric shape (K, 3) that faces (N, K, 2) of known cameras show; `prior` adds to the normal equations."""
    seen, rows = (points - shift[:, None]) / scale[:, None, None], rotations[:, :2]
    normal = np.einsum("nk,nci,ncj->kij", weights, rows, rows)
    right = np.einsum("nk,nci,nkc->ki", weights, rows, seen)
    normal, right = normal + MIRROR @ normal[flip] @ MIRROR, right + right[flip] @ MIRROR
    if np.ndim(prior):
        strength = weights.sum(axis=0).max() / len(points) * PRIOR
        normal, right = normal + strength * np.eye(3), right + strength * prior
    return np.asarray(np.linalg.solve(normal, right[..., None])[..., 0])


def drawn_shape() -> Floats:
    """The mean of drawn heads, as 68 landmarks; brows and lids are those of nearly the same place."""
    heads = [head_landmarks(random_person(np.random.default_rng(i), expression=False), 0.0) for i in range(100)]
    mean = np.mean(heads, axis=0) * [1, 1, -1]
    shape = derivation(WFLW_98, W300_68) @ mean
    for row, name in enumerate(W300_68.names):
        if not shape[row].any():
            shape[row] = mean[WFLW_98.index(name)]
    return normalised(shape, W300_68)


def of_wflw(shape: Floats, spread: Floats, points: Floats) -> tuple[Floats, Floats]:
    """The shape (98, 3) and its spread, from those of 68 landmarks and faces (N, 98, 2)."""
    to_98, to_68, flip = derivation(W300_68, WFLW_98), derivation(WFLW_98, W300_68), WFLW_98.flip_index
    shared = to_68.any(axis=1)
    faces = np.einsum("lk,nkc->nlc", to_68, points)[:, shared]
    variance, weights = spread[shared] ** 2, np.ones(faces.shape[:2])
    for _ in range(5):
        cameras = seen_by(shape[shared], faces, weights / variance, steps=8)
        weights, _ = robust(cameras[3], np.ones_like(weights), variance)
    derived = to_98 @ shape
    known = (to_98 == 1).any(axis=1) | np.array(["contour" in name for name in WFLW_98.names])
    found, variance, weights = derived, np.full(98, 0.05**2), np.ones(points.shape[:2])
    for _ in range(10):
        new = fitted(points, weights / variance, *cameras[:3], flip, derived)
        found = np.where(known[:, None], derived, new)
        flat = np.einsum("nij,kj->nki", cameras[0][:, :2], found)
        residuals = (points - cameras[2][:, None]) / cameras[1][:, None, None] - flat
        weights, variance = robust(residuals, np.ones_like(weights), variance)
    return normalised(found, WFLW_98), np.sqrt((variance + variance[flip]) / 2)


def triangulate(shape: Floats, schema: KeypointSchema) -> list[list[int]]:
    """Triangles over the face inside its contour and brows, clockwise on the screen; symmetric, each place once.

    The left half is a Delaunay triangulation, the right half its mirror image; the triangles between the brows are
    symmetric themselves.
    """
    flip, flat = schema.flip_index, shape[:, :2]
    names = {name: i for i, name in enumerate(schema.names)}
    contour = [i for i, name in enumerate(schema.names) if name.startswith("left_contour") or name == "chin"]
    half = [i for i in range(len(flat)) if flat[i, 0] <= 1e-9]
    middle = sorted((i for i in half if flip[i] == i), key=lambda i: -flat[i, 1])
    brow = [names[f"left_brow_{i}"] for i in range(4, -1, -1)]
    outline = [*contour, *middle[1:], *([names["left_brow_5"]] if schema is WFLW_98 else []), *brow]
    triangles = [[half[i] for i in each] for each in Delaunay(flat[half]).simplices]
    triangles = [clockwise(flat, each) for each in triangles if inside(flat[outline], flat[each].mean(axis=0))]
    missing = abs(area(flat[outline])) - sum(abs(area(flat[each])) for each in triangles)
    assert abs(missing) < 1e-9, f"the triangles of {schema.name} do not fill the half: {missing}"
    top = outline[len(contour) + len(middle) - 1]  # the inner end of the brow, next to the nose
    between = clockwise(flat, [top, int(flip[top]), middle[-1]])
    mirrored = [clockwise(flat, [int(flip[i]) for i in each]) for each in triangles]
    return [*triangles, *mirrored, between]


def area(polygon: Floats) -> float:
    """The area of a polygon (N, 2), positive if it is clockwise on the screen."""
    x, y = polygon.T
    return float(0.5 * (x @ np.roll(y, -1) - y @ np.roll(x, -1)))


def clockwise(flat: Floats, triangle: list[int]) -> list[int]:
    """A triangle of points (K, 2), clockwise on the screen."""
    return list(triangle) if area(flat[triangle]) > 0 else [triangle[0], triangle[2], triangle[1]]


def inside(polygon: Floats, point: Floats) -> bool:
    """Whether a point is inside a polygon: an odd number of its edges lie to the right."""
    a, b = polygon, np.roll(polygon, -1, axis=0)
    crosses = (a[:, 1] > point[1]) != (b[:, 1] > point[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        x = a[:, 0] + (point[1] - a[:, 1]) / (b[:, 1] - a[:, 1]) * (b[:, 0] - a[:, 0])
    return bool(np.sum(crosses & (x > point[0])) % 2)


def main(data: Path, out: Path) -> None:
    """Fit and write."""
    w300, posed = read_300w(data / "300w"), read_merlrav(data / "merlrav", "train")
    wflw = read_wflw(data / "wflw", "test")
    faces: list[Sample] = [*w300, *posed]
    points, seen = (np.stack([getattr(face, name) for face in faces]) for name in ("keypoints", "visible"))
    shape, spread = factorise(points, (seen > 0).astype(float), np.arange(len(faces)) < len(w300))
    to_19 = derivation(W300_68, AFLW_19)
    whole = np.stack([face.keypoints for face in wflw])
    shapes = {
        W300_68: (shape, spread),
        WFLW_98: of_wflw(shape, spread, whole),
        AFLW_19: (to_19 @ shape, np.sqrt(to_19**2 @ spread**2)),
    }
    values = {
        schema.name: {
            "points": np.round(normalised(mean, schema), 4).tolist(),
            "spread": np.round(deviation, 4).tolist(),
            "triangles": [] if schema is AFLW_19 else triangulate(mean, schema),
        }
        for schema, (mean, deviation) in shapes.items()
    }
    made_of = (
        f"scripts/mean_face.py: {len(w300)} training faces of 300-W, {len(posed)} of MERL-RAV, and for 98 landmarks "
        f"{len(wflw)} faces of WFLW's test set, all mirrored, too; a mean, with no face of a single person"
    )
    write_text(out, format_json({"made_of": made_of, "faces": values}) + "\n")
    print(f"{out}: {out.stat().st_size / 1000:.0f} kB; {made_of}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
