"""One face with its landmarks."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from darkpose.derived.alignment import Alignment, align, checked_margin
from darkpose.derived.conversion import Converted, convert
from darkpose.derived.five_points import five_points
from darkpose.derived.openness import Openness, openness
from darkpose.derived.pose import Camera, Pose, assumed_camera, head_pose
from darkpose.errors import DarkposeError
from darkpose.image.geometry import Floats, align_eyes, with_margin
from darkpose.image.pixels import Pixels, warp_image
from darkpose.schema import SCHEMAS, KeypointSchema

RELIABLE = 0.5  # mean score


@dataclass(frozen=True, eq=False)
class Face:
    """Landmarks of one face.

    Attributes:
        keypoints: (K, 2) float32, image px, first pixel's centre at (0, 0).
        scores: (K,) float32, the heatmaps' maxima: near 1 where the network is sure; not a probability.
        box: (4,) float64 x0, y0, x1, y1, image px: as given or as detected.
        schema: of the landmarks; `face["left_eye_outer_corner"]` finds a landmark by its name.
        found_by: the detector's name, or "given".
        detection_score: the detector's own score; NaN for a given box.
        image: the picture the face is in, (H, W, 3) uint8 RGB.
        covariance: (K, 2, 2) float32, image px^2: of the error of each landmark, calibrated (see `covariance`);
            NaN where it is not known; None if not asked for.
        runtime: what ran the network: "onnxruntime", "openvino" or "torch".
        rolled: degrees, 0 to 359, by which the crop was turned counter-clockwise for an upright face: by the roll that
            darkpose's detector gives, or by quarters where the scores of other detectors' faces are low (see
            `predict.turned`).
        track: number of the face in a clip (see `video.tracker`); None outside of one.
    """

    keypoints: NDArray[np.float32]
    scores: NDArray[np.float32]
    box: NDArray[np.float64]
    schema: KeypointSchema
    found_by: str = "given"
    detection_score: float = float("nan")
    image: Pixels | None = field(default=None, repr=False)
    covariance: NDArray[np.float32] | None = field(default=None, repr=False)
    runtime: str = ""
    rolled: int = 0
    track: int | None = None

    __iter__ = None  # a face is no sequence, though its landmarks have names

    @property
    def score(self) -> float:
        """Mean of the landmarks' scores."""
        return float(self.scores.mean())

    @property
    def is_reliable(self) -> bool:
        """Whether the mean score is at least 0.5: below, landmarks are likely to be wrong (see docs/experiments.md)."""
        return self.score >= RELIABLE

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        """(x, y) of a landmark in image px; raises DarkposeError if the schema has no such name."""
        if not isinstance(name, str):
            raise TypeError(f"a landmark is reached by its name or as face.keypoints[{name!r}]")
        return np.asarray(self.keypoints[self.schema.index(name)])

    @property
    def five_points(self) -> Floats:
        """Eyes, tip of the nose and corners of the mouth (5, 2), image px: see `derived.five_points`.

        Raises:
            DarkposeError: the schema lacks one of them.
        """
        return five_points(self.keypoints, self.schema)

    def pose(self, camera: Camera | None = None) -> Pose:
        """How the head is turned and where it is, with standard errors if the face has covariances.

        Args:
            camera: that took the image; None: see `derived.pose.assumed_camera`.

        Returns:
            The pose; where it cannot be known, NaN with a `problem`.

        Raises:
            DarkposeError: there is no camera and the face is without its image.
        """
        if self.score < RELIABLE:
            return Pose(problem=f"the landmarks are not reliable: their mean score is {self.score:.2f}")
        return head_pose(self.keypoints, self.schema, self._camera(camera), self.covariance)

    def openness(self, camera: Camera | None = None) -> Openness:
        """How far eyes and mouth are open, and how high the brows are; arguments and errors as for `pose`."""
        camera = self._camera(camera)
        return openness(self.keypoints, self.schema, camera, self.pose(camera))

    def _camera(self, camera: Camera | None) -> Camera:
        if camera is not None:
            return camera
        if self.image is None:
            raise DarkposeError("this face has no image, so its size is not known: give the camera")
        return assumed_camera(self.keypoints, self.schema, (self.image.shape[1], self.image.shape[0]))

    def converted(self, schema: str | KeypointSchema) -> Converted:
        """The landmarks in another schema, and which of them are the same points; the others are derived.

        Raises:
            DarkposeError: the schema is unknown, or there is no derivation for it.
        """
        if isinstance(schema, str) and schema not in SCHEMAS:
            raise DarkposeError(f"expected one of the schemas {', '.join(SCHEMAS)}, got {schema!r}")
        return convert(self.keypoints, self.schema, SCHEMAS[schema] if isinstance(schema, str) else schema)

    def alignment(self, template: int | str = 256, margin: float = 0.0) -> Alignment:
        """The matrix from image px to the crop of `aligned`, and its size; arguments and errors as there."""
        if isinstance(template, str):
            return align(self.five_points, template, margin)
        if not isinstance(template, int | np.integer) or isinstance(template, bool) or template < 1:
            raise DarkposeError(f"size must be a positive whole number of pixels, got {template!r}")
        left, right = self.schema.left_eye, self.schema.right_eye
        if not left or not right:
            raise DarkposeError(f"the schema {self.schema.name} does not name the eyes")
        centres = [self.keypoints[list(eye)].mean(axis=0) for eye in (left, right)]
        size = int(template)
        matrix = align_eyes(centres[0], centres[1], size)
        return Alignment(with_margin(matrix, size, checked_margin(margin)), size)

    def aligned(self, template: int | str = 256, margin: float = 0.0) -> Pixels:
        """Upright crop (size, size, 3) uint8 RGB.

        Args:
            template: "arcface" or "ffhq", or with a size in px, "arcface-112": the five points are brought nearest to
                the published ones. A number: the size; both eye centres are at 35 % and 65 % of the width.
            margin: share of the side of the crop that it shows more on each side, at the same size in px.

        Raises:
            DarkposeError: the schema has no eyes or not the five points, they are not known, the face is without its
                image, or the template, the size or the margin is none.
        """
        found = self.alignment(template, margin)
        if self.image is None:
            raise DarkposeError("this face has no image, so it cannot be cut out")
        return warp_image(self.image, found.matrix, (found.size, found.size))


def aligned_crops(faces: Sequence[Face], template: int | str = 256, margin: float = 0.0) -> tuple[Pixels, Floats]:
    """The aligned crops (N, size, size, 3) of faces, and the matrices (N, 2, 3) from image px to crop px.

    Arguments and errors as for `Face.aligned`; there must be a face.
    """
    if not faces:
        raise DarkposeError("there is no face to cut out")
    crops = [face.aligned(template, margin) for face in faces]
    return np.stack(crops), np.stack([face.alignment(template, margin).matrix for face in faces])
