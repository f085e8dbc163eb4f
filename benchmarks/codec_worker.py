"""One environment of the codec's benchmark, asked by `codec.py` through pipes: codec_worker.py ENVIRONMENT FOLDER

Imports NumPy, torch, and the package of its environment: darkpose or another (`codec_peers`). FOLDER holds the inputs.
Every line of the input is a question in JSON, every line of the output the answer.
"""

import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from codec_peers import KERNEL, PEERS, THREADS, Maps, Works
from numpy.typing import NDArray

TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
PACKAGES = (
    *("numpy", "torch", "numba", "mmcv", "mmcv-lite", "mmengine", "mmpose", "opencv-python-headless", "scipy"),
    *("transformers", "kornia", "lightning-pose", "sleap-nn"),
)


def _busy() -> float | None:
    """Seconds that all cores have worked; None where the system does not tell."""
    path = Path("/proc/stat")
    if not path.exists():
        return None
    user, nice, system, _, _, irq, softirq, steal = map(int, path.read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


def timed(work: Callable[[], Any], seconds: float) -> dict[str, Any]:
    """Call for some time: milliseconds of every call, and how many cores others kept busy meanwhile.

    A first call is not counted, unless it alone takes longer than that.
    """
    times = []
    own, busy, began = time.process_time(), _busy(), time.perf_counter()
    while True:
        started = time.perf_counter()
        work()
        now = time.perf_counter()
        times.append(1000 * (now - started))
        if now - began > seconds:
            break
    taken = now - began
    foreign = None if busy is None else ((_busy() or 0) - busy - (time.process_time() - own)) / taken
    return {"ms": times[1:] or times, "foreign": foreign}


def shared_works(maps: Maps) -> Works:
    """The limits: no decoder can be faster than one pass over the maps."""
    flat, tensor, copy = maps.reshape(-1, maps[0, 0].size), torch.from_numpy(maps), np.empty_like(maps)
    return {
        "torch.amax": lambda: tensor.flatten(2).amax(-1),
        "np.argmax": lambda: flat.argmax(1),
        "memory copy": lambda: np.copyto(copy, maps),
    }


# ------------------------------------------------------------------------------------------------------- darkpose


def darkpose_decoders(maps: Maps) -> Works:
    """All paths; the limits beside them."""
    heatmap, dark_numpy = import_module("darkpose.codec.heatmap"), import_module("darkpose.codec.dark")
    decode_torch = import_module("darkpose.codec.dark_torch").decode_torch
    taps = import_module("darkpose.codec.dark").modulation_kernel(KERNEL)
    flat, tensor = maps.reshape(-1, *maps.shape[2:]), torch.from_numpy(maps)
    halves = {"bfloat16": tensor.bfloat16(), "float16": tensor.half()}
    works = shared_works(maps)
    for method in ("argmax", "quarter", "dark", "dark+"):
        works[f"fused {method}"] = lambda method=method: heatmap.decode(maps, method=method).points  # type: ignore[misc]
    for name, half in halves.items():
        works[f"fused dark, {name}"] = lambda half=half: heatmap.decode(half).points.numpy()  # type: ignore[misc]
    for method in ("dark", "dark+"):
        works[f"NumPy {method}"] = lambda method=method: dark_numpy.decode_maps(flat, method, taps)[0]  # type: ignore[misc]
        works[f"torch {method}"] = lambda method=method: decode_torch(tensor, method=method)[0].numpy()  # type: ignore[misc]
    return works


def darkpose_encoders(points: NDArray[np.float64], size: tuple[int, int]) -> Works:
    """Heatmaps of points, and the loss with and without them."""
    encode, loss = import_module("darkpose.codec.heatmap").encode, import_module("darkpose.training.losses")
    tensor = torch.from_numpy(points)
    buffer = np.zeros((*points.shape[:2], size[1], size[0]), np.float32)
    shared = torch.from_numpy(buffer)
    output = torch.rand(buffer.shape, generator=torch.Generator().manual_seed(0), requires_grad=True)

    def step(value: torch.Tensor) -> None:
        output.grad = None
        value.backward()  # type: ignore[no-untyped-call]

    def to_the_tensor(out: torch.Tensor | None = None) -> torch.Tensor:
        return loss.heatmap_mse(output, *encode(tensor, size=size, out=out))  # type: ignore[no-any-return]

    return {
        "fill a buffer": lambda: buffer.fill(1.0),
        "full, buffer": lambda: encode(points, size=size, out=buffer)[0],
        "full, fresh": lambda: encode(points, size=size)[0],
        "truncated, buffer": lambda: encode(points, size=size, truncate=True, out=buffer)[0],
        "truncated, fresh": lambda: encode(points, size=size, truncate=True)[0],
        "rounded, buffer": lambda: encode(points, size=size, unbiased=False, out=buffer)[0],
        "rounded, fresh": lambda: encode(points, size=size, unbiased=False)[0],
        "loss: heatmap_mse, fresh targets": lambda: step(to_the_tensor()),
        "loss: heatmap_mse, targets in a buffer": lambda: step(to_the_tensor(shared)),
        "loss: keypoint_mse": lambda: step(loss.keypoint_mse(output, tensor)),
    }


def makers(environment: str) -> tuple[Callable[[Maps], Works], Callable[[NDArray[np.float64], tuple[int, int]], Works]]:
    """What makes an environment's decoders, and its encoders."""
    if environment == "darkpose":
        return darkpose_decoders, darkpose_encoders
    return PEERS[environment]


class Worker:
    """What one environment can do with the inputs in a folder."""

    def __init__(self, environment: str, folder: Path) -> None:
        self.folder, self.environment = folder, environment
        self.decoders, self.encoders = makers(environment)
        self.inputs = {path.stem: np.load(path) for path in sorted(folder.glob("decode *.npy"))}
        self.works = {name: self.decoders(maps) for name, maps in self.inputs.items()}
        self.grown: dict[tuple[int, int], Maps] = {}
        self.works["encode"] = self.encoders(np.load(folder / "points.npy"), (64, 64))

    def names(self) -> dict[str, Any]:
        """The works by input, and versions of what they are made with."""
        versions = {"Python": sys.version.split()[0]}
        for package in PACKAGES:
            try:
                versions[package] = version(package)
            except PackageNotFoundError:
                continue
        return {"works": {group: list(works) for group, works in self.works.items()}, "versions": versions}

    def time(self, group: str, name: str, seconds: float) -> dict[str, Any]:
        """Of one work."""
        return timed(self.works[group][name], seconds)

    def result(self, group: str, name: str, file: str) -> None:
        """Write what one work returns."""
        np.save(self.folder / file, self.works[group][name]())

    def batch_of_one(self, group: str, name: str, file: str) -> None:
        """Write what one decoder finds in the same maps, sample by sample."""
        np.save(self.folder / file, np.concatenate([self.decoders(m[None])[name]() for m in self.inputs[group]]))

    def grow(self, count: int, most: int, points: int, side: int, seconds: float) -> dict[str, Any]:
        """Time the fused decoder, on one thread, on so many of `most` samples of maps that are made for this."""
        heatmap = import_module("darkpose.codec.heatmap")
        if (points, side) not in self.grown:
            rng = np.random.default_rng(points)
            maps, _ = heatmap.encode(rng.uniform(4, side - 5, (most, points, 2)), size=(side, side))
            self.grown[points, side] = maps + np.float32(0.02) * rng.standard_normal(maps.shape, np.float32)
        maps = self.grown[points, side][:count]
        torch.set_num_threads(1)
        try:
            return timed(lambda: heatmap.decode(maps), seconds)
        finally:
            torch.set_num_threads(THREADS)


def main(environment: str, folder: Path) -> None:
    """Answer until the input ends."""
    answers = os.fdopen(os.dup(1), "w")  # what packages print goes elsewhere
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    torch.set_num_threads(THREADS)
    worker = Worker(environment, folder)
    answers.write(json.dumps(worker.names()) + "\n")
    answers.flush()
    for line in sys.stdin:
        question, *arguments = json.loads(line)
        answers.write(json.dumps(getattr(worker, question)(*arguments)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
