"""NME of 68-point weights: accuracy.py WEIGHTS OUT.json 300W_ROOT [--yunet FILE] [--wflw WFLW_ROOT]

LFPW test (224 faces of 300-W), and, through the 50 points that both markups share, the faces of a WFLW test list.

Error over the distance between the outer eye corners, pooled over points. Every decoder works on the same heatmaps.
Boxes: the landmarks' (the published crop) and each detector's, corrected as `Predictor` corrects them; a detector's row
counts the faces it found and gives the landmark-box NME of the same faces beside its own.
"""

import json
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

import numpy as np
from surroundings import surroundings
from tqdm import tqdm

from darkpose.boxrule import SAME_FACE, overlaps
from darkpose.checkpoint import Checkpoint
from darkpose.datasets.w300 import LFPW_TEST_FOLDERS, read_300w
from darkpose.datasets.wflw import SUBSETS, read_wflw
from darkpose.detector import Detector, Haar, YuNet
from darkpose.predict_samples import crops_of, predict_samples, samples_nme, to_image
from darkpose.heatmap import Method, decode
from darkpose.image import read_image
from darkpose.inference import CropDecoder, FlipTest
from darkpose.metrics import failure_rate, normalised_errors
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


# 300-W points that WFLW has too: every second contour point, nose, mouth, eye corners (brows and lids only lie near).
SHARED = {
    **{i: 2 * i for i in range(17)},
    **{27 + i: 51 + i for i in range(9)},
    **{48 + i: 76 + i for i in range(20)},
    **{36: 60, 39: 64, 42: 68, 45: 72},
}


def on_wflw(checkpoint: Checkpoint, root: Path) -> dict[str, Any]:
    """NME in percent over the outer eye corners on WFLW test faces, shared points, published crops, by subset."""
    samples, config = read_wflw(root), checkpoint.config
    decoder = CropDecoder(checkpoint.model, config.normalisation, checkpoint.schema.flip_index, batch_size=8)
    found = predict_samples(
        decoder,
        samples,
        checkpoint.schema,
        crop_size=config.crop_size,
        padding=config.padding,
    )
    ours, theirs = list(SHARED), list(SHARED.values())
    annotated = np.stack([sample.keypoints for sample in samples])
    corners = np.linalg.norm(annotated[:, 60] - annotated[:, 72], axis=-1)
    errors = normalised_errors(found.points[:, ours], annotated[:, theirs], corners)
    members = {"all": np.ones(len(samples), bool)}
    members |= {name: np.array([name in sample.subsets for sample in samples]) for name in SUBSETS}
    return {
        name: {
            "faces": int(chosen.sum()),
            "nme": round(100 * float(errors[chosen].mean()), 3),
            "median_face": round(100 * float(np.median(errors[chosen].mean(axis=1))), 3),
            "failure_rate_10": round(100 * failure_rate(errors[chosen].mean(axis=1), 0.10), 2),
        }
        for name, chosen in members.items()
    }


def main() -> None:
    """Measure and write."""
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("out", type=Path)
    parser.add_argument("root", type=Path)
    parser.add_argument("--yunet", type=Path)
    parser.add_argument("--wflw", type=Path)
    options = parser.parse_args()
    samples, checkpoint = read_300w(options.root, LFPW_TEST_FOLDERS), load_checkpoint(options.weights)
    detectors: list[Detector] = [*([YuNet(options.yunet)] if options.yunet else []), Haar()]
    report = {
        **surroundings(),
        "method": __doc__,
        "weights": options.weights,
        "provenance": dict(checkpoint.provenance),
        "nme_percent_by_flip_test_and_decoder": decoders_compared(checkpoint, samples),
        "nme_percent_by_box": {each.name: with_detector(options.weights, each, samples) for each in detectors},
        "wflw_shared_points": on_wflw(checkpoint, options.wflw) if options.wflw else None,
    }
    options.out.write_text(json.dumps(report, indent=2) + "\n")
    shown = ("nme_percent_by_flip_test_and_decoder", "nme_percent_by_box", "wflw_shared_points")
    print(json.dumps({key: report[key] for key in shown}, indent=2))


if __name__ == "__main__":
    main()
