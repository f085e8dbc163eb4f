"""A folder of random faces in the format of 300-W, and predictions of them."""

import json
from pathlib import Path

import numpy as np

from darkpose.files.pts import format_pts
from darkpose.image.pixels import write_image


def write_300w(folder: Path, count: int = 5, seed: int = 0) -> Path:
    """Write images of noise with 68 random landmarks."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        write_image(folder / f"{i}.png", rng.integers(0, 255, (80, 90, 3), np.uint8))
        (folder / f"{i}.pts").write_text(format_pts(rng.uniform(15, 65, (68, 2))))
    return folder


def write_predictions(path: Path, points: np.ndarray, **header: object) -> Path:
    """Write landmarks (N, K, 2) as a file of predictions."""
    lines = [{"darkpose_predictions": 1, **header}]
    lines += [{"face": i, "keypoints": face.tolist()} for i, face in enumerate(points)]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    return path
