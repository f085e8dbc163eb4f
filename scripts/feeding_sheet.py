"""Draw training crops made in three ways, next to each other: feeding_sheet.py 300W OUT.png

Each row shows one of eight faces of 300-W with one augmentation of the recipe `faces`: cut from the image, from the
cache, and from the cache on the device, with its landmarks. The three must look the same except for their noise.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import default_collate

from darkpose.datasets.w300 import read_300w
from darkpose.image.pixels import Pixels, write_image
from darkpose.predict.draw import draw_faces
from darkpose.predict.face import Face
from darkpose.schema import W300_68
from darkpose.training.crop_cache import open_crop_cache
from darkpose.training.crops import AugmentedFaces, Batch
from darkpose.training.gpu.batches import CachedFaces, augment_on_device
from darkpose.training.recipes import FACES_300W

SIZE, FACES, SEED = 256, 8, 5
AUGMENT = FACES_300W.train.augment


def drawn(batch: Batch, row: int) -> Pixels:
    """One crop of a batch with its landmarks."""
    crop = np.ascontiguousarray(batch.crops[row].permute(1, 2, 0).cpu().numpy())
    points, box = batch.keypoints[row].cpu().numpy().astype(np.float32), np.array([0.0, 0.0, SIZE, SIZE])
    return draw_faces(crop, [Face(points, np.ones(len(points), np.float32), box, W300_68)], boxes=False)


def main(root: Path, out: Path) -> None:
    """Draw the sheet and write it."""
    every = read_300w(root)
    samples = [every[index] for index in np.random.default_rng(SEED).permutation(len(every))[:FACES]]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory() as folder:
        cache = open_crop_cache(Path(folder), samples, crop_size=SIZE, augment=AUGMENT)
        image = AugmentedFaces(samples, W300_68, SIZE, AUGMENT, SEED)
        cached = AugmentedFaces(cache.samples, W300_68, SIZE, AUGMENT, SEED, pixels=cache.pixels)
        uncut = CachedFaces(cache, W300_68, SIZE, AUGMENT, SEED)
        keys = [(0, index) for index in range(FACES)]
        ways = [default_collate([faces[key] for key in keys]) for faces in (image, cached)]
        ways.append(augment_on_device(default_collate([uncut[key] for key in keys]), SIZE, device))
    rows = [np.concatenate([drawn(way, row) for way in ways], axis=1) for row in range(FACES)]
    halves = [np.concatenate(rows[half], axis=0) for half in (slice(None, FACES // 2), slice(FACES // 2, None))]
    write_image(out, np.concatenate(halves, axis=1))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
