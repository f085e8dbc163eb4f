"""DARK and "dark+" at the border of real heatmaps: border.py WEIGHTS 300W WFLW OUT.json

Every face of LFPW test and of WFLW's list is cropped eight times: the box is moved left, right, up or down until the
outermost landmark is 1.5 heatmap px inside the map, or 0.5 outside (every second face: 0.5 inside, 1.5 outside). The
same heatmaps are decoded by both methods. For the annotated landmarks by their distance from the border, the mean
errors in heatmap px and the paired difference, with 95 % bootstrap intervals over images. The crops of the boxes as
annotated are compared, too. WEIGHTS is a path or a shipped name, "default" the shipped ones for 68 landmarks; they must
be trained on none of these faces. The landmarks are the 68 of LFPW and the 98 of WFLW.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from surroundings import surroundings
from tqdm import tqdm

from darkpose.codec.heatmap import decode
from darkpose.datasets.sample import Sample
from darkpose.datasets.w300 import LFPW_TEST_FOLDERS, read_300w
from darkpose.datasets.wflw import read_wflw
from darkpose.evaluation.metrics import bootstrap_interval
from darkpose.evaluation.predict_samples import cut_samples
from darkpose.files.atomic import write_text
from darkpose.image.geometry import STRIDE, box_to_crop, crop_to_heatmap, image_to_crop, transform
from darkpose.runtime.open import Engine, OpenedWeights, open_weights
from darkpose.schema import W300_68, WFLW_98
from darkpose.weights.zoo import resolve_name

Floats = NDArray[np.float64]
INSIDE = ((1.5, -0.5), (0.5, -1.5))  # heatmap px of the outermost landmark inside the map; every second face
BATCH = 8
ZONES = {
    "1 to 2 px outside": (-2.0, -1.0),
    "up to 1 px outside": (-1.0, 0.0),
    "up to 1 px inside": (0.0, 1.0),
    "1 to 2 px inside": (1.0, 2.0),
    "2 to 3 px inside": (2.0, 3.0),
    "3 to 4 px inside": (3.0, 4.0),
    "4 px inside and more": (4.0, np.inf),
}


def in_heatmap(sample: Sample, config: Any) -> Floats:
    """The annotated landmarks in heatmap px, (K, 2); NaN where not annotated."""
    center, sides = box_to_crop(sample.box, padding=config.padding)
    matrix = image_to_crop(center, float(sides[0]), (config.crop_size, config.crop_size))
    cells = crop_to_heatmap(transform(matrix, sample.keypoints))
    return np.where(sample.visible[:, None] > 0, cells, np.nan)


def moved(sample: Sample, config: Any, places: tuple[float, float]) -> Iterator[Sample]:
    """The face under boxes moved until landmarks meet a border of the map."""
    cells, last = in_heatmap(sample, config), config.crop_size // STRIDE - 1
    pixels = float(box_to_crop(sample.box, padding=config.padding)[1][0]) / (last + 1)  # image px of a heatmap px
    for inside in places:
        for axis in (0, 1):
            low = np.nanmin(cells[:, axis]) - inside
            high = np.nanmax(cells[:, axis]) - (last - inside)
            for way in (low, high):
                shift = np.zeros(4)
                shift[[axis, axis + 2]] = way * pixels
                yield replace(sample, box=sample.box + shift)


def errors(weights: OpenedWeights, samples: list[Sample]) -> dict[str, NDArray[Any]]:
    """Of every annotated landmark: distance from the border, error by both methods, both heatmap px, and image."""
    config, found = weights.config, []
    last = config.crop_size // STRIDE - 1
    for start in tqdm(range(0, len(samples), BATCH), disable=None):
        some = samples[start : start + BATCH]
        crops, _, _ = cut_samples(some, config.crop_size, config.padding)
        heatmaps = np.asarray(weights.network(np.stack(list(crops))))
        dark = decode(heatmaps, method="dark", kernel_size=config.kernel_size)
        plus = decode(heatmaps, method="dark+", kernel_size=config.kernel_size)
        cells = np.stack([in_heatmap(sample, config) for sample in some])
        border = np.minimum(cells, last - cells).min(axis=-1)
        off = [np.linalg.norm(each.points - cells, axis=-1) for each in (dark, plus)]
        images = np.broadcast_to([[str(sample.image)] for sample in some], border.shape)
        known = np.isfinite(border)
        found.append([each[known] for each in (border, *off, images)])
    return dict(zip(("border", "dark", "dark+", "image"), map(np.concatenate, zip(*found, strict=True)), strict=True))


def zones(found: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Means and paired differences by distance from the border."""
    table = {}
    for name, (low, high) in ZONES.items():
        chosen = (found["border"] >= low) & (found["border"] < high)
        if not chosen.any():
            continue
        dark, plus, images = (found[key][chosen] for key in ("dark", "dark+", "image"))
        interval = bootstrap_interval((plus - dark)[:, None], lambda rows: float(rows.mean()), groups=images)
        table[name] = {
            "landmarks": int(chosen.sum()),
            "dark": round(float(dark.mean()), 4),
            "dark+": round(float(plus.mean()), 4),
            "median dark": round(float(np.median(dark)), 4),
            "median dark+": round(float(np.median(plus)), 4),
            "dark+ minus dark": round(float((plus - dark).mean()), 4),
            "interval": [round(each, 4) for each in interval],
        }
    return table


def main(weights: str, w300: str, wflw: str, out: str) -> None:
    """Measure and write."""
    sets = {
        "LFPW test": (W300_68, read_300w(Path(w300), LFPW_TEST_FOLDERS)),
        "WFLW": (WFLW_98, read_wflw(Path(wflw))),
    }
    results: dict[str, Any] = {}
    known = resolve_name(weights, W300_68.name)
    for name, (schema, samples) in sets.items():
        opened = open_weights(known, schema.name, Engine("onnxruntime"))
        if opened.provenance.get("test_images_learnt"):
            sys.exit(f"{known} was trained on the faces of WFLW")
        numbered = list(enumerate(samples))
        shifted = [each for i, sample in numbered for each in moved(sample, opened.config, INSIDE[i % 2])]
        for boxes, faces in {"as annotated": samples, "moved": shifted}.items():
            table = zones(errors(opened, faces))
            results[f"{name}, boxes {boxes}"] = {"faces": len(samples), "crops": len(faces), "zones": table}
    content = {**surroundings(), "method": __doc__, "weights": known, "results": results}
    write_text(Path(out), json.dumps(content, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
