"""One face with its landmarks."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from darkpose.errors import DarkposeError
from darkpose.image.geometry import align_eyes
from darkpose.image.pixels import Pixels, warp_image
from darkpose.schema import KeypointSchema

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

    def aligned(self, size: int = 256) -> Pixels:
        """Upright crop (size, size, 3) uint8 RGB with both eye centres at fixed places (35 % and 65 % of the width).

        Raises:
            DarkposeError: the schema has no eyes, the face is without its image, or `size` is no positive number.
        """
        if not isinstance(size, int | np.integer) or isinstance(size, bool) or size < 1:
            raise DarkposeError(f"size must be a positive whole number of pixels, got {size!r}")
        left, right = self.schema.left_eye, self.schema.right_eye
        if not left or not right:
            raise DarkposeError(f"the schema {self.schema.name} does not name the eyes")
        if self.image is None:
            raise DarkposeError("this face has no image, so it cannot be cut out")
        centres = [self.keypoints[list(eye)].mean(axis=0) for eye in (left, right)]
        return warp_image(self.image, align_eyes(centres[0], centres[1], int(size)), (int(size), int(size)))
