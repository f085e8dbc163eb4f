"""What speed costs or gains by what an int8 file leaves in float32: int8_speed.py WORK OUT.json

WORK is the folder of a run of precision.py, whose files of the default weights are taken: every kind of int8 there, and
float32 to compare. Milliseconds for one face, on all threads, all files in turn: a turn is a pause, in which the
threads of the one before come to rest, and six calls, of which four are timed. Medians of all, and the shortest.
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
from darkpose.runtime.exported import Runtime, open_graph

ROUNDS, CALLS, WARM_UP, PAUSE = 12, 6, 2, 0.1
BY: tuple[Runtime, ...] = ("onnxruntime", "openvino")


def main(work: Path, out: Path) -> None:
    """Measure and write."""
    names, threads = ("fp32", "fp16", *KINDS), torch.get_num_threads()
    files = {name: work / f"lfpw-{number}.onnx" for number, name in enumerate(names) if name != "fp16"}
    runners = {
        (runtime, name): open_graph(file, runtime=runtime, threads=threads)
        for runtime in BY
        for name, file in files.items()
    }
    crops = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3), np.uint8)
    times: dict[tuple[str, str], list[float]] = {key: [] for key in runners}
    for _ in tqdm(range(ROUNDS), unit="round", disable=None):
        for key, run in runners.items():
            time.sleep(PAUSE)
            for call in range(CALLS):
                began = time.perf_counter()
                run(crops, np.zeros((1, 2, 3)))
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
