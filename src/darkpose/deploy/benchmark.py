"""How long a face takes: the network with its decoder in every runtime, and the whole way from a photograph by stage.

Ways are measured in turn in one process, round by round, so that what disturbs the machine disturbs all of them; a
round of a way is the median of its calls there. Ratios are of times in the same round.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from darkpose.codec.heatmap import decode
from darkpose.datasets.drawn_face import draw_face
from darkpose.deploy.benchmark_report import IN_GRAPH, Speed, Timing, Way, WaySpeed
from darkpose.deploy.export import ExportOptions
from darkpose.deploy.export_file import exported_once
from darkpose.detect.detector import Detector
from darkpose.errors import DarkposeError
from darkpose.image.face_crops import cut_crops
from darkpose.image.geometry import STRIDE, Floats, heatmap_to_image
from darkpose.image.opencv import cv2
from darkpose.image.pixels import Pixels, decode_image, to_jpeg
from darkpose.network.checkpoint import Checkpoint, model_fingerprint
from darkpose.network.load import load_checkpoint
from darkpose.runtime.card import check_seal
from darkpose.runtime.exported import RUNTIMES, NumberType, open_graph
from darkpose.runtime.flip import predict_heatmaps
from darkpose.runtime.locator import GraphLocator, Locator, TorchLocator
from darkpose.runtime.open import Setup, open_locator
from darkpose.weights.checkpoint import CheckpointConfig

EAGER = "torch eager"
FACES, QUALITY = 32, 90  # faces drawn where no photographs are given, and the quality of their JPEG files
SETTLE = 0.05  # seconds for which the threads of another way may go on waiting actively
FRONT = ("decode image", "detect", "crop")
MEMORY_BATCH = 8


class _Faces(NamedTuple):
    """Photographs with a face each, and the faces' crops."""

    files: list[bytes]
    crops: list[Pixels]
    center: Floats
    sides: Floats
    told: str


class _Clock:
    """Seconds of the stages of a call."""

    def __init__(self, device: torch.device | None = None) -> None:
        self.device, self.seconds = device, dict[str, float]()
        self.last = self._now()

    def __call__(self, stage: str) -> None:
        now = self._now()
        self.seconds[stage], self.last = now - self.last, now

    def _now(self) -> float:
        if self.device is not None and self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


Call = Callable[[], dict[str, float]]  # stage -> seconds


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
    """Measure weights in torch and in every runtime that is installed, and exported files beside them.

    Args:
        weights: a checkpoint's path or name.
        schema: which markup, of weights that know several.
        files: further exported `.onnx` files, each measured in every runtime.
        photographs: image files for the whole way, with a face each; those without one are passed over; none: faces
            drawn by darkpose, as JPEG files.
        detector: of those faces.
        batches: faces at a time.
        threads: of the processor, for all ways and OpenCV.
        device: of torch.
        rounds: in which all ways are measured.
        seconds: for a way at a batch size in a round, one call at least.
        memory: measure that, too, each way in a process of its own.
        tell: is told what is being done.

    Raises:
        DarkposeError: weights or a file cannot be used, a number is not positive, or no face is found.
    """
    for name, numbers in (("batch", batches), ("threads", [threads]), ("rounds", [rounds])):
        if not numbers or not all(isinstance(number, int) and number >= 1 for number in numbers):
            raise DarkposeError(f"{name} must be a whole number of at least 1, got {', '.join(map(str, numbers))}")
    if len({file.name for file in files}) < len(files):
        raise DarkposeError(f"files are told apart by their names, got {', '.join(str(file) for file in files)}")
    for file in files:
        check_seal(file)
    sizes = sorted(set(batches))
    tell("opening the ways")
    checkpoint = load_checkpoint(weights, schema=schema)
    ways, left_out = find_ways(weights, checkpoint, files)
    with _use_threads(threads):
        faces = _find_faces(photographs, detector, checkpoint.config)
        opened = [_opened(way, schema, device, threads, max(sizes)) for way in ways]
        _check_same(ways, [locator for _, locator in opened], weights, checkpoint)
        calls: dict[tuple[str, int], Call] = {}
        for way, (_, locator) in zip(ways, opened, strict=True):
            for size in sizes:
                calls[way.name, size] = _call(locator, _batch(faces, size))
        measured, front, foreign = _rounds(
            ways, sizes, calls, lambda: _front(faces.files, detector, checkpoint.config), rounds, seconds
        )
    del calls
    memories: dict[str, float | None] = {}
    if memory:
        tell("measuring memory")
        memories = {way.name: _memory(way, schema, device, threads) for way in ways}
    found = []
    for way, (runtime, _) in zip(ways, opened, strict=True):
        stages = {size: _stages(measured[way.name, size], size) for size in sizes}
        total = {size: each.pop("") for size, each in stages.items()}
        found.append(WaySpeed(way, runtime, total, stages, memories.get(way.name)))
    before = _stages(front, len(faces.files))
    before.pop("")
    return Speed(
        *(f"{weights}, {checkpoint.schema.name}", found, before, left_out, faces.told, detector.name),
        *(threads, sizes, device, foreign, _memory(None, None, device, threads) if memory else None),
    )


def find_ways(weights: str, checkpoint: Checkpoint, files: Sequence[Path]) -> tuple[list[Way], dict[str, str]]:
    """The ways that can be measured here, torch eager first, and those that cannot with the reason."""
    found = [Way(EAGER, "torch", weights, eager=True), Way("torch", "torch", weights)]
    found.append(Way("torch bf16", "torch", weights, "bf16"))
    left_out: dict[str, str] = {}
    for runtime in RUNTIMES:
        if find_spec(runtime) is None:
            left_out[runtime] = f"not installed: pip install 'darkpose[{runtime}]'"
    here = sorted(name for name in RUNTIMES if name not in left_out)
    sources = [(f", {file.name}", str(file)) for file in files]
    try:
        if here:
            sources.insert(0, ("", str(exported_once(checkpoint, ExportOptions()))))
    except DarkposeError as error:
        left_out["the weights as an exported file"] = str(error)
    for name, source in sources:
        for runtime in here:
            kinds: tuple[NumberType, ...] = ("fp32", "bf16") if runtime == "openvino" else ("fp32",)
            for numbers in kinds:
                told = f"{runtime} bf16" if numbers == "bf16" else runtime
                found.append(Way(told + name, runtime, source, numbers))
    return found, left_out


def _check_same(ways: Sequence[Way], locators: Sequence[Locator], weights: str, checkpoint: Checkpoint) -> None:
    """Refuse a file of another network or markup: to compare their speeds would mean nothing."""
    wanted = model_fingerprint(checkpoint.model)
    for way, locator in zip(ways, locators, strict=True):
        if isinstance(locator, GraphLocator) and locator.runner.card.weights["sha256"] != wanted:
            card = locator.runner.card
            its = f"{card.weights.get('name', 'no name')}, {card.schema.name}"
            raise DarkposeError(
                f"{way.source}: exported from other weights ({its}) than {weights}, {checkpoint.schema.name}; "
                "name those by --weights and --schema"
            )


def drawn_photographs(count: int) -> list[bytes]:
    """JPEG files of faces that darkpose draws, always the same."""
    return [to_jpeg(draw_face(0, index).image, QUALITY) for index in range(count)]


def _find_faces(photographs: Sequence[Path], detector: Detector, config: CheckpointConfig) -> _Faces:
    """The first faces found, the best of each photograph."""
    candidates = _readable(photographs) if photographs else iter(drawn_photographs(FACES))
    kept = list(islice(_with_faces(candidates, detector), FACES))
    if not kept:
        raise DarkposeError(f"{detector.name} finds no face to measure with: name photographs with faces by --images")
    boxes = [box for _, _, box in kept]
    crops, center, sides = cut_crops((image for _, image, _ in kept), boxes, config)
    pixels = median(image.shape[0] * image.shape[1] for _, image, _ in kept) / 1e6
    kind, drawn = ("photograph", "") if photographs else ("JPEG file", " of faces drawn by darkpose")
    told = f"{len(kept)} {kind}{'' if len(kept) == 1 else 's'}{drawn}, {pixels:.2f} megapixels (median), a face each"
    return _Faces([data for data, _, _ in kept], list(crops), center, sides, told)


def _readable(paths: Sequence[Path]) -> Iterator[bytes]:
    """The bytes of the files that can be read."""
    for path in paths:
        with suppress(OSError):
            yield path.read_bytes()


def _with_faces(files: Iterator[bytes], detector: Detector) -> Iterator[tuple[bytes, Pixels, Floats]]:
    for data in files:
        try:
            image = decode_image(data)
        except DarkposeError:  # no picture, or a broken one
            continue
        boxes = detector.correction(detector(image).boxes)
        if len(boxes):
            yield data, image, boxes[0]


def _batch(faces: _Faces, size: int) -> tuple[list[Pixels], Floats, Floats]:
    """So many faces, over again where there are fewer."""
    chosen = np.arange(size) % len(faces.crops)
    return [faces.crops[i] for i in chosen], faces.center[chosen], faces.sides[chosen]


def _opened(way: Way, schema: str | None, device: str, threads: int, batch: int) -> tuple[str, Locator]:
    """What runs a way, for people, and the way itself."""
    if way.runtime != "torch":
        runner = open_graph(Path(way.source), runtime=way.runtime, threads=threads, numbers=way.numbers)
        return runner.name, GraphLocator(runner, batch)
    opened = open_locator(way.source, schema, Setup("torch", device, threads, (), way.numbers, batch))
    locator = opened.locator
    if way.eager and isinstance(locator, TorchLocator):
        model = load_checkpoint(way.source, schema=schema).model.to(opened.device)
        return f"{opened.runtime}, NCHW", replace(locator, decoder=locator.decoder._replace(model=model))
    return opened.runtime, locator


def _call(locator: Locator, batch: tuple[list[Pixels], Floats, Floats]) -> Call:
    """Crops to landmarks in image px, by stage."""
    if isinstance(locator, TorchLocator):
        return lambda: _in_torch(locator, *batch)

    def run() -> dict[str, float]:
        clock = _Clock()
        locator(*batch)
        clock(IN_GRAPH)
        return clock.seconds

    return run


def _in_torch(locator: TorchLocator, crops: list[Pixels], center: Floats, sides: Floats) -> dict[str, float]:
    """What `TorchLocator` does, step by step."""
    decoder, side = locator.decoder, locator.size // STRIDE
    clock = _Clock(decoder.device)
    inputs = torch.from_numpy(decoder.normalisation(np.stack(crops))).to(decoder.device)
    clock("normalise")
    heatmaps = predict_heatmaps(decoder.model, inputs, decoder.flip_index, decoder.flip_test)
    clock("network")
    points = decode(heatmaps, method=decoder.method, kernel_size=decoder.kernel_size).points.cpu().numpy()
    clock("DARK")
    heatmap_to_image(points, center[:, None], sides[:, None], (side, side))
    clock("map back")
    return clock.seconds


def _front(files: Sequence[bytes], detector: Detector, config: CheckpointConfig) -> dict[str, float]:
    """Seconds of the stages before the network, for all photographs together."""
    total = dict.fromkeys(FRONT, 0.0)
    for data in files:
        clock = _Clock()
        image = decode_image(data)
        clock("decode image")
        box = detector.correction(detector(image).boxes)[0]
        clock("detect")
        for _ in cut_crops([image], box, config)[0]:
            clock("crop")
        for name, each in clock.seconds.items():
            total[name] += each
    return total


Turns = list[list[dict[str, float]]]  # of every round, of every call: stage -> seconds


def _rounds(
    ways: Sequence[Way],
    sizes: Sequence[int],
    calls: Mapping[tuple[str, int], Call],
    front: Call,
    rounds: int,
    seconds: float,
) -> tuple[dict[tuple[str, int], Turns], Turns, list[float]]:
    """Every way in every round; a first call of each, which may compile, counts nowhere."""
    found: dict[tuple[str, int], Turns] = {key: [] for key in calls}
    before: Turns = []
    foreign = []
    for number in tqdm(range(rounds + 1), unit="round", disable=None):
        first = number % len(ways)
        busy, own, began = _busy(), time.process_time(), time.perf_counter()
        turns = [[front()]]
        for way in [*ways[first:], *ways[:first]]:
            time.sleep(SETTLE)
            calls[way.name, sizes[0]]()
            for size in sizes:
                turn = _repeated(calls[way.name, size], seconds if number else 0.0)
                if number:
                    found[way.name, size].append(turn)
        if number:
            before += turns
            now, taken = _busy(), time.perf_counter() - began
            if busy is not None and now is not None:
                foreign.append(max(0.0, (now - busy - (time.process_time() - own)) / taken))
    return found, before, foreign


def _repeated(call: Call, seconds: float) -> list[dict[str, float]]:
    found, began = [call()], time.perf_counter()
    began -= sum(found[0].values())
    while time.perf_counter() - began < seconds:
        found.append(call())
    return found


def _stages(turns: Turns, faces: int) -> dict[str, Timing]:
    """Timings of the stages, and of their sum under ""."""
    each = [[{"": sum(call.values()), **call} for call in turn] for turn in turns]
    return {
        name: Timing(
            tuple(1000 * median(call[name] for call in turn) / faces for turn in each),
            1000 * min(call[name] for turn in each for call in turn) / faces,
        )
        for name in each[0][0]
    }


def _busy() -> float | None:
    """Seconds that all cores have worked; None where the system does not tell."""
    path = Path("/proc/stat")
    if not path.exists():
        return None
    user, nice, system, _, _, irq, softirq, steal = map(int, path.read_text().split()[1:9])
    return float(user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _use_threads(count: int) -> Iterator[None]:
    """For torch and OpenCV, while it lasts."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(count)
    cv2.setNumThreads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def _memory(way: Way | None, schema: str | None, device: str, threads: int) -> float | None:
    """MB that a fresh process held at the most which ran a batch; None where the system does not tell."""
    facts = json.dumps([way, schema, device, threads])
    call = [sys.executable, "-c", f"from darkpose.deploy.benchmark import _hold; _hold({facts!r})"]
    ended = subprocess.run(call, capture_output=True, text=True, check=False)
    lines = ended.stdout.split()
    return float(lines[-1]) if ended.returncode == 0 and lines and lines[-1] != "None" else None


def _hold(facts: str) -> None:
    """Run a way once at a batch of 8, and print the most memory that this process has held, MB."""
    way, schema, device, threads = json.loads(facts)
    torch.set_num_threads(threads)
    if way is not None:
        _, locator = _opened(Way(*way), schema, device, threads, MEMORY_BATCH)
        size = locator.size if isinstance(locator, TorchLocator) else 0
        size = locator.runner.card.config.crop_size if isinstance(locator, GraphLocator) else size
        crops = [np.zeros((size, size, 3), np.uint8)] * MEMORY_BATCH
        locator(crops, np.zeros((MEMORY_BATCH, 2)), np.ones((MEMORY_BATCH, 2)))
    print(_most_memory())


def _most_memory() -> float | None:
    """MB that this process has held at the most.

    `getrusage` would not do: a process begins there with what its parent held.
    """
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), None)
