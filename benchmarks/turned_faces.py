"""Landmarks of faces that are turned: turned_faces.py FOLDER YUNET [COUNT]

FOLDER holds photographs with .pts files (lfpw/testset of 300-W), YUNET is the YuNet file, COUNT the number of
photographs (60). Each is turned by 0, 90, 180 and 270 degrees, faces are found in it, and the landmarks of the best one
are compared with the annotation: mean distance divided by the distance of the outer corners of the eyes. By YuNet, both
without and with the turned crops of `predict.turned`, and by darkpose's detector. Writes
benchmarks/results/turned_faces.json.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from darkpose import Predictor
from darkpose.deploy.machine import made_with
from darkpose.detect.yunet import YuNet
from darkpose.files.pts import read_pts
from darkpose.image.pixels import read_image
from darkpose.predict import turned
from darkpose.predict.face import RELIABLE

OUT = Path(__file__).parent / "results" / "turned_faces.json"
BAD = 0.1  # error of a face whose landmarks are useless


def measure(predictor: Predictor, photographs: list[Path], turns: int) -> dict[str, Any]:
    """Errors and scores of faces that are turned by so many quarters."""
    errors, scores, faceless = [], [], 0
    for path in photographs:
        image, truth = read_image(path), read_pts(path.with_suffix(".pts"))
        distance = np.linalg.norm(truth[36] - truth[45])
        for _ in range(turns):
            truth = np.stack([truth[:, 1], image.shape[1] - 1 - truth[:, 0]], axis=1)
            image = np.ascontiguousarray(np.rot90(image))
        faces = predictor(image)
        if not faces:
            faceless += 1
            continue
        each = [np.linalg.norm(face.keypoints - truth, axis=1).mean() / distance for face in faces]
        errors.append(min(each))
        scores.append(faces[int(np.argmin(each))].score)
    reliable = np.array(scores) >= RELIABLE
    bad = np.array(errors) > BAD
    return {
        "found": len(errors),
        "not_found": faceless,
        "median_error": round(float(np.median(errors)), 3),
        "bad": int(bad.sum()),
        "bad_and_reliable": int((bad & reliable).sum()),
        "good_and_unreliable": int((~bad & ~reliable).sum()),
        "scores_1_5_50_95": [round(float(score), 2) for score in np.quantile(scores, [0.01, 0.05, 0.5, 0.95])],
    }


def main(folder: Path, yunet: Path, count: int = 60) -> None:
    """Measure, print and write."""
    photographs = sorted(folder.glob("*.jpg"))[:count]
    by_yunet, by_darkpose = (Predictor(detector=each, runtime="onnxruntime") for each in (YuNet(yunet), "darkpose"))
    results: dict[str, dict[str, Any]] = {}
    low = turned.LOW
    ways = (
        ("yunet, upright crops", by_yunet, -1.0),
        ("yunet, turned crops", by_yunet, low),
        ("darkpose", by_darkpose, low),
    )
    for name, predictor, lowest in ways:
        turned.LOW = lowest
        results[name] = {str(90 * turns): measure(predictor, photographs, turns) for turns in range(4)}
        for degrees, row in results[name].items():
            print(name, degrees, row)
    content = {**made_with(), "method": __doc__, "photographs": len(photographs), "results": results}
    OUT.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:4]))
