"""Benchmark of the whole way of a photograph, JPEG -> landmarks, by runtime: whole_way.py FOLDER YUNET [COUNT]

FOLDER holds photographs (docs: lfpw/testset of 300-W), YUNET is the YuNet file, COUNT the number of photographs (200).
Writes benchmarks/results/whole_way.json.

Each runtime has a process of its own, which loads a `Predictor` and waits. In each round, every process in turn
predicts the same 20 photographs, one after the other as `predictor(path)` does, while the others wait; the order
changes from round to round. "ms" is the median over photographs; "ratio" the median over rounds of the time of torch
divided by the time of the runtime in the same round. Stages are measured by calling the steps of `Predictor` one by
one. "agreement" is the distance to the landmarks of torch, image px. "busy" repeats all of it while two other
processes compute all the time. "memory_mb" is the most memory that the process has held.
"""

import json
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from darkpose.deploy.machine import made_with, versions

OUT = Path("benchmarks/results/whole_way.json")
RUNTIMES = ("torch", "onnxruntime", "openvino")
PER_ROUND = 20
PACKAGES = ("torch", "onnxruntime", "openvino", "numba", "opencv-python-headless", "numpy")


def work(runtime: str, yunet: str, pipe: Any) -> None:
    """Predict the photographs that come through the pipe, until None comes."""
    from darkpose import Predictor
    from darkpose.detect.yunet import YuNet

    predictor = Predictor(runtime=runtime, detector=YuNet(Path(yunet)))  # type: ignore[arg-type]
    pipe.send(predictor.runtime)
    while (order := pipe.recv()) is not None:
        kind, paths = order
        pipe.send([(stages if kind == "stages" else whole)(predictor, path) for path in paths])
    status = Path("/proc/self/status").read_text().splitlines()
    pipe.send(next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM")))


def whole(predictor: Any, path: str) -> tuple[float, list[Any]]:
    """Seconds, and the landmarks of the first face."""
    began = time.perf_counter()
    faces = predictor(path)
    taken = time.perf_counter() - began
    return taken, faces[0].keypoints.tolist() if faces else []


def stages(predictor: Any, path: str) -> dict[str, float]:
    """Seconds by stage, of the faces of a photograph together."""
    from darkpose.image.pixels import cut_crops, read_image
    from darkpose.predict.landmarks import find_landmarks

    clock = [time.perf_counter()]

    def lap() -> float:
        clock.append(time.perf_counter())
        return clock[-1] - clock[-2]

    found = {}
    image = read_image(Path(path))
    found["decode JPEG"] = lap()
    boxes = predictor.detector(image).landmark_boxes(predictor.detector.correction)
    found["detect"] = lap()
    if not len(boxes):
        return found
    crops, center, sides = cut_crops([image] * len(boxes), boxes, predictor.config.crop_size, predictor.config.padding)
    pixels = np.stack(list(crops))
    found["crop"] = lap()
    heatmaps = predictor._find.network(pixels)
    found["network"] = lap()
    find_landmarks(heatmaps, center, sides)
    found["DARK and back"] = lap()
    return found


@contextmanager
def other_work(processes: int) -> Iterator[None]:
    """Other processes that compute all the time."""
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def measure(pipes: dict[str, Any], paths: list[str]) -> dict[str, Any]:
    """Times of every runtime in every round."""
    each: dict[str, list[float]] = {name: [] for name in pipes}
    rounds: dict[str, list[float]] = {name: [] for name in pipes}
    points: dict[str, list[Any]] = {name: [] for name in pipes}
    parts = [paths[start : start + PER_ROUND] for start in range(0, len(paths), PER_ROUND)]
    order = list(pipes)
    for number, part in enumerate(parts):
        for name in order[number % len(order) :] + order[: number % len(order)]:
            pipes[name].send(("whole", part))
            results = pipes[name].recv()
            each[name] += [seconds for seconds, _ in results]
            rounds[name].append(sum(seconds for seconds, _ in results))
            points[name] += [landmarks for _, landmarks in results]
    found: dict[str, Any] = {}
    for name in pipes:
        ratios = [torch / own for torch, own in zip(rounds["torch"], rounds[name], strict=True)]
        pairs = [(a, b) for a, b in zip(points["torch"], points[name], strict=True) if a]
        apart = np.linalg.norm(np.subtract(*map(np.array, zip(*pairs, strict=True))), axis=-1)
        found[name] = {
            "ms": round(1000 * median(each[name]), 1),
            "ratio": round(median(ratios), 2),
            "ratios": [round(ratio, 2) for ratio in ratios],
            "agreement": {"p99": float(f"{np.quantile(apart, 0.99):.2g}"), "max": float(f"{apart.max():.2g}")},
        }
    return found


def main(folder: Path, yunet: Path, count: int = 200) -> None:
    """Measure, and write the file."""
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".png"))[:count]
    paths = [str(path) for path in files]
    context = multiprocessing.get_context("spawn")
    pipes, names = {}, {}
    for runtime in RUNTIMES:
        pipes[runtime], theirs = context.Pipe()
        context.Process(target=work, args=(runtime, str(yunet), theirs), daemon=True).start()
        names[runtime] = pipes[runtime].recv()
        pipes[runtime].send(("whole", paths[:3]))  # what is compiled or loaded at the first call
        pipes[runtime].recv()
    quiet = measure(pipes, paths)
    with other_work(2):
        busy = measure(pipes, paths[: len(paths) // 2])
    for runtime, pipe in pipes.items():
        pipe.send(("stages", paths))
        laps = pipe.recv()
        names_of = max(laps, key=len)
        quiet[runtime]["stages_ms"] = {
            stage: round(1000 * median(lap[stage] for lap in laps if stage in lap), 2) for stage in names_of
        }
        pipe.send(None)
        quiet[runtime]["memory_mb"] = round(pipe.recv())
    report = {
        **made_with(),
        "versions": versions(PACKAGES),
        "method": __doc__,
        "photographs": len(paths),
        "runtimes": names,
        "quiet": quiet,
        "busy": busy,
    }
    OUT.write_text(json.dumps(report, indent=1) + "\n")
    for title, table in (("quiet", quiet), ("busy", busy)):
        for runtime, row in table.items():
            print(f"{title:6} {names[runtime]:45} {row['ms']:7.1f} ms, {row['ratio']:5.2f} times torch")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))
