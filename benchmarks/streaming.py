"""Benchmark of reading ahead of the network: streaming.py [quick]

Writes benchmarks/streaming.json; with "quick", prints a short trial. 8 JPEG files of 768 px are made from the bundled
photograph. Measured are the images per second of `stream` in batches of 4 with 0 (not ahead), 1 and 2 threads, which
alternate in one process: medians and values of the rounds; "over_none", the median ratio to 0 threads in the same
round; and "cpu_ms", CPU time per image, the cost on a machine without idle cores. OpenCV and torch use one thread each,
so that all other threads are those that read ahead.

decode    No faces: reading and decoding only.
haar      Faces by the Haar cascade and a tiny network: the work of the CPU next to a GPU.
yunet     The same with YuNet, if its file is available.
predict   Faces by the better of these detectors and the shipped weights, on the CPU.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import torch
from surroundings import surroundings

from darkpose.detect.detector import named_detector
from darkpose.detect.haar import Haar
from darkpose.image.opencv import use_one_thread
from darkpose.image.pixels import Pixels, read_image, write_image
from darkpose.network.checkpoint import Checkpoint, save_checkpoint
from darkpose.network.hrnet import HRNet, initialise
from darkpose.predict.predictor import Predictor
from darkpose.predict.stream import stream
from darkpose.schema import W300_68
from darkpose.weights.checkpoint import CheckpointConfig, HRNetConfig

PHOTO, OUT = Path("examples/astronaut.png"), Path("benchmarks/streaming.json")
THREADS = (0, 1, 2)
BATCH = 4
SMALL = HRNetConfig(len(W300_68), widths=(4, 4, 4, 4), modules=(1, 1, 1), blocks=1, stem=4)
Read = tuple[Pixels, list[list[float]] | None]  # an image; its boxes, or None to detect faces


def small_weights(path: Path) -> Path:
    """Weights of a tiny network."""
    model = HRNet(SMALL).eval()
    initialise(model, seed=0, head_std=0.5)
    save_checkpoint(Checkpoint(model, CheckpointConfig(SMALL, crop_size=64), W300_68, {}), path)
    return path


def rates(images: list[Path], read: Callable[[Path], Read], predictor: Predictor, rounds: int) -> dict[str, Any]:
    """Images per second by the number of threads."""
    found: dict[int, list[float]] = {threads: [] for threads in THREADS}
    cpu: dict[int, list[float]] = {threads: [] for threads in THREADS}
    for number in range(rounds + 1):
        for threads in THREADS:
            began, spent = time.perf_counter(), time.process_time()
            results = stream(predictor, images, read, threads=threads)
            assert sum(result.image is not None for result in results) == len(images)
            if number:  # the first round warms up
                found[threads].append(len(images) / (time.perf_counter() - began))
                cpu[threads].append(1000 * (time.process_time() - spent) / len(images))
    return {
        str(threads): {
            "median": round(median(values), 2),
            "over_none": round(median(a / b for a, b in zip(values, found[0], strict=True)), 2),
            "cpu_ms": round(median(cpu[threads]), 1),
            "rounds": [round(value, 2) for value in values],
        }
        for threads, values in found.items()
    }


def measure(folder: Path, count: int, rounds: int) -> dict[str, Any]:
    """Images per second of each part of the work."""
    picture = np.asarray(cv2.resize(read_image(PHOTO), (768, 768), interpolation=cv2.INTER_CUBIC), np.uint8)
    images = [folder / f"{number}.jpg" for number in range(count)]
    for image in images:
        write_image(image, picture)
    best = named_detector("auto")
    detectors = {one.name: one for one in (Haar(), best)}
    small = small_weights(folder / "small.safetensors")
    light = {name: Predictor(small, "cpu", detector=one, batch_size=BATCH) for name, one in detectors.items()}
    whole = Predictor(device="cpu", detector=best, batch_size=BATCH)
    found = {"decode": rates(images, lambda path: (read_image(path), []), light["haar"], rounds)}
    for name, predictor in {**light, "predict": whole}.items():
        found[name] = rates(images, lambda path: (read_image(path), None), predictor, rounds)
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    use_one_thread()
    quick = sys.argv[1:] == ["quick"]
    with tempfile.TemporaryDirectory() as made:
        result = {**surroundings(), "images_per_second": measure(Path(made), *((4, 1) if quick else (8, 5)))}
    text = json.dumps(result, indent=1)
    if quick:
        print(text)
    else:
        OUT.write_text(text + "\n")
