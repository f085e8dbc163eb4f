"""One annotated clip of a data set: a face in every frame of a video, or of a folder of images."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from darkpose.errors import DarkposeError
from darkpose.image.geometry import Floats
from darkpose.schema import KeypointSchema


@dataclass(frozen=True, eq=False)
class AnnotatedClip:
    """The annotation of a clip with one face. Its frames are not read.

    Attributes:
        name: of the clip in its data set.
        frames: path of the video, or of a folder with an image per frame, in the order of their names.
        keypoints: (T, K, 2) float64 image px, the centre of the first pixel at (0, 0); a row per frame, from the first.
        schema: of the landmarks.
        subset: of the data set that contains it.
        boxes: (T, 4) float64 x0, y0, x1, y1 image px, if the data set has boxes.

    Raises:
        DarkposeError: a shape is wrong, or a landmark or a box is not finite.
    """

    name: str
    frames: Path
    keypoints: Floats
    schema: KeypointSchema
    subset: str
    boxes: Floats | None = None

    def __post_init__(self) -> None:
        count = len(self.keypoints)
        if self.keypoints.shape != (count, len(self.schema), 2) or not count:
            raise DarkposeError(
                f"clip {self.name}: expected landmarks (T, {len(self.schema)}, 2), got {self.keypoints.shape}"
            )
        if self.boxes is not None and self.boxes.shape != (count, 4):
            raise DarkposeError(f"clip {self.name}: expected a box for each of {count} frames, got {self.boxes.shape}")
        for values in (self.keypoints, self.boxes):
            if values is not None and not np.isfinite(values).all():
                raise DarkposeError(f"clip {self.name}: a landmark or a box is not a finite number")
