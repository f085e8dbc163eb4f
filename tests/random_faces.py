"""Random annotated faces."""

from pathlib import Path

import numpy as np

from darkpose.datasets.sample import Sample


def faces(count: int = 12) -> list[Sample]:
    """Faces with 98 landmarks, some of them hidden, two faces to an image, in two subsets."""
    rng, found = np.random.default_rng(0), []
    for number in range(count):
        keypoints = rng.uniform(0, 100, (98, 2))
        keypoints[60], keypoints[72] = (20, 40), (70 + number, 42)
        visible = (rng.uniform(size=98) > 0.1).astype(float)
        subsets = frozenset({"pose"} if number % 3 == 0 else {"blur"} if number % 3 == 1 else set())
        found.append(Sample(Path(f"{number // 2}.jpg"), keypoints, visible, np.array([0.0, 0, 110, 90]), subsets))
    return found
