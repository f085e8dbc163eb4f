"""Landmarks of faces by another package, in its environment: peer_worker.py mediapipe|dlib FACES.json OUT.npz

FACES.json lists pictures with boxes of faces, and for dlib perhaps "given", the box to use. OUT.npz gets `points`
(N, K, 2) image px, NaN where there are none, `boxes` (N, 4) that were found, and the `milliseconds` of the median face.
"""

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

LARGER = (1.5, 2.5)  # than the box: the pictures in which a face is looked for, one after the other
Found = tuple[NDArray[np.float64], NDArray[np.float64]]  # points (K, 2) and box (4,)


def mediapipe_finder() -> Callable[[NDArray[np.uint8], None], list[Found]]:
    """Its mesh of 478 points, irises and lips refined, one still picture at a time."""
    import mediapipe

    mesh = mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=True, max_num_faces=4, refine_landmarks=True)

    def find(crop: NDArray[np.uint8], _: None) -> list[Found]:
        faces = mesh.process(crop).multi_face_landmarks or []
        meshes = [np.array([[p.x, p.y] for p in face.landmark]) * crop.shape[1::-1] - 0.5 for face in faces]
        return [(points, np.concatenate([points.min(axis=0), points.max(axis=0)])) for points in meshes]

    return find


def dlib_finder() -> Callable[[NDArray[np.uint8], NDArray[np.float64] | None], list[Found]]:
    """Its 68 landmarks in boxes of its own detector, or in one that is given."""
    import dlib
    import face_recognition_models

    predict = dlib.shape_predictor(face_recognition_models.pose_predictor_model_location())
    detect = dlib.get_frontal_face_detector()

    def find(crop: NDArray[np.uint8], given: NDArray[np.float64] | None) -> list[Found]:
        boxes = detect(crop, 1) if given is None else [dlib.rectangle(*np.round(given).astype(int).tolist())]
        found = []
        for box in boxes:
            points = np.array([[p.x, p.y] for p in predict(crop, box).parts()], np.float64)
            found.append((points, np.array([box.left(), box.top(), box.right(), box.bottom()], np.float64)))
        return found

    return find


def main(package: str, faces_file: Path, out: Path) -> None:
    """Find, face by face."""
    finder: Any = {"mediapipe": mediapipe_finder, "dlib": dlib_finder}[package]()
    every: list[Found | None] = []
    times = []
    for face in json.loads(faces_file.read_text()):
        image = cv2.cvtColor(np.asarray(cv2.imread(face["image"])), cv2.COLOR_BGR2RGB)
        x0, y0, x1, y1 = face["box"]
        middle, side = np.array([x0 + x1, y0 + y1]) / 2, max(x1 - x0, y1 - y0)
        best = None
        for larger in LARGER:
            low = np.maximum(np.floor(middle - larger * side / 2), 0).astype(int)
            high = np.ceil(middle + larger * side / 2).astype(int)
            crop = np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]])
            given = None if face.get("given") is None else np.array(face["given"]) - np.tile(low, 2)
            began = time.perf_counter()
            found = finder(crop, given)
            times.append(1000 * (time.perf_counter() - began))
            if found:  # of several the one whose middle is nearest to the box's
                points, box = min(
                    found, key=lambda each: float(np.hypot(*((each[1][:2] + each[1][2:]) / 2 + low - middle)))
                )
                best = points + low, box + np.tile(low, 2)
                break
        every.append(best)
    size = max((len(best[0]) for best in every if best is not None), default=0)
    points = np.stack([np.full((size, 2), np.nan) if best is None else best[0] for best in every])
    boxes = np.stack([np.full(4, np.nan) if best is None else best[1] for best in every])
    package_version = version({"mediapipe": "mediapipe", "dlib": "dlib-bin"}[package])
    np.savez(out, points=points, boxes=boxes, milliseconds=np.median(times), version=package_version)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
