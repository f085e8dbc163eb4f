"""OpenMMLab's JSON files of AFLW, WFLW, 300-W and COFW: COCO's form with `center`, `scale` and `box_size`.

`center` and `scale` decide the crop, not `bbox`: the crop's side before padding is 200 * scale. In the published files
`bbox` is another, wider box, in places cut off. Coordinates are used as they are, the first pixel's centre at (0, 0).
"""

from pathlib import Path

import numpy as np

from darkpose.datasets.coco import Annotation, box_of, faces, image_of, keypoints_of, numbers_of, read_json
from darkpose.datasets.reading import Floats, checked_box, read_each
from darkpose.datasets.sample import Sample
from darkpose.image.geometry import PIXEL_STD
from darkpose.schema import KeypointSchema


def read_openmmlab(
    file: Path, images: Path, schema: KeypointSchema, *, broken: list[str] | None = None
) -> list[Sample]:
    """The faces of one of OpenMMLab's files, in the reference's order: image by image as listed, then as annotated.

    The box is the square of `center` and `scale`; where a face lacks them (COFW), its `bbox`, as in the reference.
    `box_size` is read where it is given (AFLW); it is the NME normaliser only. Crowds and annotations without any
    keypoint are dropped; a missing `iscrowd` counts as 0, where the reference's reader stops. Subsets are files of
    their own there, so samples name none.

    Args:
        file: for example face_landmarks_wflw_test.json.
        images: the folder below which the images lie.
        schema: the markup of the file, for example WFLW_98.
        broken: given a list, faces that cannot be read add their messages to it instead of raising.

    Raises:
        DarkposeError: the file is missing or not of that form, or a face cannot be read (its annotation is named).
    """

    def read(face: Annotation) -> Sample:
        keypoints, visible = keypoints_of(face, len(schema))
        size = float(numbers_of(face, "box_size", ())) if "box_size" in face.fields else None
        return Sample(image_of(face), keypoints, visible, _box(face), box_size=size, source=face.where)

    return read_each(file, faces(read_json(file), file, images), read, broken)


def _box(face: Annotation) -> Floats:
    """What the reference cuts the crop around, before padding."""
    if "center" not in face.fields or "scale" not in face.fields:
        return box_of(face)
    center = numbers_of(face, "center", (2,))
    half = numbers_of(face, "scale", ()) * PIXEL_STD / 2
    return checked_box(np.concatenate([center - half, center + half]), face.where)
