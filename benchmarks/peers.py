"""Other packages that bring weights, on the same faces: peers.py MEDIAPIPE DLIB WEIGHTS 300W WFLW OUT.json

MEDIAPIPE and DLIB are the Pythons of environments with the last MediaPipe that carries its models, and with dlib and
its 68 landmarks:

    uv venv mesh && uv pip install --python mesh/bin/python mediapipe==0.10.21
    uv venv dlib && uv pip install --python dlib/bin/python dlib-bin face_recognition_models opencv-python-headless

Both are shown the picture around the annotated box, 1.5 times as large, and where they find no face 2.5 times.

MediaPipe's mesh of 478 points has none of 300-W's by definition. 68 landmarks are made of it in two ways, both learnt
from 600 faces of 300-W's training set: "nearest vertices", for each the one that lies nearest on average, and "weighted
means" of all vertices with an offset in shares of the box, by ridge regression: as kind as a linear map can be.

dlib's landmarks are 300-W's; which of its faces it has learnt from, LFPW test perhaps among them, is not said. It takes
boxes of its own detector, "own boxes", or such ones as that would give, "annotated boxes": the annotated ones, moved
and scaled by the medians over the same 600 faces.

Predictions of LFPW test and of WFLW's faces (the 50 landmarks that both markups share) are measured by `darkpose
evaluate`, beside those of WEIGHTS (annotated boxes, no flip test). Milliseconds are those of the median face on one
picture already cut, on one thread or more as the package pleases; MediaPipe's and dlib's "own boxes" hold a detection.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from surroundings import surroundings

from darkpose.datasets.sample import Sample
from darkpose.datasets.w300 import LFPW_TEST_FOLDERS, read_300w
from darkpose.datasets.wflw import read_wflw
from darkpose.files.atomic import write_text

Floats = NDArray[np.float64]
SEED, LEARNT_FROM, RIDGE = 0, 600, 1e-2
WORKER = Path(__file__).parent / "peer_worker.py"


def find(python: str, package: str, samples: list[Sample], given: Floats | None = None) -> dict[str, Any]:
    """What the worker finds on samples, perhaps in given boxes (N, 4)."""
    with tempfile.TemporaryDirectory() as folder:
        listed, out = Path(folder) / "faces.json", Path(folder) / "found.npz"
        faces = [{"image": str(sample.image.resolve()), "box": list(map(float, sample.box))} for sample in samples]
        boxes = [None] * len(samples) if given is None else given.tolist()
        listed.write_text(json.dumps([face | {"given": box} for face, box in zip(faces, boxes, strict=True)]))
        call = [python, str(WORKER), package, str(listed), str(out)]
        subprocess.run(call, check=True, stderr=subprocess.DEVNULL)
        return dict(np.load(out))


def boxes_of(samples: list[Sample]) -> tuple[Floats, Floats]:
    """The annotated boxes (N, 4) and their longer sides (N,)."""
    boxes = np.stack([sample.box for sample in samples])
    return boxes, (boxes[:, 2:] - boxes[:, :2]).max(axis=1)


def shapes(points: Floats, samples: list[Sample]) -> Floats:
    """Points (N, K, 2) image px as shares of the boxes."""
    boxes, sides = boxes_of(samples)
    return np.asarray((points - boxes[:, None, :2]) / sides[:, None, None])


def nearest_vertices(meshes: Floats, landmarks: Floats) -> tuple[Floats, Floats]:
    """Weights (K, 478), 1 for the vertex that lies nearest to a landmark on average, and no offsets; of shapes."""
    distances = np.linalg.norm(meshes[:, None] - landmarks[:, :, None], axis=-1).mean(axis=0)
    return np.eye(meshes.shape[1])[distances.argmin(axis=1)], np.zeros((landmarks.shape[1], 2))


def weighted_means(meshes: Floats, landmarks: Floats) -> tuple[Floats, Floats]:
    """Weights (K, 478) that add up to 1 and offsets (K, 2), from shapes of meshes to landmarks."""
    anchor = meshes.mean(axis=1, keepdims=True)  # about the middle, so that weights need not add up to 1
    centred, goals = meshes - anchor, landmarks - anchor
    middle, goal = centred.mean(axis=0), goals.mean(axis=0)
    design = np.concatenate([(centred - middle)[..., axis] for axis in (0, 1)])
    wanted = np.concatenate([(goals - goal)[..., axis] for axis in (0, 1)])
    gram = design.T @ design + RIDGE * len(meshes) * np.mean(design**2) * np.eye(design.shape[1])
    weights = np.linalg.solve(gram, design.T @ wanted).T
    rest = 1 - weights.sum(axis=1, keepdims=True)
    return weights + rest / meshes.shape[1], goal - weights @ middle


def mediapipe_ways(python: str, learnt: list[Sample], faces: list[Sample]) -> dict[str, Any]:
    """68 landmarks (N, 68, 2) image px by each way, milliseconds, and the version."""
    trained, found = find(python, "mediapipe", learnt), find(python, "mediapipe", faces)
    known = np.isfinite(trained["points"]).all(axis=(1, 2))
    seen = [sample for sample, its in zip(learnt, known, strict=True) if its]
    pair = shapes(trained["points"][known], seen), shapes(np.stack([sample.keypoints for sample in seen]), seen)
    sides, ways = boxes_of(faces)[1], {}
    for name, learn in (("nearest vertices", nearest_vertices), ("weighted means", weighted_means)):
        weights, offsets = learn(*pair)
        points = np.asarray(weights @ found["points"] + offsets * sides[:, None, None])
        ways[f"MediaPipe, {name}"] = points, float(found["milliseconds"])
    return {"ways": ways, "version": f"mediapipe {found['version']}"}


def dlib_ways(python: str, learnt: list[Sample], faces: list[Sample]) -> dict[str, Any]:
    """The same of dlib."""
    trained = find(python, "dlib", learnt)
    corners = shapes(trained["boxes"].reshape(-1, 2, 2), learnt)
    boxes, sides = boxes_of(faces)
    usual = boxes[:, None, :2] + np.nanmedian(corners, axis=0) * sides[:, None, None]
    own, given = find(python, "dlib", faces), find(python, "dlib", faces, usual.reshape(-1, 4))
    ways = {
        f"dlib, {name}": (each["points"], float(each["milliseconds"]))
        for name, each in (("own boxes", own), ("annotated boxes", given))
    }
    return {"ways": ways, "version": f"dlib {own['version']}"}


def write_predictions(path: Path, points: Floats) -> None:
    """A predictions file of `darkpose.datasets.predictions_file`."""
    lines: list[dict[str, Any]] = [{"darkpose_predictions": 1, "markup": "300w-68", "system": "a peer"}]
    for number, each in enumerate(points):
        lines.append({"face": number, "keypoints": each.round(3).tolist() if np.isfinite(each).all() else None})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def evaluate(arguments: list[str]) -> dict[str, Any]:
    """What matters of `darkpose evaluate ARGUMENTS --json`."""
    call = [sys.executable, "-m", "darkpose", "evaluate", *arguments, "--json"]
    found = json.loads(subprocess.run(call, check=True, stdout=subprocess.PIPE, text=True).stdout)
    keys = ("faces", "missed", "nme", "interval", "failure_rates", "percentiles", "nme_by_region")
    subsets = {subset: {key: row[key] for key in keys} for subset, row in found["subsets"].items()}
    others = [{key: each[key] for key in ("first_minus_this",)} for each in found["others"]]
    return {"subsets": subsets, "minus_darkpose": others[0]["first_minus_this"] if others else None}


def main(mediapipe: str, dlib: str, weights: str, w300: str, wflw: str, out: str) -> None:
    """Predict, measure, write."""
    training = read_300w(Path(w300))
    learnt = [training[i] for i in np.random.default_rng(SEED).permutation(len(training))[:LEARNT_FROM]]
    sets = {
        "300w-lfpw": (read_300w(Path(w300), LFPW_TEST_FOLDERS), ["--root", w300]),
        "wflw-test": (read_wflw(Path(wflw)), ["--root", wflw, "--shared"]),
    }
    results: dict[str, Any] = {}
    versions = []
    for name, (samples, options) in sets.items():
        with tempfile.TemporaryDirectory() as folder:
            ours, theirs = Path(folder) / "ours.jsonl", Path(folder) / "theirs.jsonl"
            mine = ["--weights", weights, "--schema", "300w-68", "--flip-test", "off", "--predictions", str(ours)]
            results[name] = {"darkpose": evaluate([name, *options, *mine])}
            for peer in (mediapipe_ways(mediapipe, learnt, samples), dlib_ways(dlib, learnt, samples)):
                versions.append(peer["version"])
                for way, (points, milliseconds) in peer["ways"].items():
                    write_predictions(theirs, points)
                    found = evaluate([name, *options, "--predictions", str(theirs), "--against", str(ours)])
                    results[name][way] = {"milliseconds": round(milliseconds, 2), **found}
    content = {**surroundings(), "peers": versions[:2], "method": __doc__, "weights": weights, "results": results}
    write_text(Path(out), json.dumps(content, indent=1) + "\n")
    for name, rows in results.items():
        for way, row in rows.items():
            print(name, way, row.get("milliseconds"), row["subsets"]["all"], row["minus_darkpose"])


if __name__ == "__main__":
    if len(sys.argv) != 7:
        sys.exit(__doc__)
    main(*sys.argv[1:])
