"""Pack the training faces into a few megabytes for another machine: pack.py DATA OUT

DATA holds 300w/ and wflw/. OUT gets the files that training and validation read (300-W's training set, LFPW's test set,
the faces of WFLW's test list). Images are shrunk until boxes are as large as in a crop, black outside all training
crops, and stored as WebP of quality 78 under their old names (readers go by the content), with scaled landmarks. For
training only; results are measured on the original images.
"""

import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from darkpose.datasets.sample import Sample
from darkpose.datasets.w300 import LFPW_TEST_FOLDERS, TRAIN_FOLDERS, read_300w
from darkpose.datasets.wflw import SUBSETS, read_wflw
from darkpose.files.pts import format_pts
from darkpose.image.geometry import PADDING, resize_points
from darkpose.image.opencv import cv2
from darkpose.image.pixels import Pixels, read_image

SIDE, REACH, QUALITY = 256 / PADDING, 2.1, 78
LIST = "WFLW_annotations/list_98pt_rect_attr_train_test/list_98pt_rect_attr_test.txt"


def shrunk(image: Pixels, faces: list[Sample]) -> Pixels:
    """Black out an image (H, W, 3) far from its faces, and shrink it."""
    seen = np.zeros_like(image)
    longest = []
    for face in faces:
        low, high = face.box.reshape(2, 2)
        longest.append(float((high - low).max()))
        middle, reach = (low + high) / 2, REACH * longest[-1] / 2
        left, top = np.maximum(middle - reach, 0).astype(int)
        right, bottom = np.ceil(middle + reach).astype(int) + 1
        seen[top:bottom, left:right] = image[top:bottom, left:right]
    factor = min(1.0, SIDE / min(longest))
    size = tuple(max(1, round(side * factor)) for side in image.shape[1::-1])
    return np.asarray(cv2.resize(seen, size, interpolation=cv2.INTER_AREA), np.uint8)


def pack_image(file: Path, faces: list[Sample], out: Path) -> list[np.ndarray]:
    """Write a shrunk image; returns the landmarks (K, 2) of its faces in px."""
    image = read_image(file)
    small = shrunk(image, faces)
    _, data = cv2.imencode(".webp", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(data.tobytes())
    ratio = np.array(small.shape[1::-1]) / image.shape[1::-1]
    return [resize_points(face.keypoints, ratio) for face in faces]


def main(data: Path, out: Path) -> None:
    """Write both data sets."""
    with ThreadPoolExecutor(2) as pool:
        w300 = read_300w(data / "300w", (*TRAIN_FOLDERS, *LFPW_TEST_FOLDERS))
        targets = [out / "300w" / face.image.relative_to(data / "300w") for face in w300]
        found = pool.map(lambda pair: pack_image(pair[0].image, [pair[0]], pair[1]), zip(w300, targets, strict=True))
        for target, (points,) in zip(targets, found, strict=True):
            target.with_suffix(".pts").write_text(format_pts(points))
        faces: dict[Path, list[Sample]] = defaultdict(list)
        wflw = read_wflw(data / "wflw")
        for face in wflw:
            faces[face.image].append(face)
        images = data / "wflw" / "WFLW_images"
        packed = pool.map(
            lambda file: pack_image(file, faces[file], out / "wflw" / "WFLW_images" / file.relative_to(images)), faces
        )
        places = {
            id(face): kp
            for file, kps in zip(faces, packed, strict=True)
            for face, kp in zip(faces[file], kps, strict=True)
        }
    lines = []
    for face in wflw:
        points = places[id(face)]
        flags = [int(subset in face.subsets) for subset in SUBSETS]
        numbers = [f"{value:.4f}" for value in (*points.ravel(), *points.min(0), *points.max(0))]
        lines.append(" ".join([*numbers, *map(str, flags), str(face.image.relative_to(images))]))
    (out / "wflw" / LIST).parent.mkdir(parents=True, exist_ok=True)
    (out / "wflw" / LIST).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
