"""Draw clocks with exact landmarks, and write them as COCO keypoints: draw_clocks.py FOLDER [COUNT] [SEED]

Data to try the training on landmarks of your own with: docs/own-landmarks.md. Writes FOLDER/images/*.jpg and
FOLDER/clocks.json. The landmarks are the middle, the tips of both hands, and the mark of twelve o'clock.
"""

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

NAMES = ["middle", "hour_hand", "minute_hand", "twelve"]
SIZE = (320, 240)  # px


def draw_clock(rng: np.random.Generator) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], list[float]]:
    """A picture (H, W, 3) uint8 BGR, its landmarks (4, 2) and the box x, y, width, height of the clock, px."""
    width, height = SIZE
    coarse = rng.integers(0, 255, (6, 8, 3), np.uint8)
    image = cv2.resize(coarse, SIZE, interpolation=cv2.INTER_CUBIC)
    radius = rng.uniform(40, 100)
    middle = rng.uniform([radius + 4, radius + 4], [width - radius - 4, height - radius - 4])
    face, ink, turn = rng.integers(150, 255, 3), rng.integers(0, 90, 3), rng.uniform(-0.5, 0.5)

    def place(angle: float, share: float) -> np.ndarray[Any, Any]:
        return np.asarray(middle + share * radius * np.array([np.sin(angle + turn), -np.cos(angle + turn)]))

    def line(start: np.ndarray[Any, Any], end: np.ndarray[Any, Any], thickness: float) -> None:
        points = [tuple(np.round(16 * point).astype(int).tolist()) for point in (start, end)]
        cv2.line(image, *points, ink.tolist(), max(1, round(thickness * radius / 60)), cv2.LINE_AA, 4)

    center = tuple(np.round(16 * middle).astype(int).tolist())
    cv2.circle(image, center, round(16 * radius), face.tolist(), -1, cv2.LINE_AA, 4)
    cv2.circle(image, center, round(16 * radius), ink.tolist(), max(1, round(radius / 25)), cv2.LINE_AA, 4)
    for hour in range(12):
        angle = hour * np.pi / 6
        line(place(angle, 0.92 if hour else 0.75), place(angle, 0.98), 4 if hour == 0 else 2)
    minutes = rng.uniform(0, 12 * 60)
    hour_angle, minute_angle = 2 * np.pi * minutes / 720, 2 * np.pi * (minutes % 60) / 60
    points = np.stack([middle, place(hour_angle, 0.45), place(minute_angle, 0.7), place(0.0, 0.75)])
    line(middle, points[1], 6)
    line(middle, points[2], 3)
    noisy = image + rng.normal(0, rng.uniform(1, 12), image.shape)
    box = [*(middle - radius).tolist(), 2 * radius, 2 * radius]
    return np.clip(noisy, 0, 255).astype(np.uint8), points, box


def main(folder: Path, count: int = 300, seed: int = 0) -> None:
    """Draw the clocks and write the annotations."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for i in range(count):
        image, points, box = draw_clock(np.random.default_rng((seed, i)))
        name = f"clock-{i:04d}.jpg"
        cv2.imwrite(str(folder / "images" / name), image)
        images.append({"id": i, "file_name": name, "width": SIZE[0], "height": SIZE[1]})
        keypoints = [value for x, y in points.round(2).tolist() for value in (x, y, 2)]
        where = {"bbox": [round(value, 2) for value in box], "keypoints": keypoints, "num_keypoints": len(NAMES)}
        annotations.append({"id": i, "image_id": i, "category_id": 1, "iscrowd": 0, **where})
    category = {"id": 1, "name": "clock", "keypoints": NAMES, "skeleton": [[1, 2], [1, 3]]}
    text = json.dumps({"images": images, "annotations": annotations, "categories": [category]})
    (folder / "clocks.json").write_text(text)
    print(f"{folder}: {count} clocks, clocks.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
