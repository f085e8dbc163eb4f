"""Feeding of training and the step it feeds: feeding.py DATA [quick]

DATA holds 300w/ and wflw/. Writes benchmarks/feeding.json; with "quick", prints a short trial with a tiny network, for
nothing but to see that it runs. All is measured in one process and in turns, a turn of every way a round; numbers are
medians over the rounds, whose values stand beside them, and "over_reference" medians of the ratios within a round.

ways      Faces per second of one process with one thread, from the samples to a batch of 16 normalised float crops
          of 256 px with heatmaps: "reference" (MMPose 0.x's way, see reference_feeding.py), "image" (AugmentedFaces on
          the image files), "cached" (the same on a crop cache), "pixels" (on one of uncompressed crops), "device"
          (CachedFaces and augment_on_device, whose work is here done by the same thread, unless the machine has a GPU);
          the published augmentation, and for all but the first "damaged", that of the recipe `faces`; each has caches
          of its own, as large as it needs. Files are in the system's cache. The host's share of "device" is
          "device, host": what a loader process does.
cache     Seconds to make the crop caches, faces, their sides and sizes on disk, as JPEGs and as pixels.
targets   Milliseconds for the heatmaps of 16 faces of 98 landmarks, 64x64: the per-joint loop, and heatmap.encode.
step      Seconds of a training step of HRNetV2-W18 (68 landmarks, 256 px, batch 16): eager in NCHW and float32, and
          channels-last under bf16 autocast; all threads. Heatmaps are made beforehand.
together  Both, fed by one loader process: reference and the float32 step, cached or device and the bf16 step; steps per
          second, and the share of the time that the step waits for its batch (for "device": and works on it).
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from reference_feeding import ReferenceFaces, targets_one_by_one
from surroundings import surroundings
from torch import Tensor
from torch.utils.data import DataLoader, default_collate

from darkpose.codec.heatmap import encode
from darkpose.datasets.sample import Sample
from darkpose.datasets.w300 import read_300w
from darkpose.datasets.wflw import read_wflw
from darkpose.image.geometry import crop_to_heatmap
from darkpose.image.pixels import Normalisation
from darkpose.network.hrnet import HRNet, initialise
from darkpose.schema import W300_68, WFLW_98, KeypointSchema
from darkpose.training.augment import AugmentConfig
from darkpose.training.crop_cache import CropCache, open_crop_cache
from darkpose.training.crops import AugmentedFaces, Batch
from darkpose.training.gpu.batches import CachedFaces, augment_on_device
from darkpose.training.losses import heatmap_mse
from darkpose.training.memory import keep_freed_memory
from darkpose.training.recipes import FACES_300W
from darkpose.training.step import normalise_on_device
from darkpose.weights.checkpoint import HRNetConfig

SIZE, BATCH, SEED = 256, 16, 0
PUBLISHED, DAMAGED = AugmentConfig(), FACES_300W.train.augment
AUGMENTS = {"": PUBLISHED, ", damaged": DAMAGED}
KINDS = {"cached": False, "pixels": True}  # of caches, and whether their crops are uncompressed
OUT = Path("benchmarks/feeding.json")
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Lengths(NamedTuple):
    """How much is measured: faces of a data set, rounds, batches of a way, rounds of steps, steps together; by what."""

    faces: int
    rounds: int
    batches: int
    step_rounds: int
    together: int
    network: HRNetConfig


FULL = Lengths(256, 5, 4, 3, 6, HRNetConfig(len(W300_68)))
QUICK = Lengths(16, 1, 1, 1, 2, HRNetConfig(len(W300_68), (4, 4, 4, 4), modules=(1, 1, 1), blocks=1, stem=4))
Inputs = tuple[Tensor, Tensor, Tensor]  # crops (N, 3, size, size), heatmaps (N, K, H, W), weights (N, K)


def with_targets(batch: Batch) -> Inputs:
    """Crops of a batch normalised, its keypoints as heatmaps, on the device that it is on."""
    side = SIZE // 4
    heatmaps, weights = encode(crop_to_heatmap(batch.keypoints), batch.visible, size=(side, side))
    return normalise_on_device(batch.crops, Normalisation()), heatmaps, weights


def seconds(work: Callable[[], object]) -> float:
    """Of one call, until the device has done it."""
    began = time.perf_counter()
    work()
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def in_turns(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every work in every round; a round before them is not counted."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            taken = seconds(work)
            if number:
                found[name].append(taken)
    return found


def summary(values: Iterable[float], digits: int = 2) -> dict[str, Any]:
    """Median and all values."""
    rounded = [round(value, digits) for value in values]
    return {"median": round(median(rounded), digits), "rounds": rounded}


def ways(
    samples: list[Sample], caches: dict[tuple[str, str], CropCache], schema: KeypointSchema, lengths: Lengths
) -> dict[str, Any]:
    """Faces per second of every way to a batch."""
    keys = list(islice(cycle([(0, index) for index in range(len(samples))]), BATCH * lengths.batches))
    groups = [keys[first : first + BATCH] for first in range(0, len(keys), BATCH)]
    works: dict[str, Callable[[], object]] = {}
    reference = ReferenceFaces(samples, schema, SIZE, PUBLISHED)
    works["reference"] = lambda: [default_collate([reference[i] for _, i in group]) for group in groups]
    for suffix, augment in AUGMENTS.items():
        on_host = {"image": AugmentedFaces(samples, schema, SIZE, augment, SEED)}
        for kind in KINDS:
            cache = caches[kind, suffix]
            on_host[kind] = AugmentedFaces(cache.samples, schema, SIZE, augment, SEED, pixels=cache.pixels)
        for kind, faces in on_host.items():
            works[kind + suffix] = lambda faces=faces: [  # type: ignore[misc]
                with_targets(default_collate([faces[key] for key in group])) for group in groups
            ]
        uncut = CachedFaces(caches["cached", suffix], schema, SIZE, augment, SEED)
        works["device, host" + suffix] = lambda faces=uncut: [  # type: ignore[misc]
            default_collate([faces[key] for key in group]) for group in groups
        ]
        works["device" + suffix] = lambda faces=uncut: [  # type: ignore[misc]
            with_targets(augment_on_device(default_collate([faces[key] for key in group]), SIZE, DEVICE))
            for group in groups
        ]
    found = in_turns(works, lengths.rounds)
    return {name: summary((len(keys) / taken for taken in every), 1) for name, every in found.items()}


def targets(lengths: Lengths) -> dict[str, Any]:
    """Milliseconds for the heatmaps of a batch of 98 landmarks."""
    points = np.random.default_rng(SEED).uniform(0, SIZE, (BATCH, 98, 2))
    seen, side = np.ones((BATCH, 98)), SIZE // 4
    tensors = torch.from_numpy(points).to(DEVICE), torch.from_numpy(seen).to(DEVICE)
    works: dict[str, Callable[[], object]] = {
        "loop": lambda: np.stack([targets_one_by_one(p, v, SIZE, side)[0] for p, v in zip(points, seen, strict=True)]),
        "encode, NumPy": lambda: encode(crop_to_heatmap(points), seen, size=(side, side)),
        "encode, torch": lambda: encode(crop_to_heatmap(tensors[0]), tensors[1], size=(side, side)),
    }
    return {name: summary(1000 * t for t in every) for name, every in in_turns(works, 4 * lengths.rounds).items()}


class Trainer:
    """A network and its optimizer, in one of two ways.

    Args:
        network: its shape.
        modern: channels-last under bf16 autocast, as darkpose trains; else NCHW in float32.
    """

    def __init__(self, network: HRNetConfig, *, modern: bool) -> None:
        self.modern, model = modern, HRNet(network)
        initialise(model, seed=SEED)
        self.layout = torch.channels_last if modern else torch.contiguous_format
        self.model = model.to(DEVICE, memory_format=self.layout).train()  # type: ignore[call-overload]
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=modern)

    def step(self, inputs: Inputs) -> None:
        """One step on a batch."""
        crops, heatmaps, weights = inputs
        self.optimizer.zero_grad()
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=self.modern):
            output = self.model(crops.to(DEVICE).contiguous(memory_format=self.layout))
        loss = heatmap_mse(output.float(), heatmaps.to(DEVICE), weights.to(DEVICE))
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        loss.item()


def waiting(batches: Iterator[Inputs], trainer: Trainer, steps: int) -> dict[str, Any]:
    """Steps of a fed trainer after its first; how many per second, and the share of waiting for a batch."""
    trainer.step(next(batches))
    waited, began = 0.0, time.perf_counter()
    for _ in range(steps):
        asked = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - asked
        trainer.step(batch)
    total = time.perf_counter() - began
    return {"steps_per_second": round(steps / total, 3), "waiting_share": round(waited / total, 4)}


def together(samples: list[Sample], cache: CropCache, trainers: dict[str, Trainer], steps: int) -> dict[str, Any]:
    """Feeding by one loader process, and steps."""
    numbers = list(islice(cycle(range(len(samples))), BATCH * (steps + 3)))
    groups = [numbers[first : first + BATCH] for first in range(0, len(numbers), BATCH)]
    reference = ReferenceFaces(samples, W300_68, SIZE, PUBLISHED)
    cached = AugmentedFaces(cache.samples, W300_68, SIZE, PUBLISHED, SEED, pixels=cache.pixels)
    uncut = CachedFaces(cache, W300_68, SIZE, PUBLISHED, SEED)
    keyed = [[(0, number) for number in group] for group in groups]

    def loader(faces: Any, order: Any) -> Iterator[Any]:
        return iter(DataLoader(faces, batch_sampler=order, num_workers=1, pin_memory=DEVICE.type == "cuda"))

    fed: dict[str, Callable[[], Iterator[Inputs]]] = {
        "reference, float32": lambda: ((c, h, w[..., 0]) for c, h, w in loader(reference, groups)),
        "cached, bf16": lambda: (with_targets(on_device(batch)) for batch in loader(cached, keyed)),
        "device, bf16": lambda: (with_targets(augment_on_device(b, SIZE, DEVICE)) for b in loader(uncut, keyed)),
    }
    return {name: waiting(batches(), trainers[name.split(", ")[1]], steps) for name, batches in fed.items()}


def on_device(batch: Batch) -> Batch:
    """The batch, where the training step is."""
    crops, keypoints, visible = (part.to(DEVICE, non_blocking=True) for part in batch[:3])
    return Batch(crops, keypoints, visible, batch.wanted, batch.taken)


def main(data: Path, lengths: Lengths) -> dict[str, Any]:
    """Measure."""
    cv2.setNumThreads(1)
    keep_freed_memory()  # as training does
    threads, began = torch.get_num_threads(), time.perf_counter()
    every = {"300w": (read_300w(data / "300w"), W300_68), "wflw": (read_wflw(data / "wflw"), WFLW_98)}
    results: dict[str, Any] = {"ways": {}, "cache": {}}
    with tempfile.TemporaryDirectory() as folder:
        torch.set_num_threads(1)
        caches = {}
        for name, (samples, schema) in every.items():
            chosen = [samples[i] for i in np.random.default_rng(SEED).permutation(len(samples))[: lengths.faces]]
            started = time.perf_counter()
            where = Path(folder) / name
            made = {
                (kind, suffix): open_crop_cache(
                    where, chosen, crop_size=SIZE, augment=augment, uncompressed=KINDS[kind]
                )
                for kind in KINDS
                for suffix, augment in AUGMENTS.items()
            }
            facts = {"seconds, all": round(time.perf_counter() - started, 2), "faces": len(chosen)}
            sizes = {
                f"side, kB a face, {kind}{suffix}": [
                    cache.side,
                    round(cache.path.stat().st_size / 1000 / len(chosen), 1),
                ]
                for (kind, suffix), cache in made.items()
            }
            results["cache"][name] = facts | sizes
            results["ways"][name] = ways(chosen, made, schema, lengths)
            caches[name] = chosen, made["cached", ""]
        results["targets"] = targets(lengths)
        torch.set_num_threads(threads)
        trainers = {name: Trainer(lengths.network, modern=name == "bf16") for name in ("float32", "bf16")}
        first = AugmentedFaces(caches["300w"][0], W300_68, SIZE, PUBLISHED, SEED)
        inputs = with_targets(on_device(default_collate([first[0, index] for index in range(BATCH)])))
        works: dict[str, Callable[[], object]] = {n: lambda t=t: t.step(inputs) for n, t in trainers.items()}  # type: ignore[misc]
        found = in_turns(works, lengths.step_rounds)
        results["step"] = {name: summary(taken, 3) for name, taken in found.items()}
        results["together"] = together(*caches["300w"], trainers, lengths.together)
    ratios = {name: speed_ups(faces) for name, faces in results["ways"].items()}
    return {
        **{**surroundings(), "opencv": cv2.__version__, "device": str(DEVICE), "method": __doc__},
        "seconds": round(time.perf_counter() - began),
        "over_reference": ratios,
        "results": results,
    }


def speed_ups(rates: dict[str, Any]) -> dict[str, float]:
    """Medians over the reference's, round by round."""
    base = rates["reference"]["rounds"]
    return {
        name: round(median(a / b for a, b in zip(rate["rounds"], base, strict=True)), 2)
        for name, rate in rates.items()
        if name != "reference"
    }


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or sys.argv[2:] not in ([], ["quick"]):
        sys.exit(__doc__)
    trial = sys.argv[2:] == ["quick"]
    text = json.dumps(main(Path(sys.argv[1]), QUICK if trial else FULL), indent=1)
    print(text) if trial else OUT.write_text(text + "\n")
