"""The pictures of docs/detection.md, from what `detection.py` measured: detection_page.py DETECTION.json DOCS_FOLDER

Writes DOCS_FOLDER/detection.png, average precision by roll and recall by false faces, and detection-turned.png, the
faces and landmarks that are found in the project's photograph turned in steps of 45 degrees.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from darkpose import Predictor
from darkpose.files.figure import write_figure
from darkpose.image.geometry import Floats
from darkpose.image.opencv import cv2
from darkpose.image.pixels import Pixels, read_image, warp_image, write_image
from darkpose.predict.draw import draw_faces

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PHOTO = Path(__file__).parents[1] / "examples" / "astronaut.png"
SIDE = 360  # px of each turned photograph


def plot(path: Path, detectors: dict[str, Any]) -> None:
    """Average precision by roll, and recall by the number of false faces."""

    def draw(axes: "list[Axes]") -> None:
        by_roll, by_false = axes
        for name, facts in detectors.items():
            turned = {int(degrees): each["average_precision"] for degrees, each in facts["turned"].items()}
            by_roll.plot(list(turned), list(turned.values()), marker="o", markersize=4, label=name)
            recall = facts["upright"]["recall_by_false_an_image"]
            by_false.plot([float(each) for each in recall], list(recall.values()), marker="o", markersize=4, label=name)
        by_roll.set(xlabel="pictures turned by (degrees)", ylabel="average precision (%)", ylim=(0, 100))
        by_roll.set_xticks(range(0, 361, 45))
        by_false.set(xlabel="false faces in a picture", ylabel="recall (%)", ylim=(0, 100), xscale="log")
        for each in axes:
            each.grid(alpha=0.3)
            each.legend(fontsize=8)

    write_figure(path, (10, 3.8), draw, columns=2)


def turned(image: Pixels, degrees: float) -> Pixels:
    """The middle of a photograph turned clockwise."""
    angle, middle = np.deg2rad(degrees), (np.array(image.shape[1::-1]) - 1) / 2
    linear: Floats = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * SIDE / image.shape[0]
    return warp_image(image, np.column_stack([linear, (SIDE - 1) / 2 - linear @ middle]), (SIDE, SIDE))


def main(results: Path, docs: Path) -> None:
    """Write both pictures."""
    plot(docs / "detection.png", json.loads(results.read_text())["detectors"])
    predictor, photo, pictures = Predictor(), read_image(PHOTO), []
    for degrees in range(0, 360, 45):
        image = turned(photo, degrees)
        faces = predictor(image)
        print(degrees, [(face.rolled, round(face.detection_score, 2), round(face.score, 2)) for face in faces])
        pictures.append(draw_faces(image, faces))
    rows = [np.concatenate(pictures[row : row + 4], axis=1) for row in (0, 4)]
    cv2.setNumThreads(1)
    write_image(docs / "detection-turned.png", np.concatenate(rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
