"""MediaPipe's face mesh on the same faces: peer_mediapipe.py PYTHON WEIGHTS 300W WFLW OUT.json

PYTHON is that of an environment with the last MediaPipe that carries its models:

    uv venv mesh && uv pip install --python mesh/bin/python mediapipe==0.10.21

Its mesh (478 points, irises and lips refined, one still picture at a time) has no point of 300-W's by definition, so 68
landmarks are made of it in two ways, both learnt from 600 faces of 300-W's training set: the one vertex that lies
nearest on average; and a weighted mean of all vertices and an offset in shares of the box (ridge regression), which is
as kind to it as a linear map can be. It is given the picture around the annotated box, 1.5 times as large, and where it
finds no face 2.5 times; of several faces that whose middle is nearest to the box's. Faces without a mesh are missed.

Predictions of LFPW test and of WFLW's faces (the 50 landmarks that both markups share) are then measured by `darkpose
evaluate`, beside those of WEIGHTS (annotated boxes, no flip test) on the same faces. Milliseconds of a mesh are those
of the median face, with its own face detection, on one picture already cut.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SEED, LEARNT_FROM, RIDGE = 0, 600, 1e-3
LARGER = (1.5, 2.5)


def find_meshes(faces_file: Path, out: Path) -> None:
    """In MediaPipe's environment: meshes (N, 478, 2) image px of faces, NaN where none is found, and milliseconds."""
    import cv2
    import mediapipe

    faces = json.loads(faces_file.read_text())
    meshes, times = np.full((len(faces), 478, 2), np.nan), []
    settings = {"static_image_mode": True, "max_num_faces": 4, "refine_landmarks": True}
    with mediapipe.solutions.face_mesh.FaceMesh(**settings) as finder:
        for number, face in enumerate(faces):
            image = cv2.cvtColor(np.asarray(cv2.imread(face["image"])), cv2.COLOR_BGR2RGB)
            x0, y0, x1, y1 = face["box"]
            middle, side = np.array([x0 + x1, y0 + y1]) / 2, max(x1 - x0, y1 - y0)
            for larger in LARGER:
                low = np.maximum(np.floor(middle - larger * side / 2), 0).astype(int)
                high = np.ceil(middle + larger * side / 2).astype(int)
                crop = np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]])
                began = time.perf_counter()
                found = finder.process(crop).multi_face_landmarks or []
                times.append(1000 * (time.perf_counter() - began))
                size = crop.shape[1::-1]
                each = [np.array([[p.x, p.y] for p in mesh.landmark]) * size - 0.5 + low for mesh in found]
                if each:
                    meshes[number] = min(each, key=lambda mesh: float(np.hypot(*(mesh.mean(axis=0) - middle))))
                    break
    np.savez(out, meshes=meshes, milliseconds=np.median(times), version=mediapipe.__version__)


def meshes_of(python: str, samples: list[Any]) -> dict[str, Any]:
    """What `find_meshes` finds on samples."""
    with tempfile.TemporaryDirectory() as folder:
        listed, out = Path(folder) / "faces.json", Path(folder) / "meshes.npz"
        faces = [{"image": str(sample.image.resolve()), "box": list(map(float, sample.box))} for sample in samples]
        listed.write_text(json.dumps(faces))
        call = [python, __file__, "--meshes", str(listed), str(out)]
        subprocess.run(call, check=True, stderr=subprocess.DEVNULL)
        return dict(np.load(out))


def shapes(points: Floats, boxes: Floats) -> Floats:
    """Points (N, K, 2) image px as shares of the boxes (N, 4)."""
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    return np.asarray((points - boxes[:, None, :2]) / sides[:, None, None])


def nearest_vertices(meshes: Floats, landmarks: Floats) -> Floats:
    """Weights (K, 478): 1 for the vertex that lies nearest to a landmark on average. Of shapes."""
    distances = np.linalg.norm(meshes[:, None] - landmarks[:, :, None], axis=-1).mean(axis=0)
    return np.asarray(np.eye(meshes.shape[1])[distances.argmin(axis=1)])


def weighted_means(meshes: Floats, landmarks: Floats) -> tuple[Floats, Floats]:
    """Weights (K, 478) that add up to 1 and offsets (K, 2), shapes of meshes to landmarks, by ridge regression."""
    anchor = meshes.mean(axis=1, keepdims=True)  # about the middle, so that weights need not add up to 1
    centred, goals = meshes - anchor, landmarks - anchor
    middle, goal = centred.mean(axis=0), goals.mean(axis=0)
    design = np.concatenate([(centred - middle)[..., axis] for axis in (0, 1)])
    wanted = np.concatenate([(goals - goal)[..., axis] for axis in (0, 1)])
    gram = design.T @ design + RIDGE * len(meshes) * np.mean(design**2) * np.eye(design.shape[1])
    weights = np.linalg.solve(gram, design.T @ wanted).T
    rest = 1 - weights.sum(axis=1, keepdims=True)
    offsets = goal - weights @ middle
    return weights + rest / meshes.shape[1], offsets


def main(python: str, weights: str, w300: str, wflw: str, out: str) -> None:
    """Learn the maps, predict, measure."""
    from surroundings import surroundings

    from darkpose.atomic import write_text
    from darkpose.datasets.w300 import LFPW_TEST_FOLDERS, read_300w
    from darkpose.datasets.wflw import read_wflw

    training = read_300w(Path(w300))
    chosen = [training[i] for i in np.random.default_rng(SEED).permutation(len(training))[:LEARNT_FROM]]
    learnt = meshes_of(python, chosen)
    known = np.isfinite(learnt["meshes"]).all(axis=(1, 2))
    boxes = np.stack([face.box for face in chosen])[known]
    pair = shapes(learnt["meshes"][known], boxes), shapes(np.stack([f.keypoints for f in chosen])[known], boxes)
    vertices, (means, offsets) = nearest_vertices(*pair), weighted_means(*pair)
    maps = {"nearest vertices": (vertices, np.zeros((68, 2))), "weighted means": (means, offsets)}
    sets = {
        "300w-lfpw": (read_300w(Path(w300), LFPW_TEST_FOLDERS), ["--root", w300]),
        "wflw-test": (read_wflw(Path(wflw)), ["--root", wflw, "--schema", "300w-68", "--shared"]),
    }
    results: dict[str, Any] = {}
    for name, (samples, options) in sets.items():
        found, boxes = meshes_of(python, samples), np.stack([sample.box for sample in samples])
        results[name] = {"milliseconds": round(float(found["milliseconds"]), 2)}
        with tempfile.TemporaryDirectory() as folder:
            ours = Path(folder) / "ours.jsonl"
            mine = ["--weights", weights, "--flip-test", "off", "--predictions", str(ours)]
            results[name]["darkpose"] = evaluate([name, *options, *mine])
            for way, (factors, shift) in maps.items():
                sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
                points = factors @ found["meshes"] + shift * sides[:, None, None]
                theirs = Path(folder) / "theirs.jsonl"
                write_predictions(theirs, points)
                against = ["--predictions", str(theirs), "--against", str(ours)]
                results[name][way] = evaluate([name, *options, *against])
    facts = {"mediapipe": str(learnt["version"]), "learnt_from": int(known.sum()), "of": len(chosen)}
    content = {**surroundings(), **facts, "method": __doc__, "weights": weights, "results": results}
    write_text(Path(out), json.dumps(content, indent=1) + "\n")
    print(json.dumps(results, indent=1))


def write_predictions(path: Path, points: Floats) -> None:
    """A predictions file of `darkpose.predictions`."""
    lines: list[dict[str, Any]] = [{"darkpose_predictions": 1, "markup": "300w-68", "system": "MediaPipe face mesh"}]
    for number, each in enumerate(points):
        lines.append({"face": number, "keypoints": each.round(3).tolist() if np.isfinite(each).all() else None})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def evaluate(arguments: list[str]) -> dict[str, Any]:
    """What matters of `darkpose evaluate ARGUMENTS --json`."""
    call = [sys.executable, "-m", "darkpose", "evaluate", *arguments, "--json"]
    found = json.loads(subprocess.run(call, check=True, stdout=subprocess.PIPE, text=True).stdout)
    rows = {
        subset: {key: row[key] for key in ("faces", "missed", "nme", "interval", "percentiles", "nme_by_region")}
        for subset, row in found["subsets"].items()
    }
    return {"subsets": rows, "against": found.get("against")}


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "--meshes":
        find_meshes(Path(sys.argv[2]), Path(sys.argv[3]))
    elif len(sys.argv) == 6:
        main(*sys.argv[1:])
    else:
        sys.exit(__doc__)
