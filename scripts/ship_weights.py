"""Put a trained checkpoint into the package, in half precision: ship_weights.py NAME RUNS_FOLDER COMMIT HARDWARE

NAME is the name of the weights, RUNS_FOLDER holds at least the last of their runs (see train_default.sh), COMMIT is the
commit of the run; logs of earlier runs that are not there are taken from docs/training/. The weights and their graphs
go to src/darkpose/weights/shipped/, the logs to docs/training/, the hours and epochs of the logs into the provenance.
"""

import json
import shutil
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

from network_graphs import write_graphs

from darkpose.network.checkpoint import read_safetensors, save_checkpoint, with_provenance
from darkpose.training.log import read_log
from darkpose.weights.zoo import FACES, SMALL, W300_ONLY

W300_RUNS = (
    *("300w-128", "300w-256", "faces-300w", "faces-300w-longer"),
    *("faces-300w-wing", "faces-300w-gpu", "faces-300w-long"),
)
RUNS = {
    W300_ONLY: W300_RUNS,
    FACES: (*W300_RUNS, "faces"),
    SMALL: ("small-128", "small"),
}
TERMS = {
    W300_ONLY: "learnt from 300-W, whose images are for research only",
    FACES: "learnt from 300-W and from faces of WFLW's test set, whose images are for research only",
    SMALL: "learnt from 300-W, whose images are for research only, and taught by weights that had learnt from it, too",
}
WEIGHTS = Path("src/darkpose/weights/shipped")
LOGS = Path("docs/training")


def run_facts(log: Path) -> dict[str, Any]:
    """Epochs and hours of steps of one run, from its log (validation not counted).

    The first logs have a line for some steps only, whose `time` is the mean of its epoch's steps so far.
    """
    lines = read_log(log)
    steps = [line for line in lines if line["mode"] == "train"]
    epochs, count = steps[-1]["epoch"], steps[-1]["iter"] + 1
    if len(steps) == count:
        seconds = sum(line["time"] for line in steps)
    else:
        seconds = sum({line["epoch"]: line["time"] for line in steps}.values()) * count / epochs
    return {
        "epochs": epochs,
        "hours": round(seconds / 3600, 2),
        "validation_nme_percent": [round(100 * line["NME"], 3) for line in lines if line["mode"] == "val"],
    }


def log_of(runs: Path, name: str) -> Path:
    """The log of a run, from its folder or, if it was made before, from the documents."""
    own = runs / name / "log.jsonl"
    return own if own.exists() else LOGS / f"{name}.jsonl"


def main(name: str, runs: Path, commit: str, hardware: str) -> None:
    """Write weights, graphs and logs."""
    checkpoint = with_provenance(
        read_safetensors(runs / RUNS[name][-1] / "weights.safetensors"),
        name=name,
        command="scripts/train_default.sh",
        commit=commit,
        hardware=hardware,
        runs={run: run_facts(log_of(runs, run)) for run in RUNS[name]},
        terms=f"weights of darkpose, Apache-2.0; {TERMS[name]}",
    )
    file = WEIGHTS / f"{name}.safetensors"
    WEIGHTS.mkdir(exist_ok=True)
    save_checkpoint(checkpoint, file, half=True)
    write_graphs(file)
    LOGS.mkdir(exist_ok=True)
    for run in RUNS[name]:
        if (runs / run / "log.jsonl").exists():
            shutil.copyfile(runs / run / "log.jsonl", LOGS / f"{run}.jsonl")
    print(f"{file}: {file.stat().st_size / 1e6:.1f} MB, SHA-256 {sha256(file.read_bytes()).hexdigest()}")
    print(json.dumps(dict(checkpoint.provenance), indent=2))


if __name__ == "__main__":
    if len(sys.argv) != 5 or sys.argv[1] not in RUNS:
        sys.exit(__doc__)
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4])
