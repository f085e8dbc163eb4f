"""darkpose on a GPU: gpu.py OUT [decode|encode|train|compiled|compiled-graphs|predict ...]

For a machine with torch, Triton, OpenCV and NumPy alone (PYTHONPATH=src). Writes OUT/gpu.json, where parts that are
there and not asked for stay; each has its own commit, card and ceilings, and what it has is written as it comes. A part
is measured in one process, by device events, medians over the rounds (whose values stand beside them); ways that are
compared take turns in a round. Random data everywhere.

ceilings  What the card itself does: a device-to-device copy of 4 GB (bytes read and written), and a product of bf16
          matrices of 8192x8192.
decode    `decode` of 512 faces' 98 maps of 64x64 and of one batch of 64 faces (of several in turn, so that none lies
          in the cache): by the Triton kernel, by torch's own operators, and `torch.amax` of the same maps, which reads
          them once and does no more. "bytes_per_second" are those of the maps, "of_copy" their share of what the copy
          moves. "warps" is the kernel by warps per program; it ships with "warps_shipped".
encode    Targets of 64 faces of 98 landmarks, 64x64, into memory of theirs; bytes written.
train     A step of HRNetV2-W18 (68 landmarks, 256 px): float32 NCHW, bf16 channels-last, and the same with its passes
          replayed as CUDA graphs; targets, loss, gradient and AdamW included, crops on the device, convolutions in
          TF32 where they are float32. Faces per second, and the minutes of 60 epochs of 7,500 faces. "compiled": the
          same for 64 faces with compiled blocks; "compiled-graphs": with both.
predict   The way of faces on the device: uint8 photographs of 512x512 and boxes there -> crops -> heatmaps -> DARK ->
          landmarks in image px, in bf16 (98 landmarks; maps at the clip, which the CPU would decode again, are not
          looked for): as `Predictor` runs it in torch (batch norms folded), and the same as a CUDA graph.
          "of_matmul": the network's operations, as torch counts them, over the matrix product's in the same time.
"""

import gc
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from surroundings import surroundings
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from darkpose.codec import dark_triton
from darkpose.codec.dark_torch import decode_torch
from darkpose.codec.dark_triton import decode_gpu
from darkpose.codec.heatmap import decode, encode
from darkpose.files.atomic import write_text
from darkpose.image.pixels import Normalisation
from darkpose.network.hrnet import HRNet, compile_blocks, initialise
from darkpose.runtime.torch import InBfloat16, fast_network
from darkpose.training.gpu import effects
from darkpose.training.gpu.cuda_graphs import replay_passes
from darkpose.training.losses import heatmap_mse
from darkpose.training.step import normalise_on_device
from darkpose.weights.checkpoint import HRNetConfig

DEVICE = torch.device("cuda")
Found = Iterator[tuple[str, Any]]  # what a part has, as it comes
ROUNDS, SIZE, KEYPOINTS = 15, 256, 98


def milliseconds(works: Mapping[str, Callable[[], object]], rounds: int = ROUNDS, calls: int = 1) -> dict[str, Any]:
    """Of a call of every work, in turns."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 3):
        for name, work in works.items():
            before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            before.record()
            for _ in range(calls):
                work()
            after.record()
            torch.cuda.synchronize()
            if number >= 3:
                found[name].append(round(before.elapsed_time(after) / calls, 4))
    return {name: {"median": median(each), "rounds": each} for name, each in found.items()}


def ceilings() -> dict[str, float]:
    """Bytes per second of a copy, operations per second of a matrix product."""
    source, target = torch.randn(2**29, device=DEVICE), torch.empty(2**29, device=DEVICE)
    left, right = (torch.randn(8192, 8192, device=DEVICE, dtype=torch.bfloat16) for _ in range(2))
    times = milliseconds({"copy": lambda: target.copy_(source), "matmul": lambda: left @ right})
    return {
        "copy_bytes_per_second": 2 * source.nbytes / times["copy"]["median"] * 1000,
        "matmul_operations_per_second": 2 * 8192**3 / times["matmul"]["median"] * 1000,
    }


def peaks(faces: int, kind: torch.dtype) -> Tensor:
    """Heatmaps (faces, 98, 64, 64) with a landmark somewhere in each, and noise."""
    maps, _ = encode(64 * torch.rand(faces, KEYPOINTS, 2, device=DEVICE), size=(64, 64))
    return (maps + 0.02 * torch.rand_like(maps)).to(kind)


def decoding(copy: float) -> Found:
    """Decoding and its ceilings, by type of number and batch."""
    yield "warps_shipped", dark_triton.WARPS
    yield "peaks", "98 maps of 64x64 a face"
    for kind in (torch.float32, torch.float16, torch.bfloat16):
        for faces, sets in ((512, 1), (64, 8)):
            maps = [peaks(faces, kind) for _ in range(sets)]
            works: dict[str, Callable[[], object]] = {
                "kernel": lambda maps=maps: [decode_gpu(each) for each in maps],  # type: ignore[misc]
                "decode": lambda maps=maps: [decode(each) for each in maps],  # type: ignore[misc]
                "amax": lambda maps=maps: [each.amax((2, 3)) for each in maps],  # type: ignore[misc]
                "torch": lambda maps=maps: [decode_torch(each) for each in maps],  # type: ignore[misc]
            }
            for warps in (1, 2, 4, 8):
                works[f"warps {warps}"] = lambda maps=maps, warps=warps: [  # type: ignore[misc]
                    decode_gpu(each, warps=warps) for each in maps
                ]
            times = milliseconds(works)
            read = sum(each.nbytes for each in maps)
            for each in times.values():
                each["median"] /= sets
                each["bytes_per_second"] = read / sets / each["median"] * 1000
                each["of_copy"] = each["bytes_per_second"] / copy
            yield f"{faces} faces, {str(kind)[6:]}", times


def encoding(copy: float) -> Found:
    """Targets into memory of theirs."""
    points = [64 * torch.rand(64, KEYPOINTS, 2, device=DEVICE) for _ in range(8)]
    out = [torch.empty(64, KEYPOINTS, 64, 64, device=DEVICE) for _ in points]
    times = milliseconds({"encode": lambda: [encode(each, out=maps) for each, maps in zip(points, out, strict=True)]})[
        "encode"
    ]
    times["median"] /= len(points)
    written = out[0].nbytes / times["median"] * 1000
    yield from {**times, "bytes_per_second": written, "of_copy": written / copy}.items()


class Trainer:
    """A network and its optimizer; `modern`: bf16 and channels-last, else float32 and NCHW."""

    def __init__(self, *, modern: bool, compiled: bool = False, graphs: bool = False) -> None:
        model = HRNet(HRNetConfig(68))
        initialise(model, seed=0)
        layout = torch.channels_last if modern else torch.contiguous_format
        self.layout = layout
        model.to(DEVICE, memory_format=layout)  # type: ignore[call-overload]
        if compiled:
            compile_blocks(model)
        self.model = InBfloat16(model, "cuda").train() if modern else model.train()
        if graphs:
            replay_passes(self.model, accumulates=False)
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def __call__(self, crops: Tensor, points: Tensor, seen: Tensor) -> None:
        """One step."""
        target, weights = encode(points, seen, size=(SIZE // 4, SIZE // 4))
        self.optimizer.zero_grad()
        inputs = normalise_on_device(crops, Normalisation()).contiguous(memory_format=self.layout)
        heatmap_mse(self.model(inputs).float(), target, weights).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()


TRAINERS = {
    "float32, NCHW": lambda: Trainer(modern=False),
    "bf16, channels last": lambda: Trainer(modern=True),
    "bf16, channels last, graphs": lambda: Trainer(modern=True, graphs=True),
}
COMPILED = {
    "bf16, channels last, graphs": TRAINERS["bf16, channels last, graphs"],
    "bf16, channels last, compiled": lambda: Trainer(modern=True, compiled=True),
}
COMPILED_GRAPHS = {
    "bf16, channels last, graphs": TRAINERS["bf16, channels last, graphs"],
    "bf16, channels last, compiled, graphs": lambda: Trainer(modern=True, compiled=True, graphs=True),
}


def training(ways: Mapping[str, Callable[[], Trainer]], batches: Sequence[int]) -> Found:
    """Faces per second of steps, by batch size."""
    torch.backends.cudnn.benchmark = True  # as `train` has it
    for faces in batches:
        batch = (
            torch.randint(0, 256, (faces, 3, SIZE, SIZE), dtype=torch.uint8, device=DEVICE),
            64 * torch.rand(faces, 68, 2, device=DEVICE, dtype=torch.float64),
            torch.ones(faces, 68, device=DEVICE),
        )
        trainers, first = {}, {}
        for name, make in ways.items():
            began = time.perf_counter()
            trainers[name] = make()
            trainers[name](*batch)
            torch.cuda.synchronize()
            first[name] = round(time.perf_counter() - began, 1)
        works = {name: partial(trainer, *batch) for name, trainer in trainers.items()}
        times = milliseconds(works, rounds=5, calls=2)
        for name, each in times.items():
            each["faces_per_second"] = round(1000 * faces / each["median"], 1)
            each["minutes_of_60_epochs"] = round(60 * 7500 / each["faces_per_second"] / 60, 2)
            each["first_step_seconds"] = first[name]
        yield f"{faces} faces", times
        del trainers, works
        gc.collect()
        torch.cuda.empty_cache()


class Whole(nn.Module):
    """uint8 photographs and crops' grids and matrices -> landmarks in image px, on the device."""

    def __init__(self, network: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.network = network

    def forward(self, photographs: Tensor, grids: Tensor, to_image: Tensor) -> tuple[Tensor, Tensor]:
        """Photographs (N, 3, S, S), grids (N, 2, 3) of `effects.warp`, heatmap px to image px (N, 2, 3)."""
        crops = normalise_on_device(effects.warp(photographs, grids, SIZE), Normalisation())
        found = decode_gpu(self.network(crops.contiguous(memory_format=torch.channels_last)))
        return found.points @ to_image[:, :, :2].mT + to_image[:, None, :, 2], found.scores


def as_graph(module: nn.Module, *inputs: Tensor) -> Callable[[], object]:
    """The module's work on these inputs as one CUDA graph."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            module(*inputs)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        module(*inputs)
    return graph.replay


@torch.inference_mode()
def predicting(matmul: float) -> Found:
    """Faces per second of the whole way, by how many faces there are at once."""
    model = HRNet(HRNetConfig(KEYPOINTS)).eval()
    initialise(model, seed=0, head_std=0.1)
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, SIZE, SIZE))
    whole = Whole(fast_network(model, Normalisation(), DEVICE, SIZE, numbers="bf16").model)
    for faces in (1, 8, 64, 256):
        photographs = torch.randint(0, 256, (faces, 3, 512, 512), dtype=torch.uint8, device=DEVICE)
        grids = torch.eye(3, device=DEVICE)[:2].repeat(faces, 1, 1) / SIZE
        to_image = torch.eye(3, device=DEVICE)[:2].repeat(faces, 1, 1) * 4
        inputs = (photographs, grids, to_image)
        began = time.perf_counter()
        whole(*inputs)
        torch.cuda.synchronize()
        first = round(time.perf_counter() - began, 1)
        times = milliseconds({"torch": partial(whole, *inputs), "CUDA graph": as_graph(whole, *inputs)}, calls=3)
        for each in times.values():
            each["faces_per_second"] = round(1000 * faces / each["median"], 1)
            each["of_matmul"] = each["faces_per_second"] * counter.get_total_flops() / matmul
        yield f"{faces} faces", {"first_call_seconds": first, **times}


def main(out: Path, parts: list[str]) -> None:
    """Measure, print medians, write whatever there is."""
    out.mkdir(parents=True, exist_ok=True)
    file = out / "gpu.json"
    found = {**(json.loads(file.read_text()) if file.exists() else {}), "method": __doc__}
    ceiling = ceilings()
    made = {**surroundings(), "card": f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}", "ceilings": ceiling}
    copy, matmul = ceiling.values()
    works: dict[str, Callable[[], Found]] = {
        "predict": lambda: predicting(matmul),
        "decode": lambda: decoding(copy),
        "encode": lambda: encoding(copy),
        "train": lambda: training(TRAINERS, (64, 32, 256)),
        "compiled": lambda: training(COMPILED, (64,)),
        "compiled-graphs": lambda: training(COMPILED_GRAPHS, (64,)),
    }
    print(made["card"], {name: f"{value:.3e}" for name, value in ceiling.items()})
    for name, work in works.items():
        if name in parts or not parts:
            began = time.perf_counter()
            before, part = found.get(name), dict(made)
            for key, values in work():
                part[key] = values
                if before is None:  # what was whole stays until this is
                    write_text(file, json.dumps({**found, name: part}, indent=1) + "\n")
                tell({key: values})
            found[name] = part
            write_text(file, json.dumps(found, indent=1) + "\n")
            print(f"{name}: {time.perf_counter() - began:.0f} s")


def tell(values: dict[str, Any], head: str = "") -> None:
    """Medians and what was derived from them, a line each."""
    numbers = {name: value for name, value in values.items() if isinstance(value, int | float)}
    if "median" in numbers:
        print(f"  {head}", {name: float(f"{value:.4g}") for name, value in numbers.items()})
    for name, value in values.items():
        if isinstance(value, dict):
            tell(value, f"{head} {name}".strip())
    if numbers and "median" not in numbers:
        print(f"  {head}", {name: float(f"{value:.4g}") for name, value in numbers.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
