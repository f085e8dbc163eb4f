"""Face detectors side by side: detection.py DATA VALIDATION [COUNT]

DATA holds `wider` (WIDER FACE with boxes.jsonl) and YuNet's file; VALIDATION is the list of pictures that the detector
was not trained on (validation.json of scripts/train_face_detector.py), COUNT limits their number.

A box has found a face if it overlaps the annotated box by at least 0.4 (intersection over union). Faces below 32 px of
the original picture (longer side of the box) and those that WIDER calls invalid are neither asked for nor wrong.
Writes benchmarks/results/detection.json.
"""

import json
import random
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from darkpose.datasets.face_boxes import BoxedPicture, read_wider
from darkpose.deploy.machine import made_with
from darkpose.detect.detector import Detector
from darkpose.detect.face_detector import FaceDetector
from darkpose.detect.haar import Haar
from darkpose.detect.yunet import YuNet
from darkpose.evaluation.detection import ImageResult, detection_errors
from darkpose.image.geometry import Floats, transform
from darkpose.image.opencv import cv2, use_one_thread
from darkpose.image.pixels import Pixels, read_image, relight, resized, warp_image
from darkpose.runtime.open import Engine

OUT = Path(__file__).parent / "results" / "detection.json"
SMALLEST = 32  # px of the original picture
SIZES = ((12, 24), (24, 48), (48, 96), (96, 1e9))  # px of the stored picture, longer side of the box
ANGLES = range(0, 360, 15)
FALSE = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # faces a picture, of the curve


def turned(image: Pixels, boxes: Floats, degrees: float) -> tuple[Pixels, Floats]:
    """A picture turned clockwise on a larger black canvas, and upright boxes around the ellipses in its boxes."""
    angle, (height, width) = np.deg2rad(degrees), image.shape[:2]
    linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    size = np.ceil(np.abs(linear) @ [width, height]).astype(int)
    matrix = np.column_stack([linear, (size - 1) / 2 - linear @ [(width - 1) / 2, (height - 1) / 2]])
    centers, sides = transform(matrix, (boxes[:, :2] + boxes[:, 2:]) / 2), boxes[:, 2:] - boxes[:, :2]
    half = np.hypot(sides * linear[0, 0], sides[:, ::-1] * linear[1, 0]) / 2
    return warp_image(image, matrix, (int(size[0]), int(size[1]))), np.concatenate([centers - half, centers + half], 1)


def mirrored(image: Pixels, boxes: Floats) -> tuple[Pixels, Floats]:
    """A picture mirrored."""
    last = image.shape[1] - 1
    return np.ascontiguousarray(image[:, ::-1]), np.column_stack(
        [last - boxes[:, 2], boxes[:, 1], last - boxes[:, 0], boxes[:, 3]]
    )


CHANGES: Mapping[str, Callable[[Pixels, Floats], tuple[Pixels, Floats]]] = {
    "mirrored": mirrored,
    "grey": lambda image, boxes: (relight(image, 1.0, [1.0] * 3, grey=True), boxes),
    "dark": lambda image, boxes: (relight(image, 1.0, [0.15] * 3), boxes),
    "half": lambda image, boxes: (resized(image, (image.shape[1] // 2, image.shape[0] // 2)), boxes / 2),
}


def detectors(data: Path) -> dict[str, Detector]:
    """Those compared, each in one thread and with a low threshold."""
    return {
        "darkpose": FaceDetector(engine=Engine("onnxruntime", threads=1), threshold=0.02),
        "yunet": YuNet(data / "yunet_n_320_320.onnx", threshold=0.02),
        "haar": Haar(),
    }


def asked_for(picture: BoxedPicture) -> np.ndarray[Any, Any]:
    """(M,) faces that are to be found."""
    sides = (picture.boxes[:, 2:] - picture.boxes[:, :2]).max(axis=1, initial=0)
    return np.asarray((sides * picture.original_width / picture.width >= SMALLEST) & (picture.flag("invalid") == 0))


def summary(results: list[ImageResult]) -> dict[str, Any]:
    """Average precision and recall in per cent."""
    errors = detection_errors(results)
    return {
        "faces": errors.faces,
        "average_precision": round(100 * errors.average_precision(), 1),
        "recall_by_false_an_image": {str(each): round(100 * errors.recall_at(each), 1) for each in FALSE},
        "score_at_0.1_false_an_image": round(errors.score_at(0.1), 3),
    }


def run(
    detector: Detector, pictures: list[BoxedPicture], change: Callable[[Pixels, Floats], tuple[Pixels, Floats]]
) -> list[ImageResult]:
    """Detections in changed pictures."""
    found = []
    for picture in pictures:
        image, boxes = change(read_image(picture.image), picture.boxes)
        each = detector(image)
        found.append(ImageResult(each.boxes, each.scores, boxes, ~asked_for(picture)))
    return found


def by_kind(results: list[ImageResult], pictures: list[BoxedPicture], lowest: float) -> dict[str, Any]:
    """Recall in per cent of the kinds of faces at a score."""
    kinds: dict[str, list[bool]] = {}
    for result, picture in zip(results, pictures, strict=True):
        sure = result.scores >= lowest
        sides = (picture.boxes[:, 2:] - picture.boxes[:, :2]).max(axis=1, initial=0)
        for index in np.flatnonzero(picture.flag("invalid") == 0):
            alone = np.ones(len(picture.boxes), bool)
            alone[index] = False
            one = ImageResult(result.boxes[sure], result.scores[sure], picture.boxes, alone)
            hit = bool(detection_errors([one]).hits.any())
            size = next((f"{low} to {high:g} px" for low, high in SIZES if low <= sides[index] < high), None)
            names = [] if size is None else [size.replace("to 1e+09", "or more")]
            if sides[index] * picture.original_width / picture.width >= SMALLEST:
                names += [f"{flag} {getattr(picture.faces[index], flag)}" for flag in ("occlusion", "blur", "pose")]
                left, top, right, _ = picture.boxes[index]
                names += ["at the border"] if min(left, top) < 2 or right > picture.width - 2 else []
            for name in names:
                kinds.setdefault(name, []).append(hit)
    return {name: {"faces": len(hits), "recall": round(100 * np.mean(hits), 1)} for name, hits in sorted(kinds.items())}


def seconds(found_by: Mapping[str, Detector], pictures: list[BoxedPicture]) -> dict[str, float]:
    """CPU ms of one thread for a picture of 640x640 px, medians, detectors in turn."""
    use_one_thread()
    images = [resized(read_image(picture.image), (640, 640)) for picture in pictures[:12]]
    times: dict[str, list[float]] = {name: [] for name in found_by}
    for _ in range(3):
        for image in images:
            for name, detector in found_by.items():
                began = time.process_time()
                detector(image)
                times[name].append(time.process_time() - began)
    cv2.setNumThreads(-1)
    return {name: round(1000 * float(np.median(each)), 1) for name, each in times.items()}


def main(data: Path, validation: Path, count: int | None = None) -> None:
    """Measure, print and write."""
    names = set(json.loads(validation.read_text()))
    pictures = [picture for picture in read_wider(data / "wider") if picture.image.name in names]
    random.Random(0).shuffle(pictures)
    pictures, found_by = pictures[:count], detectors(data)
    content: dict[str, Any] = {**made_with(), "method": __doc__, "pictures": len(pictures), "detectors": {}}
    content["cpu_ms_640x640_one_thread"] = seconds(found_by, pictures)
    for name, detector in tqdm(found_by.items()):
        upright = run(detector, pictures, lambda image, boxes: (image, boxes))
        row: dict[str, Any] = {"upright": summary(upright)}
        row["kinds"] = by_kind(upright, pictures, row["upright"]["score_at_0.1_false_an_image"])
        row |= {change: summary(run(detector, pictures, each)) for change, each in CHANGES.items()}
        angles = ANGLES if name != "haar" else range(0, 360, 90)
        row["turned"] = {
            str(degrees): summary(run(detector, pictures, lambda image, boxes, d=degrees: turned(image, boxes, d)))  # type: ignore[misc]
            for degrees in angles
        }
        content["detectors"][name] = row
        print(name, row["upright"], {a: each["average_precision"] for a, each in row["turned"].items()}, flush=True)
    OUT.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:4]))
