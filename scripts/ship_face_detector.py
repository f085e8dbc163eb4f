"""Put a trained face detector into the package: ship_face_detector.py DATA RUN COMMIT HARDWARE

RUN is the folder of scripts/train_face_detector.py, COMMIT the commit of the run. The scores of each grid are
calibrated on the pictures of RUN/validation.json that benchmarks/detection.py leaves: a score is then the share of the
detections with this score that are faces. The weights and their graph go to src/darkpose/weights/shipped/, the log to
docs/training/face-detector.jsonl.
"""

import json
import random
import shutil
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save
from tqdm import tqdm

from darkpose.datasets.face_boxes import BoxedPicture, read_wider
from darkpose.detect.cells import faces_of, without_duplicates
from darkpose.detect.face_detector import FaceDetector, face_boxes
from darkpose.evaluation.detection import ImageResult, detection_errors
from darkpose.files.atomic import write_atomically
from darkpose.image.geometry import Floats
from darkpose.image.pixels import read_image, resized
from darkpose.runtime.face_detector_graph import face_detector_graph
from darkpose.runtime.open import Engine
from darkpose.weights.checkpoint import read_arrays, read_metadata
from darkpose.weights.face_detector import CELL_STRIDES, NAME, open_face_detector

WEIGHTS = Path("src/darkpose/weights/shipped")
LOGS = Path("docs/training")
MEASURED = 200  # pictures of benchmarks/detection.py, which come first
LOWEST = 0.2  # score of the detections that the calibration is fitted to
NEVER = -100.0  # logit
SIDE, SMALLEST = 640, 16  # px, of pictures and faces


def fit_logits(logits: Floats, hits: NDArray[np.bool_]) -> tuple[float, float]:
    """Factor and offset of logits that make them those of the share of hits, by logistic regression (Platt scaling)."""
    columns, weights = np.stack([logits, np.ones_like(logits)], axis=1), np.array([1.0, 0.0])
    for _ in range(50):  # Newton's method
        share = 1 / (1 + np.exp(-columns @ weights))
        curvature = columns.T @ (columns * (share * (1 - share))[:, None])
        weights += np.linalg.solve(curvature, columns.T @ (hits - share))
    return float(weights[0]), float(weights[1])


def detections(detector: FaceDetector, picture: BoxedPicture) -> list[ImageResult]:
    """What each grid of the network finds in a picture with a longer side of 640 px."""
    image, size = read_image(picture.image), (SIDE, SIDE)
    factor = SIDE / max(image.shape[:2])
    image = resized(image, (round(factor * image.shape[1]), round(factor * image.shape[0])))
    canvas: NDArray[np.uint8] = np.zeros((1, *size, 3), np.uint8)
    canvas[0, : image.shape[0], : image.shape[1]] = image
    boxes = factor * picture.boxes
    ignored = ((boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0) < SMALLEST) | (picture.flag("invalid") > 0)
    cells, found, first = np.asarray(detector.network(canvas)[0]), [], 0
    for stride in CELL_STRIDES:
        after = first + (SIDE // stride) ** 2
        alone = cells.copy()
        alone[0, :first] = alone[0, after:] = NEVER
        faces = without_duplicates(faces_of(alone, size, LOWEST))
        found.append(ImageResult(face_boxes(faces).upright_boxes(), faces.scores, boxes, ignored))
        first = after
    return found


def calibrated(run: Path, pictures: list[BoxedPicture]) -> dict[str, NDArray[Any]]:
    """The weights of a run with calibrated scores."""
    arrays = read_arrays(run / "weights.safetensors")
    detector = FaceDetector(open_face_detector(run / "weights.safetensors"), Engine("torch"))
    found = [detections(detector, picture) for picture in tqdm(pictures)]
    for grid, results in enumerate(zip(*found, strict=True)):
        errors = detection_errors(results)
        factor, offset = fit_logits(np.log(errors.scores / (1 - errors.scores)), errors.hits)
        print(f"grid {grid}: {errors.hits.sum()} of {len(errors.hits)} are faces; logits x {factor:.3f} {offset:+.3f}")
        weight, bias = (arrays[f"heads.{grid}.2.{name}"].copy() for name in ("weight", "bias"))
        weight[0], bias[0] = factor * weight[0], factor * bias[0] + offset
        arrays |= {f"heads.{grid}.2.weight": weight, f"heads.{grid}.2.bias": bias}
    return arrays


def main(data: Path, run: Path, commit: str, hardware: str) -> None:
    """Write weights, graph and log."""
    names = set(json.loads((run / "validation.json").read_text()))
    pictures = [picture for picture in read_wider(data / "wider") if picture.image.name in names]
    random.Random(0).shuffle(pictures)
    target = WEIGHTS / f"{NAME}.safetensors"
    metadata = read_metadata(run / "weights.safetensors")
    provenance = {**json.loads(metadata["provenance"]), "name": NAME, "commit": commit, "hardware": hardware}
    data_file = save(calibrated(run, pictures[MEASURED:]), {**metadata, "provenance": json.dumps(provenance)})
    write_atomically(target, lambda temporary: temporary.write_bytes(data_file))
    file = open_face_detector(target)
    graph = face_detector_graph(file)
    write_atomically(file.graph, lambda temporary: temporary.write_bytes(graph))
    shutil.copyfile(run / "log.jsonl", LOGS / f"{NAME}.jsonl")
    print(f"{target}: {len(data_file) / 1e6:.2f} MB, SHA-256 {sha256(data_file).hexdigest()}")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4])
