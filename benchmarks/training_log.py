"""How fast a training run was, from its log: training_log.py LOG FACES BATCH "MACHINE" OUT.json

LOG is the log.jsonl of a run of FACES faces an epoch, BATCH a step. Without the first epoch, in which kernels are
chosen and CUDA graphs recorded: the median seconds of whole steps and of a step's wait for data (on a GPU the host
waits while the device still works), faces per second over all steps, and the minutes of 60 epochs of 7,500 faces at
that rate.
"""

import json
import sys
from pathlib import Path
from statistics import median

from darkpose.training.log import read_log


def main(log: Path, faces: int, batch: int, machine: str, out: Path) -> None:
    """Read, write."""
    steps = [line for line in read_log(log) if line["mode"] == "train" and line["epoch"] > 1]
    epochs = steps[-1]["epoch"] - 1
    rate = epochs * faces / sum(step["time"] for step in steps)
    found = {
        "method": __doc__,
        "machine": machine,
        "log": str(log),
        "epochs": epochs,
        "faces": faces,
        "batch": batch,
        "seconds_per_step": median(step["time"] for step in steps),
        "seconds_waiting_for_data": median(step["data_time"] for step in steps),
        "memory_mib": max(step["memory"] for step in steps),
        "faces_per_second": round(rate, 1),
        "minutes_of_60_epochs_of_7500": round(60 * 7500 / rate / 60, 2),
    }
    out.write_text(json.dumps(found, indent=1) + "\n")
    print({name: value for name, value in found.items() if name != "method"})


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], Path(sys.argv[5]))
