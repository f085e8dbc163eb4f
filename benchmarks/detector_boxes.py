"""How a face detector's boxes lie to landmark boxes: detector_boxes.py 300W_ROOT OUT.json [YUNET.onnx]

Runs every detector over the 300-W training faces, takes the detection that overlaps the annotated face most (at least
0.3 of the union), and reports the medians that `detector.BoxCorrection` uses, with their spread.
"""

import json
import sys
from pathlib import Path

import numpy as np
from surroundings import surroundings
from tqdm import tqdm

from darkpose.datasets.sample import Sample
from darkpose.datasets.w300 import TRAIN_FOLDERS, read_300w
from darkpose.detect.detector import Detector
from darkpose.detect.haar import Haar
from darkpose.detect.yunet import YuNet
from darkpose.evaluation.crop_boxes import SAME_FACE
from darkpose.evaluation.detection import box_overlaps
from darkpose.image.pixels import read_image


def measure(detector: Detector, samples: list[Sample]) -> dict[str, object]:
    """Shift and scale from detector boxes to landmark boxes over samples."""
    rows, extra = [], 0
    for sample in tqdm(samples, detector.name, disable=None):
        boxes = detector(read_image(sample.image)).boxes
        if not len(boxes):
            continue
        shared = box_overlaps(boxes, sample.box[None])[:, 0]
        best = int(shared.argmax())
        extra += len(boxes) - 1
        if shared[best] < SAME_FACE:
            continue
        side = (boxes[best, 2:] - boxes[best, :2]).max()
        landmark_side = (sample.box[2:] - sample.box[:2]).max()
        center = (sample.box[:2] + sample.box[2:] - boxes[best, :2] - boxes[best, 2:]) / 2
        rows.append([*(center / side), landmark_side / side])
    table = np.array(rows)
    return {
        "faces": len(samples),
        "found": len(rows),
        "other_detections": extra,
        "shift_x": summary(table[:, 0]),
        "shift_y": summary(table[:, 1]),
        "scale": summary(table[:, 2]),
    }


def summary(values: np.ndarray) -> dict[str, float]:
    """Median and the 5th and 95th percentile."""
    p5, median, p95 = np.percentile(values, [5, 50, 95])
    return {"median": round(float(median), 4), "p5": round(float(p5), 4), "p95": round(float(p95), 4)}


def main(root: Path, out: Path, yunet: Path | None) -> None:
    """Measure and write."""
    samples = read_300w(root, TRAIN_FOLDERS)
    detectors: list[Detector] = [Haar(), *([YuNet(yunet)] if yunet else [])]
    report = {
        **surroundings(),
        "method": __doc__,
        "detectors": {detector.name: measure(detector, samples) for detector in detectors},
    }
    out.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report["detectors"], indent=2))


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) == 4 else None)
