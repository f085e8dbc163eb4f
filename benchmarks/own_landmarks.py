"""Train on 5 and 29 landmarks of your own from 100 and 500 faces.

    own_landmarks.py 300W_FOLDER RUNS_FOLDER JSON [MINUTES]

The landmarks are some of 300-W's 68, under names that darkpose does not know. The weights are measured on LFPW test
with the boxes of the detector, next to the same landmarks of the default weights, and to training from nothing. Runs
that are done are kept: the same command goes on.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from darkpose.datasets.sample import Sample
from darkpose.datasets.w300 import LFPW_TEST_FOLDERS, read_300w
from darkpose.deploy.machine import made_with
from darkpose.detect.face_detector import FaceDetector
from darkpose.evaluation.crop_boxes import face_boxes
from darkpose.evaluation.predict_samples import predict_samples
from darkpose.files.atomic import write_text
from darkpose.image.geometry import Floats
from darkpose.predict.landmarks import LandmarkFinder
from darkpose.runtime.open import Engine, open_weights
from darkpose.schema import KeypointSchema
from darkpose.training.own_landmarks import own_task, train_own
from darkpose.training.process import set_up_process
from darkpose.weights.zoo import KEPT

# Eye centres are of two landmarks each in 300-W, so that the five points are eye corners, nose tip and mouth corners.
FIVE = (36, 45, 30, 48, 54)
# As COFW's 29: brow ends and middles, eye corners and lids, nose, mouth, chin.
TWENTY_NINE = (
    *(17, 19, 21, 22, 24, 26, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47),
    *(30, 31, 33, 35, 48, 51, 54, 57, 62, 66, 8),
)
MIRRORED = {36: 45, 39: 42, 37: 44, 38: 43, 41: 46, 40: 47, 17: 26, 19: 24, 21: 22, 31: 35, 48: 54}


def subset(samples: Sequence[Sample], points: Sequence[int]) -> tuple[list[Sample], KeypointSchema]:
    """The samples with some of their landmarks, and a schema of them."""
    both = {**MIRRORED, **{there: here for here, there in MIRRORED.items()}}
    place = {point: i for i, point in enumerate(points)}
    pairs = tuple((place[i], place[both[i]]) for i in points if i in MIRRORED)
    schema = KeypointSchema(f"own-{len(points)}", tuple(f"point {i}" for i in range(len(points))), pairs)
    rows = list(points)
    return [replace(each, keypoints=each.keypoints[rows], visible=each.visible[rows]) for each in samples], schema


def error(found: Floats, samples: Sequence[Sample], points: Sequence[int]) -> float:
    """Mean error in per cent of the distance of the outer eye corners."""
    truth = np.stack([sample.keypoints for sample in samples])
    eyes = np.linalg.norm(truth[:, 36] - truth[:, 45], axis=1)
    away = np.linalg.norm(found - truth[:, list(points)], axis=2)
    return float(100 * (away / eyes[:, None]).mean())


def predict(weights: str, schema: str | None, samples: Sequence[Sample]) -> Floats:
    """Landmarks (N, K, 2) by weights, without a flip test."""
    opened = open_weights(weights, schema, Engine("torch"))
    find = LandmarkFinder(opened.network, opened.schema)
    return predict_samples(
        find, samples, crop_size=opened.config.crop_size, padding=opened.config.padding
    ).keypoints.astype(np.float64)


def main(root: Path, runs: Path, out: Path, minutes: float = 10) -> None:
    """Train what is missing, measure all, and write the JSON file."""
    set_up_process()
    train = read_300w(root)
    test = face_boxes(read_300w(root, LFPW_TEST_FOLDERS), FaceDetector())
    assert test is not None
    by_default = predict("default", "300w-68", test)
    order = np.random.default_rng(0).permutation(len(train))
    rows: list[dict[str, Any]] = []
    for start, count in (("default", 500), ("default", 100), ("nothing", 500)):
        for points in (FIVE, TWENTY_NINE):
            default = error(by_default[:, list(points)], test, points)
            folder = runs / f"{len(points)}-{count}-{start}"
            samples, schema = subset([train[i] for i in order[:count]], points)
            own = own_task(schema.name, samples, schema, start=start)
            train_own(own, folder, 60 * minutes).finished()
            row = {
                "landmarks": len(points),
                "faces": count,
                "start": start,
                "minutes": minutes,
                "epochs": json.loads((folder / "plan.json").read_text())["epochs"],
                "new_heatmaps": own.new,
                "nme_percent": error(predict(str(folder / KEPT), None, test), test, points),
                "default_weights_nme_percent": default,
            }
            rows.append({**row, "ratio": row["nme_percent"] / default})
            print(rows[-1], flush=True)
            facts = {"test": "LFPW test, boxes of the detector, no flip test", "faces": len(test), "runs": rows}
            write_text(out, json.dumps({**made_with(), **facts}, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), *map(float, sys.argv[4:]))
