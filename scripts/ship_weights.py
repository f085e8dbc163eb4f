"""Put a trained checkpoint into the package, in half precision: ship_weights.py RUNS_FOLDER COMMIT HARDWARE

RUNS_FOLDER holds the last run of train_default.sh at least, COMMIT is what it was made with; logs of earlier runs that
are not there are those in docs/training/. The weights go to src/darkpose/weights/, the logs to docs/training/. What the
logs say of hours and epochs goes into the provenance.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from darkpose.checkpoint import read_safetensors, save_checkpoint, with_provenance
from darkpose.runlog import read_log

RUNS = ("300w-128", "300w-256", "faces-300w")
WEIGHTS = Path("src/darkpose/weights/300w-hrnetv2-w18-dark.safetensors")
LOGS = Path("docs/training")


def run_facts(log: Path) -> dict[str, Any]:
    """Epochs, iterations and hours of steps of one run, from its log (validation not counted)."""
    lines = read_log(log)
    steps = [line for line in lines if line["mode"] == "train"]
    last_of_epoch = {line["epoch"]: line for line in steps}
    per_epoch = (steps[-1]["iter"] + 1) / len(last_of_epoch)
    return {
        "epochs": len(last_of_epoch),
        "hours": round(sum(line["time"] for line in last_of_epoch.values()) * per_epoch / 3600, 2),
        "validation_nme_percent": [round(100 * line["NME"], 3) for line in lines if line["mode"] == "val"],
    }


def log_of(runs: Path, name: str) -> Path:
    """The log of a run, from its folder or, if it was made before, from the documents."""
    own = runs / name / "log.jsonl"
    return own if own.exists() else LOGS / f"{name}.jsonl"


def main(runs: Path, commit: str, hardware: str) -> None:
    """Write weights and logs."""
    checkpoint = with_provenance(
        read_safetensors(runs / RUNS[-1] / "weights.safetensors"),
        name=WEIGHTS.stem,
        command="scripts/train_default.sh",
        commit=commit,
        hardware=hardware,
        runs={name: run_facts(log_of(runs, name)) for name in RUNS},
        terms="weights of darkpose, Apache-2.0; learnt from 300-W, whose images are for research only",
    )
    WEIGHTS.parent.mkdir(exist_ok=True)
    save_checkpoint(checkpoint, WEIGHTS, half=True)
    LOGS.mkdir(exist_ok=True)
    for name in RUNS:
        if (runs / name / "log.jsonl").exists():
            shutil.copyfile(runs / name / "log.jsonl", LOGS / f"{name}.jsonl")
    print(f"{WEIGHTS}: {WEIGHTS.stat().st_size / 1e6:.1f} MB")
    print(json.dumps(dict(checkpoint.provenance), indent=2))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
