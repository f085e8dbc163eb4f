"""Small sets of one's own annotations, in the formats of annotation tools."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from darkpose.datasets.annotations import Annotations
from darkpose.datasets.sample import Sample
from darkpose.image.pixels import write_image
from darkpose.schema import KeypointSchema

NAMES = ("left_ear", "right_ear", "snout", "tail")
CAT = KeypointSchema("cat", NAMES, ((0, 1),), ((0, 2), (1, 2)))
POINTS = np.array([[10.5, 20.0], [30.25, 20.5], [20.0, 40.0], [50.0, 44.0]])
WIDTH, HEIGHT = 64, 48
BOX = (5.0, 6.0, 55.0, 46.0)
CATEGORY = {"id": 1, "name": "cat", "keypoints": list(NAMES), "skeleton": [[1, 3], [2, 3]]}
YAML = """
path: ../datasets/cats
train: images/train
val: images/val
kpt_shape: [4, 3]
flip_idx: [1, 0, 2, 3]
names: {0: cat}
"""
XML = """<?xml version='1.0' encoding='ISO-8859-1'?>
<?xml-stylesheet type='text/xsl' href='image_metadata_stylesheet.xsl'?>
<dataset><name>cats</name><images>
<image file='a.png'>
  <box top='6' left='5' width='50' height='40'><label>cat</label>
    <part name='0' x='10' y='20'/><part name='1' x='30' y='20'/><part name='10' x='50' y='44'/>
    <part name='2' x='1' y='2'/>
  </box>
  <box top='1' left='2' width='9' height='9' ignore='1'/>
</image>
</images></dataset>"""


def picture(folder: Path, name: str = "a.png") -> Path:
    """A grey picture, and its folder."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    write_image(folder / name, np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    return folder / name


def annotations(image: Path, visible: Sequence[float] = (1, 1, 1, 1), **changes: Any) -> Annotations:
    """One cat."""
    seen = np.array(visible, np.float64)
    keypoints = np.where(seen[:, None] > 0, changes.get("keypoints", POINTS), 0)
    sample = Sample(image, keypoints, seen, np.array(BOX))
    return Annotations([sample], CAT, "coco", (), (np.zeros(4, bool),), "cat")


def coco_annotation(**changes: Any) -> dict[str, Any]:
    values = [value for x, y in POINTS.tolist() for value in (x, y, 2)]
    box = [BOX[0], BOX[1], BOX[2] - BOX[0], BOX[3] - BOX[1]]
    return {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "keypoints": values, "bbox": box, **changes}


def coco_content(*found: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": list(found) or [coco_annotation()],
        "categories": [CATEGORY],
        **changes,
    }


def coco_file(folder: Path, *found: dict[str, Any], **changes: Any) -> Path:
    """A COCO file next to its picture."""
    picture(folder)
    file = folder / "cats.json"
    file.write_text(json.dumps(coco_content(*found, **changes)))
    return file


def yolo_line(visibility: Sequence[int] = (2, 2, 2, 2), number: int = 0) -> str:
    x0, y0, x1, y1 = BOX
    box = [(x0 + x1) / 2 / WIDTH, (y0 + y1) / 2 / HEIGHT, (x1 - x0) / WIDTH, (y1 - y0) / HEIGHT]
    points = [f"{x / WIDTH} {y / HEIGHT} {v}" for (x, y), v in zip(POINTS.tolist(), visibility, strict=True)]
    return " ".join([str(number), *map(str, box), *points])


def yolo_set(folder: Path, *lines: str, yaml: str = YAML) -> Path:
    """A YAML file with labels/train/a.txt and images/train/a.png."""
    picture(folder, "images/train/a.png")
    (folder / "labels" / "train").mkdir(parents=True, exist_ok=True)
    (folder / "labels" / "train" / "a.txt").write_text("\n".join(lines or (yolo_line(),)) + "\n")
    (folder / "data.yaml").write_text(yaml)
    return folder / "data.yaml"
