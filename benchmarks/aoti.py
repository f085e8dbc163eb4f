"""An exported program as a library of AOTInductor: aoti.py WEIGHTS OUT.json

Exports weights as `darkpose export WEIGHTS landmarks.pt2` does, has torch make a library of the program (it needs a C++
compiler), and holds both against each other: how far their landmarks lie apart on crops of noise, of 1 and of 3 faces,
and milliseconds for one face, in turn, on all threads: medians of the rounds, and the shortest.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from surroundings import surroundings
from torch import Tensor

from darkpose.deploy.export import ExportOptions, export_program
from darkpose.files.atomic import write_text
from darkpose.network.load import load_checkpoint

ROUNDS, WARM_UP = 20, 3


def inputs(faces: int) -> tuple[Tensor, Tensor]:
    """Crops of noise, and matrices that leave them where they are."""
    size, generator = (faces, 256, 256, 3), torch.Generator().manual_seed(faces)
    crops = torch.randint(0, 256, size, generator=generator, dtype=torch.uint8)
    return crops, torch.eye(3)[:2].repeat(faces, 1, 1)


@torch.inference_mode()
def main(weights: str, out: Path) -> None:
    """Make, compare, time."""
    with tempfile.TemporaryDirectory() as folder:
        file, library = Path(folder) / "landmarks.pt2", Path(folder) / "landmarks.aoti.pt2"
        file.write_bytes(export_program(load_checkpoint(weights, schema="300w-68"), ExportOptions()))
        program = torch.export.load(file)
        began = time.perf_counter()
        torch._inductor.aoti_compile_and_package(program, package_path=str(library))
        found: dict[str, Any] = {
            "seconds_to_make": round(time.perf_counter() - began, 1),
            "program_mb": round(file.stat().st_size / 1e6, 1),
            "library_mb": round(library.stat().st_size / 1e6, 1),
        }
        ways: dict[str, Callable[..., Any]] = {
            "program": program.module(),
            "library": torch._inductor.aoti_load_package(str(library)),
        }
    apart = [max_apart(*(way(*inputs(faces))[0] for way in ways.values())) for faces in (1, 3)]
    found["largest_difference_px"] = max(apart)
    one = inputs(1)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(WARM_UP + ROUNDS):
        for name, way in ways.items():
            began = time.perf_counter()
            way(*one)
            times[name].append(1000 * (time.perf_counter() - began))
    for name, took in times.items():
        found[name] = {"ms": round(median(took[WARM_UP:]), 1), "shortest_ms": round(min(took[WARM_UP:]), 1)}
    write_text(out, json.dumps({"method": __doc__, **surroundings(), **found}, indent=1) + "\n")
    print(found)


def max_apart(first: Tensor, second: Tensor) -> float:
    """The largest difference of a coordinate, px."""
    return round(float((first - second).abs().max()), 5)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], Path(sys.argv[2]))
