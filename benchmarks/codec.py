"""Speed of the codec beside other packages': codec.py OUT_FOLDER [quick]

Writes OUT_FOLDER/codec.json; with "quick", prints a short trial, for nothing but to see that it runs. Other packages
live in environments of their own, made by pip in darkpose's cache folder; one that cannot be made is noted with the
reason.

rounds     Every environment has one process of `codec_worker.py`, all with the same inputs and two threads, which are
           asked in turn: every work of every process, for a tenth of a second a round. A round of a work gives the
           median of its calls, without the first; results are medians over the rounds, beside the shortest of all
           calls. A round is quiet where other processes kept less than 0.3 cores busy, by /proc/stat; where at least
           five rounds are quiet, the others are left out.
ratios     Medians over the rounds of a work's time over the fused decoder's or encoder's in the same round; and the
           ratio of the shortest calls. A goal is met where both are.
inputs     Gaussians of sigma 2 and height 0.5 to 1 with noise of 0.02, made from a seed; 5 % lie within 3 px of a
           border. Weak ones: height 0.015 to 0.03, noise of 0.01.
decode     "batch" 64x98x64x64, "face" 1x98x64x64, "body" 64x17x64x48 (samples, landmarks, rows, columns), float32;
           "weak" as "face", of weak Gaussians. Decoders return coordinates in the heatmap; the limits (torch.amax,
           np.argmax, a copy) do less.
encode     64x98x64x64 from 64x98 points; "buffer" fills the same memory each time, "fresh" is given new memory. "loss"
           is the loss and its gradient, from keypoints and an output of this size.
growth     The fused decoder ("dark"), on one thread, by the number of samples, landmarks, or the side of the map; a
           line is fitted to the shortest calls, by least squares of relative residuals.
agreement  Largest differences of results, and how many points move by more than 0.01 px when 64 samples are decoded at
           once instead of one by one.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from codec_peers import SIGMA, THREADS
from numpy.typing import NDArray
from surroundings import surroundings

from darkpose.files.atomic import make_folder, write_text
from darkpose.files.download import cache_folder

Floats = NDArray[np.float64]

WORKER = Path(__file__).with_name("codec_worker.py")
QUIET, ENOUGH = 0.3, 5  # foreign cores; quiet rounds
SETTLE = 0.15  # seconds that the threads of another process may go on waiting actively
SEED, NOISE = 0, 0.02
SHAPES = {"decode batch": (64, 98, 64, 64), "decode face": (1, 98, 64, 64), "decode body": (64, 17, 64, 48)}
WEAK = {"decode weak": (1, 98, 64, 64)}  # a face whose peaks hardly stand out, heights and noise as in make_inputs
MOST = 128
GROWTH: dict[str, list[tuple[int, int, int, int]]] = {  # samples, samples to make, landmarks, side
    "samples": [(n, MOST, 98, 64) for n in (1, 2, 4, 8, 16, 32, 64, 128)],
    "landmarks": [(16, 16, k, 64) for k in (5, 19, 29, 68, 106, 196)],
    "side": [(16, 16, 97, side) for side in (32, 48, 64, 96, 128)],
}


class Lengths(NamedTuple):
    """How much is measured: rounds, and seconds of a work in each."""

    rounds: int
    seconds: float
    growth_seconds: float


FULL, QUICK = Lengths(15, 0.1, 0.06), Lengths(2, 0.01, 0.01)


class Peer(NamedTuple):
    """A package beside darkpose: the environment it lives in, and arguments of pip that fill this, step by step."""

    environment: str
    steps: tuple[tuple[str, ...], ...]


TORCH = ("wheel", "torch==2.13.0", "scipy==1.13.1", "pillow==11.3.0")
PEERS = {
    "mmpose": Peer(
        "mmpose",
        (
            (*TORCH, "numpy==1.26.4", "opencv-python-headless==4.11.0.86"),
            ("setuptools<70",),  # against torch's wish: mmcv is built by pkg_resources
            ("--no-build-isolation", "mmcv==1.7.2", "xtcocotools==1.14.3"),
            ("--no-deps", "mmpose==0.29.0", "json-tricks==3.17.3", "munkres==1.1.4"),
        ),
    ),
    "mmpose1": Peer(
        "mmpose1",
        (
            (*TORCH, "numpy==1.26.4", "opencv-python-headless==4.11.0.86"),
            (
                "addict==2.4.0",
                "pyyaml==6.0.4",
                "rich==15.0.0",
                "termcolor==3.3.0",
                "yapf==0.43.0",
                "munkres==1.1.4",
                "matplotlib==3.10.7",
            ),
            ("--no-deps", "mmpose==1.3.2", "mmengine==0.10.7", "mmcv-lite==2.2.0"),
        ),
    ),
    "transformers": Peer("others", (TORCH, ("transformers==5.23.0",))),
    "kornia": Peer("others", (TORCH, ("kornia==0.9.0",))),
    "lightning-pose": Peer(
        "others",
        (TORCH, ("kornia==0.9.0", "omegaconf==2.4.0", "jaxtyping==0.3.11"), ("--no-deps", "lightning-pose==2.4.3")),
    ),
    "sleap-nn": Peer("others", (TORCH, ("omegaconf==2.4.0", "loguru==0.7.3"), ("--no-deps", "sleap-nn==0.3.5"))),
}


# ------------------------------------------------------------------------------------------------------ environments


def installed(peer: Peer) -> Path:
    """The Python of a peer's environment, which is made where it is not there.

    Raises:
        RuntimeError: pip fails.
    """
    folder = cache_folder() / "bench" / peer.environment
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    for step in peer.steps:
        done = folder / f"done-{hashlib.sha256(' '.join(step).encode()).hexdigest()[:12]}"
        if not done.exists():
            print("pip install", *step, file=sys.stderr)
            call = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *step]
            ended = subprocess.run(call, capture_output=True, text=True, check=False)
            if ended.returncode:
                lines = [line for line in ended.stderr.splitlines() if line.startswith("ERROR")]
                raise RuntimeError(f"pip install {' '.join(step)}: {' '.join(lines[-1:]) or ended.stderr[-300:]}")
            done.touch()
    return python


class Asked:
    """A worker's process.

    Raises:
        RuntimeError: it does not start.
    """

    def __init__(self, name: str, python: Path, folder: Path) -> None:
        self.name, self.errors = name, folder / f"{name}.err"
        environment = {**os.environ, "OMP_NUM_THREADS": str(THREADS), "OPENBLAS_NUM_THREADS": str(THREADS)}
        self.process = subprocess.Popen(
            [str(python), str(WORKER), name, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors.open("w"),
            text=True,
            env=environment,
        )
        told = self._answer()
        self.works: dict[str, list[str]] = told["works"]
        self.versions: dict[str, str] = told["versions"]

    def ask(self, question: str, *arguments: object) -> Any:
        """The answer of the worker's method of this name."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps([question, *arguments]) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            lines = self.errors.read_text().strip().splitlines() or ["no message"]
            raise RuntimeError(f"{self.name}: {lines[-1]}")
        return json.loads(line)

    def stop(self) -> None:
        """End the process."""
        self.process.communicate()


def started(folder: Path) -> tuple[list[Asked], dict[str, str]]:
    """The workers, and why others are absent."""
    workers, absent = [Asked("darkpose", Path(sys.executable), folder)], {}
    for name, peer in PEERS.items():
        try:
            workers.append(Asked(name, installed(peer), folder))
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            absent[name] = str(error)
            print(f"{name} is left out: {error}", file=sys.stderr)
    return workers, absent


# ------------------------------------------------------------------------------------------------------------ inputs


def make_points(rng: np.random.Generator, shape: Sequence[int]) -> Floats:
    """(N, K, 2) heatmap px; one in twenty lies within 3 px of a border."""
    n, k, height, width = shape
    side = np.array([width, height])
    points = rng.uniform(5, side - 6, (n, k, 2))
    near = rng.random((n, k)) < 0.05
    axis, far = rng.integers(0, 2, (n, k)), rng.random((n, k)) < 0.5
    distance = rng.uniform(0, 3, (n, k))
    along = np.where(far, side[axis] - 1 - distance, distance)
    for each in (0, 1):
        points[..., each] = np.where(near & (axis == each), along, points[..., each])
    return points


def make_inputs(folder: Path) -> dict[str, Floats]:
    """Write the inputs; the points whose Gaussians the maps hold."""
    drawn = {}
    for name, shape in (SHAPES | WEAK).items():
        rng = np.random.default_rng([SEED, *shape])
        points = drawn[name] = make_points(rng, shape)
        along_x, along_y = (
            np.exp(-((np.arange(side) - points[..., axis, None]) ** 2) / (2 * SIGMA**2)).astype(np.float32)
            for axis, side in ((0, shape[3]), (1, shape[2]))
        )
        maps = along_y[..., :, None] * along_x[..., None, :]
        height, noise = (0.03, NOISE / 2) if name in WEAK else (1.0, NOISE)
        maps *= height * rng.uniform(0.5, 1, (*shape[:2], 1, 1)).astype(np.float32)
        maps += np.float32(noise) * rng.standard_normal(shape, np.float32)
        np.save(folder / f"{name}.npy", maps)
    np.save(folder / "points.npy", drawn["decode batch"])
    return drawn


# ----------------------------------------------------------------------------------------------------------- measure


class Rounds:
    """What was measured of one work: medians and minima of its rounds in ms, and foreign cores."""

    def __init__(self) -> None:
        self.medians: list[float] = []
        self.shortest: list[float] = []
        self.foreign: list[float] = []

    def add(self, answer: dict[str, Any]) -> None:
        """One round."""
        self.medians.append(median(answer["ms"]))
        self.shortest.append(min(answer["ms"]))
        self.foreign.append(answer["foreign"] or 0.0)

    def quiet(self, other: "Rounds | None" = None) -> list[int]:
        """Rounds that count, for this work or for it and another."""
        both = zip(self.foreign, (other or self).foreign, strict=True)
        found = [number for number, pair in enumerate(both) if max(pair) < QUIET]
        return found if len(found) >= ENOUGH else list(range(len(self.medians)))

    def facts(self) -> dict[str, Any]:
        """For the JSON."""
        return {
            "ms": _rounded(median(self.medians[i] for i in self.quiet())),
            "shortest_ms": _rounded(min(self.shortest)),
            "quiet_rounds": sum(cores < QUIET for cores in self.foreign),
            "rounds": [_rounded(value) for value in self.medians],
            "foreign_cores": [round(value, 2) for value in self.foreign],
        }

    def over(self, base: "Rounds") -> dict[str, float]:
        """Ratios to another's times."""
        ratios = [self.medians[i] / base.medians[i] for i in self.quiet(base)]
        return {"median": _rounded(median(ratios)), "shortest": _rounded(min(self.shortest) / min(base.shortest))}


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


Measured = dict[str, dict[str, Rounds]]


def measure(workers: list[Asked], lengths: Lengths) -> Measured:
    """All works of all workers, in turns; and the growth of the fused decoder."""
    found: Measured = {}
    for number in range(lengths.rounds):
        first = number % len(workers)
        for group in workers[0].works:
            for worker in workers[first:] + workers[:first]:
                time.sleep(SETTLE)
                for name in worker.works[group]:
                    rounds = found.setdefault(group, {}).setdefault(name, Rounds())
                    rounds.add(worker.ask("time", group, name, lengths.seconds))
        for by, places in GROWTH.items():
            for place in places:
                rounds = found.setdefault(f"growth {by}", {}).setdefault(json.dumps(place), Rounds())
                rounds.add(workers[0].ask("grow", *place, lengths.growth_seconds))
        print(f"round {number + 1} of {lengths.rounds}", file=sys.stderr)
    return found


def fit_line(x: Sequence[float], y: Sequence[float]) -> dict[str, Any]:
    """y = offset + slope * x by least squares of relative residuals, which are given with it."""
    across, up = np.asarray(x, np.float64), np.asarray(y, np.float64)
    columns = np.stack([1 / up, across / up], 1)
    offset, slope = np.linalg.lstsq(columns, np.ones(len(up)), rcond=None)[0]
    residuals = (offset + slope * across) / up - 1
    return {
        "offset": _rounded(offset),
        "slope": _rounded(slope),
        "relative_residuals": [round(r, 3) for r in residuals],
    }


def growth(found: dict[str, Rounds], by: str) -> dict[str, Any]:
    """Times by the number of maps or their cells, and the line through them."""
    places = [tuple(json.loads(place)) for place in found]
    values = [{"samples": n, "landmarks": k, "side": side}[by] for n, _, k, side in places]
    cells = [n * k * side * side / 1e6 for n, _, k, side in places]
    shortest = [min(rounds.shortest) for rounds in found.values()]
    return {
        by: values,
        "million_cells": [_rounded(c) for c in cells],
        "ms": [rounds.facts()["ms"] for rounds in found.values()],
        "shortest_ms": [_rounded(t) for t in shortest],
        "line": fit_line(cells, shortest),
    }


# --------------------------------------------------------------------------------------------------------- agreement


def agreement(workers: list[Asked], drawn: dict[str, Floats], folder: Path) -> dict[str, Any]:
    """Largest differences between packages, errors against what was drawn, and points that depend on the batch."""
    owners = {(group, name): worker for worker in workers for group in worker.works for name in worker.works[group]}

    def result(group: str, name: str, question: str = "result") -> Floats:
        owners[group, name].ask(question, group, name, "result.npy")
        values: Floats = np.load(folder / "result.npy").astype(np.float64)
        return values.reshape(drawn[group].shape) if group in drawn else values

    def differ(group: str, name: str, other: str) -> float | None:
        if (group, other) not in owners:
            return None
        return float(f"{np.abs(result(group, name) - result(group, other)).max():.2g}")

    pairs = [(f"{kind} dark", "mmpose 0.29 DARK") for kind in ("fused", "NumPy", "torch")]
    pairs += [(f"fused {method}", f"mmpose 0.29 {method}") for method in ("quarter", "argmax")]
    pairs += [("fused dark", "mmpose 1.3 DARK"), ("fused quarter", "mmpose 1.3 quarter")]
    differences = {f"{a} - {b}": {group: differ(group, a, b) for group in SHAPES} for a, b in pairs}
    encoders = [("full, fresh", "mmpose 0.29 unbiased"), ("rounded, fresh", "mmpose 0.29 rounded")]
    encoders += [("full, fresh", "mmpose 1.3 unbiased"), ("rounded, fresh", "mmpose 1.3 rounded")]
    differences |= {f"{a} - {b}": {"encode": differ("encode", a, b)} for a, b in encoders}
    group, errors, batches = "decode batch", {}, {}
    for name in [name for place, name in owners if place == group and name not in LIMITS]:
        at_once = result(group, name)
        errors[name] = round(float(np.hypot(*np.moveaxis(at_once - drawn[group], -1, 0)).mean()), 4)
        if name.endswith(("DARK", "fused dark", "post_dark_udp", "UDP", "ViTPose")):
            moved = np.hypot(*np.moveaxis(at_once - result(group, name, "batch_of_one"), -1, 0))
            facts = {"points": moved.size, "moved": int((moved > 0.01).sum())}
            batches[name] = {**facts, "largest_px": _rounded(float(moved.max()))}
    return {"largest_difference": differences, "mean_error_px": errors, "batch_against_one_by_one": batches}


LIMITS = ("torch.amax", "np.argmax", "memory copy")


# ------------------------------------------------------------------------------------------------------------- goals


ENCODER = "mmpose 0.29 unbiased"


def goals(found: Measured) -> list[dict[str, Any]]:
    """What is aimed at, and what came out; those without a peer to compare with are left out."""
    fused, peer = "fused dark", "mmpose 0.29 DARK"
    wanted = [
        *((f"times faster than {peer}, batch", "decode batch", peer, fused, 50, True),),
        *((f"times faster than {peer}, one face", "decode face", peer, fused, 80, True),),
        *((f"NumPy path: times faster than {peer}, batch", "decode batch", peer, "NumPy dark", 15, True),),
        *(("times torch.amax, batch", "decode batch", fused, "torch.amax", 1.3, False),),
        *(("bfloat16 over float32, batch", "decode batch", "fused dark, bfloat16", fused, 1, False),),
        *(("full targets into a buffer: times faster than mmpose", "encode", ENCODER, "full, buffer", 25, True),),
        *(("the same into fresh memory", "encode", ENCODER, "full, fresh", 25, True),),
        *(("truncated targets into a buffer: the same", "encode", ENCODER, "truncated, buffer", 40, True),),
        *(("the same into fresh memory", "encode", ENCODER, "truncated, fresh", 40, True),),
    ]
    rows = []
    for what, group, above, below, limit, at_least in wanted:
        if above in found[group]:
            ratio = found[group][above].over(found[group][below])
            met = all(value >= limit if at_least else value <= limit for value in ratio.values())
            rows.append({"what": what, "goal": f"{'>=' if at_least else '<='} {limit}", **ratio, "met": met})
    return rows


def main(lengths: Lengths) -> dict[str, Any]:
    """Measure."""
    torch.set_num_threads(THREADS)
    here = surroundings()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        drawn = make_inputs(folder)
        workers, absent = started(folder)
        began = time.perf_counter()
        try:
            found = measure(workers, lengths)
            seconds = round(time.perf_counter() - began)
            agreed = agreement(workers, drawn, folder)
        finally:
            for worker in workers:
                worker.stop()
    results: dict[str, Any] = {}
    for group, works in found.items():
        if group.startswith("growth"):
            continue
        base = works["fused dark" if group.startswith("decode") else "full, buffer"]
        results[group] = {name: {**rounds.facts(), "over": rounds.over(base)} for name, rounds in works.items()}
    return {
        **{**here, "versions": {worker.name: worker.versions for worker in workers}, "absent": absent},
        **{"method": __doc__, "seconds": seconds, "goals": goals(found), "results": results},
        "growth": {by: growth(found[f"growth {by}"], by) for by in GROWTH},
        "agreement": agreed,
    }


def as_json(results: dict[str, Any]) -> str:
    """Indented, a list of numbers a line."""
    text = json.dumps(results, indent=1)
    return re.sub(r"\[\s+([-\d.,\se]+?)\s+\]", lambda found: "[" + re.sub(r"\s+", " ", found[1]) + "]", text) + "\n"


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or sys.argv[2:] not in ([], ["quick"]):
        sys.exit(__doc__)
    trial = sys.argv[2:] == ["quick"]
    written = as_json(main(QUICK if trial else FULL))
    if trial:
        print(written)
    else:
        make_folder(Path(sys.argv[1]))
        write_text(Path(sys.argv[1]) / "codec.json", written)
