"""The average face of image files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from darkpose.derived.warp import average_face, average_shape, mesh
from darkpose.errors import DarkposeError
from darkpose.image.geometry import Floats
from darkpose.image.pixels import Pixels, read_image
from darkpose.predict.derived_values import pose_in
from darkpose.predict.face import Face
from darkpose.predict.files import predict_files
from darkpose.predict.inputs import Input
from darkpose.predict.predictor import Predictor

MOST_TURNED = 40.0  # degrees of yaw; of a head that is turned further, too little of one side is seen


@dataclass(frozen=True, eq=False)
class Average:
    """The average of faces.

    Attributes:
        image: (size, size, 3) uint8 RGB.
        shape: (K, 2), its landmarks, px.
        faces: how many it is made of.
        left_out: why other images are not in it, a sentence each.
    """

    image: Pixels
    shape: Floats
    faces: int
    left_out: tuple[str, ...]


def average_of(predictor: Predictor, inputs: Sequence[Input], size: int) -> Average:
    """Average the first face of each image, the one that the detector is surest of.

    Images are read twice, one at a time: for the landmarks, and for the average.

    Args:
        predictor: finds the landmarks, in a schema with a mesh.
        inputs: the images.
        size: width and height of the average, px.

    Raises:
        DarkposeError: the schema has no mesh, or no face can be used.
    """
    mesh(predictor.schema)
    used: list[tuple[Input, Floats]] = []
    left_out: list[str] = []
    for item, outcome in zip(inputs, predict_files(predictor, inputs), strict=True):
        found = outcome.result
        problem = outcome.problem or (_problem(found.faces[0], found.size) if found else "")
        if problem or found is None:
            left_out.append(problem.removeprefix(f"{item.path}: "))
            left_out[-1] = f"{item.path}: {left_out[-1]}"
        else:
            used.append((item, np.asarray(found.faces[0].keypoints, np.float64)))
    if not used:
        raise DarkposeError(f"none of {len(left_out)} images has a face that can be averaged: {left_out[0]}")
    shape = average_shape([points for _, points in used], predictor.schema, size)

    def pictures() -> Iterator[tuple[Pixels, Floats]]:
        for item, points in used:
            yield read_image(item.path), points

    return Average(average_face(pictures(), shape, predictor.schema, size), shape, len(used), tuple(left_out))


def _problem(face: Face, size: tuple[int, int]) -> str:
    """Why a face cannot be averaged; empty: it can."""
    pose = pose_in(face, size)
    if not pose.problem and abs(pose.yaw) > MOST_TURNED:
        return f"the head is turned by {abs(pose.yaw):.0f} degrees, of at most {MOST_TURNED:.0f}"
    return pose.problem
