"""NME of a checkpoint on LFPW test (224 faces of 300-W): accuracy.py WEIGHTS 300W_ROOT OUT.json [YUNET.onnx]

Error over the distance between the outer eye corners, pooled over points. Every decoder works on the same heatmaps.
Boxes: the landmarks' (the published crop) and each detector's, corrected as `Predictor` corrects them; a detector's row
counts the faces it found and gives the landmark-box NME of the same faces beside its own.
"""

import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from darkpose.boxrule import SAME_FACE, overlaps
from darkpose.checkpoint import Checkpoint
from darkpose.datasets.w300 import LFPW_TEST_FOLDERS, read_300w
from darkpose.detector import Detector, Haar, YuNet
from darkpose.evaluate import crops_of, samples_nme, to_image
from darkpose.heatmap import Method, decode
from darkpose.image import read_image
from darkpose.inference import CropDecoder, FlipTest
from darkpose.predictor import Predictor
from darkpose.sample import Sample
from darkpose.zoo import load_checkpoint

FLIPS: tuple[FlipTest, ...] = ("off", "published", "exact")
METHODS: tuple[Method, ...] = ("argmax", "quarter", "dark")


def decoders_compared(checkpoint: Checkpoint, samples: list[Sample]) -> dict[str, dict[str, float]]:
    """NME in percent by flip test and decoder, from landmark boxes."""
    config = checkpoint.config
    table: dict[str, dict[str, float]] = {flip: {} for flip in FLIPS}
    for flip in FLIPS:
        decoder = CropDecoder(
            checkpoint.model, config.normalisation, checkpoint.schema.flip_index, flip_test=flip, batch_size=8
        )
        crops = crops_of(samples, checkpoint.schema, config.crop_size, config.padding)
        heatmaps = np.concatenate(list(decoder.heatmaps(tqdm(crops, f"flip {flip}", len(samples), disable=None))))
        size = (heatmaps.shape[3], heatmaps.shape[2])
        for method in METHODS:
            points = to_image(decode(heatmaps, method=method).points, samples, size, config.padding)
            table[flip][method] = round(100 * samples_nme(points, samples, checkpoint.schema), 3)
    return table


def with_detector(weights: str, detector: Detector, samples: list[Sample]) -> dict[str, Any]:
    """NME in percent from a detector's boxes, on the faces it finds."""
    predictor = Predictor(weights, detector=detector, batch_size=8)
    found, by_detector, by_landmarks = [], [], []
    for sample in tqdm(samples, detector.name, disable=None):
        image = read_image(sample.image)
        regions = predictor.regions(image)
        shared = overlaps(np.stack([r.crop_box for r in regions]), sample.box) if regions else np.zeros(0)
        if not len(shared) or shared.max() < SAME_FACE:
            continue
        found.append(sample)
        by_detector.append(predictor.locate([regions[int(shared.argmax())]])[0].keypoints)
        by_landmarks.append(predictor(image, [sample.box], "landmarks")[0].keypoints)
    nmes = [samples_nme(np.stack(points), found, predictor.schema) for points in (by_detector, by_landmarks)]
    return {
        "found": len(found),
        "faces": len(samples),
        "detector_boxes": round(100 * nmes[0], 3),
        "landmark_boxes_same_faces": round(100 * nmes[1], 3),
    }


def main(weights: str, root: Path, out: Path, yunet: Path | None) -> None:
    """Measure and write."""
    samples, checkpoint = read_300w(root, LFPW_TEST_FOLDERS), load_checkpoint(weights)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    detectors: list[Detector] = [*([YuNet(yunet)] if yunet else []), Haar()]
    report = {
        "commit": commit.stdout.strip(),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "method": __doc__,
        "weights": weights,
        "provenance": dict(checkpoint.provenance),
        "nme_percent_by_flip_test_and_decoder": decoders_compared(checkpoint, samples),
        "nme_percent_by_box": {detector.name: with_detector(weights, detector, samples) for detector in detectors},
    }
    out.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps({key: value for key, value in report.items() if key.startswith("nme")}, indent=2))


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]) if len(sys.argv) == 5 else None)
