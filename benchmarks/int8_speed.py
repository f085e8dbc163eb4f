"""Speed by the part of an int8 file that is in float32: int8_speed.py WORK OUT.json

WORK is the folder of a run of precision.py; the files of the default weights there are measured: every kind of int8,
and float32 for comparison. Milliseconds of the network for one face, on all threads, all files in turn: a turn is a
pause, in which the threads of the last one come to rest, and six calls, of which four are timed. Medians of all, and
the shortest.
"""

import json
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from precision import KINDS
from surroundings import surroundings
from tqdm import tqdm

from darkpose.files.atomic import write_text
from darkpose.runtime.network import Runtime
from darkpose.runtime.open import Engine, open_weights

ROUNDS, CALLS, WARM_UP, PAUSE = 12, 6, 2, 0.1
BY: tuple[Runtime, ...] = ("onnxruntime", "openvino")


def main(work: Path, out: Path) -> None:
    """Measure and write."""
    names, threads = ("fp32", "fp16", *KINDS), torch.get_num_threads()
    files = {name: work / f"lfpw-{number}.onnx" for number, name in enumerate(names) if name != "fp16"}
    networks = {
        (runtime, name): open_weights(file, None, Engine(runtime, threads=threads)).network
        for runtime in BY
        for name, file in files.items()
    }
    crops = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3), np.uint8)
    times: dict[tuple[str, str], list[float]] = {key: [] for key in networks}
    for _ in tqdm(range(ROUNDS), unit="round", disable=None):
        for key, run in networks.items():
            time.sleep(PAUSE)
            for call in range(CALLS):
                began = time.perf_counter()
                run(crops)
                if call >= WARM_UP:
                    times[key].append(1000 * (time.perf_counter() - began))
    found = {
        runtime: {
            name: {"ms": round(median(took), 2), "shortest_ms": round(min(took), 2)}
            for (by, name), took in times.items()
            if by == runtime
        }
        for runtime in BY
    }
    write_text(
        out, json.dumps({"method": __doc__, **surroundings(), "rounds": ROUNDS, "results": found}, indent=1) + "\n"
    )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
