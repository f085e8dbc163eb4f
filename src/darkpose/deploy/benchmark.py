"""Time per face of every runtime, and of every stage from a photograph to landmarks.

All ways are measured in turn in one process, round by round, so that a disturbance of the machine affects all of them.
The time of a way in a round is the median of its calls. Ratios are of times in the same round.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from numbers import Integral
from pathlib import Path
from statistics import median

import torch
from tqdm import tqdm

from darkpose.deploy.benchmark_faces import find_faces, time_front
from darkpose.deploy.benchmark_report import Speed, Timing, WaySpeed
from darkpose.deploy.benchmark_ways import OpenWay, Way, check_same_weights, find_ways, measure_memory, open_way
from darkpose.detect.detector import Detector
from darkpose.errors import DarkposeError
from darkpose.image.opencv import cv2
from darkpose.network.load import load_checkpoint
from darkpose.predict.predictor import MAX_BATCH, MAX_THREADS

MAX_ROUNDS = 10_000
SETTLE = 0.05  # seconds in which the threads of the last way stop spinning

Call = Callable[[], dict[str, float]]  # stage -> seconds
Turns = list[list[dict[str, float]]]  # of every round, of every call: stage -> seconds


def benchmark(
    weights: str,
    *,
    schema: str | None = None,
    files: Sequence[Path] = (),
    photographs: Sequence[Path] = (),
    detector: Detector,
    batches: Sequence[int] = (1, 8, 32),
    threads: int,
    device: str = "cpu",
    rounds: int = 9,
    seconds: float = 0.3,
    memory: bool = True,
    tell: Callable[[str], object] = lambda _: None,
) -> Speed:
    """Measure weights in torch and in every installed runtime, and exported files in every runtime.

    Args:
        weights: path or name of a checkpoint.
        schema: of weights that know several; None: their first.
        files: further exported `.onnx` files.
        photographs: image files with a face each; others are passed over; none: faces drawn by darkpose.
        detector: of the faces.
        batches: faces at a time.
        threads: CPU threads, of all ways and OpenCV.
        device: of torch.
        rounds: in which all ways are measured.
        seconds: of calls of a way at a batch size in a round; at least one call.
        memory: measure the memory, too, each way in a new process.
        tell: called with each step and the reason for each photograph that cannot be used, for people.

    Raises:
        DarkposeError: weights or a file cannot be used, a number is not positive or too large, or no face is found.
    """
    limits = {"batch": (batches, MAX_BATCH), "threads": ([threads], MAX_THREADS), "rounds": ([rounds], MAX_ROUNDS)}
    for name, (numbers, most) in limits.items():
        if not numbers or not all(isinstance(number, Integral) and 1 <= number <= most for number in numbers):
            got = ", ".join(map(str, numbers))
            raise DarkposeError(f"{name} must be a whole number of at least 1 and at most {most}, got {got}")
    if len({file.name for file in files}) < len(files):
        raise DarkposeError(f"the files need different names, got {', '.join(str(file) for file in files)}")
    sizes = sorted(set(batches))
    tell("opening the networks ...")
    checkpoint = load_checkpoint(weights, schema=schema)
    for file in files:
        check_same_weights(file, weights, checkpoint)
    ways, left_out = find_ways(weights, files)
    with _use_threads(threads):
        faces = find_faces(photographs, detector, checkpoint.config, tell)
        opened, not_opened = _open_ways(ways, weights, schema, device, threads)
        calls: dict[tuple[str, int], Call] = {
            (way.name, size): partial(each.time, *faces.batch(size)) for way, each in opened.items() for size in sizes
        }
        front = partial(time_front, faces.files, detector, checkpoint.config)
        measured, before, foreign = _measure_rounds(list(opened), sizes, calls, front, rounds, seconds)
    del calls
    memories: dict[str, float | None] = {}
    if memory:
        tell("measuring memory ...")
        memories = {way.name: measure_memory(way, schema, device, threads) for way in opened}
    results = []
    for way, each in opened.items():
        stages = {size: _timings(measured[way.name, size], size) for size in sizes}
        total = {size: timings.pop("") for size, timings in stages.items()}
        results.append(WaySpeed(way, each.network.name, total, stages, memories.get(way.name)))
    front_timings = _timings(before, len(faces.files))
    front_timings.pop("")
    return Speed(
        weights=f"{weights}, {checkpoint.schema.name}",
        ways=results,
        front=front_timings,
        left_out=left_out | not_opened,
        photographs=faces.source,
        detector=detector.name,
        threads=threads,
        batches=sizes,
        device=device,
        foreign=foreign,
        import_mb=measure_memory(None, None, device, threads) if memory else None,
    )


def _open_ways(
    ways: Sequence[Way], weights: str, schema: str | None, device: str, threads: int
) -> tuple[dict[Way, OpenWay], dict[str, str]]:
    """The ways ready to run, and those for which a package is missing with the reason."""
    opened, left_out = {}, {}
    for way in ways:
        try:
            opened[way] = open_way(way, schema, device, threads)
        except DarkposeError as error:
            if way.runtime == "torch" or way.source != weights:
                raise
            left_out[way.name] = str(error)
    return opened, left_out


def _measure_rounds(
    ways: Sequence[Way],
    sizes: Sequence[int],
    calls: Mapping[tuple[str, int], Call],
    front: Call,
    rounds: int,
    seconds: float,
) -> tuple[dict[tuple[str, int], Turns], Turns, list[float]]:
    """Every way in every round. A first round, in which runtimes may compile, does not count.

    Returns:
        Calls by way and batch size, calls of the stages before the network, and the cores that others kept busy.
    """
    found: dict[tuple[str, int], Turns] = {key: [] for key in calls}
    before: Turns = []
    foreign = []
    for number in tqdm(range(rounds + 1), unit="round", disable=None):
        first = number % len(ways)
        busy, own, began = _busy_seconds(), time.process_time(), time.perf_counter()
        front_call = front()
        for way in [*ways[first:], *ways[:first]]:
            time.sleep(SETTLE)
            calls[way.name, sizes[0]]()
            for size in sizes:
                turn = _repeat(calls[way.name, size], seconds if number else 0.0)
                if number:
                    found[way.name, size].append(turn)
        if number:
            before.append([front_call])
            now, taken = _busy_seconds(), time.perf_counter() - began
            if busy is not None and now is not None:
                foreign.append(max(0.0, (now - busy - (time.process_time() - own)) / taken))
    return found, before, foreign


def _repeat(call: Call, seconds: float) -> list[dict[str, float]]:
    """Call until the seconds are over, at least once."""
    found, began = [call()], time.perf_counter()
    began -= sum(found[0].values())
    while time.perf_counter() - began < seconds:
        found.append(call())
    return found


def _timings(turns: Turns, faces: int) -> dict[str, Timing]:
    """Timings of the stages, and of their sum under ""."""
    each = [[{"": sum(call.values()), **call} for call in turn] for turn in turns]
    return {
        name: Timing(
            tuple(1000 * median(call[name] for call in turn) / faces for turn in each),
            1000 * min(call[name] for turn in each for call in turn) / faces,
        )
        for name in each[0][0]
    }


def _busy_seconds() -> float | None:
    """Seconds that all cores have worked since the system started; None if it is not known."""
    path = Path("/proc/stat")
    if not path.exists():
        return None
    user, nice, system, _, _, irq, softirq, steal = map(int, path.read_text().split()[1:9])
    return float(user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _use_threads(count: int) -> Iterator[None]:
    """Set the threads of torch and OpenCV."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(count)
    cv2.setNumThreads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])
