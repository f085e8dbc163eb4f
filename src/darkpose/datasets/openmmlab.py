"""JSON files of OpenMMLab for AFLW, WFLW, 300-W and COFW: the format of COCO with `center`, `scale` and `box_size`.

The crop follows from `center` and `scale`: its side before padding is 200 * scale. `bbox` is another, wider box, which
is cut off in places. Coordinates are used unchanged, the centre of the first pixel at (0, 0).
"""

from pathlib import Path

import numpy as np

from darkpose.datasets.coco import Annotation, box_of, faces, image_of, keypoints_of, numbers_of, read_coco
from darkpose.datasets.reading import checked_box, read_each
from darkpose.datasets.sample import Sample
from darkpose.image.geometry import PIXEL_STD, Floats
from darkpose.schema import KeypointSchema


def read_openmmlab(
    file: Path, images: Path, schema: KeypointSchema, *, broken: list[str] | None = None
) -> list[Sample]:
    """Read the faces of a file in the order of the reference: by image as listed, then by annotation.

    The box is the square of `center` and `scale`, or `bbox` if a face lacks them (COFW), as in the reference.
    `box_size` is read if it is given (AFLW); it is only the NME normaliser. Crowds and annotations without keypoints
    are skipped; a missing `iscrowd`, at which the reference stops, counts as 0. Subsets are separate files, so samples
    name none.

    Args:
        file: for example face_landmarks_wflw_test.json.
        images: the folder of the images.
        schema: of the file, for example WFLW_98.
        broken: collects the messages of faces that cannot be read; None: the first one raises.

    Raises:
        DarkposeError: the file is missing or has another format, or a face cannot be read (the annotation is named).
    """

    def read(face: Annotation) -> Sample:
        keypoints, visible = keypoints_of(face, len(schema))
        size = float(numbers_of(face, "box_size", ())) if "box_size" in face.fields else None
        return Sample(image_of(face), keypoints, visible, _box(face), box_size=size, source=face.where)

    return read_each(file, faces(read_coco(file), file, images), read, broken)


def _box(face: Annotation) -> Floats:
    """The box of the crop in the reference, before padding."""
    if "center" not in face.fields or "scale" not in face.fields:
        return box_of(face)
    center = numbers_of(face, "center", (2,))
    half = numbers_of(face, "scale", ()) * PIXEL_STD / 2
    return checked_box(np.concatenate([center - half, center + half]), face.where)
