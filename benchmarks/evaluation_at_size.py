"""Checking and evaluating 10,000 drawn faces: evaluation_at_size.py DRAWN OUT.json

DRAWN is a tree of `darkpose datasets make wflw`, made first if it is not there. Every command is a process of its own,
measured from outside: wall time, and the memory of the command and its workers together (sum of resident sets,
sampled), a third, two thirds and all of the way through its faces.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from surroundings import surroundings

WORKERS = 1


def resident_mb(pid: int) -> float:
    """Resident memory of a process and its children, MB; pages that they share count in each."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        own = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
        return int(own.split()[1]) / 1024 + sum(resident_mb(int(child)) for child in children.read_text().split())
    except (OSError, StopIteration):
        return 0.0


def measured(arguments: list[str], lines: Path | None = None) -> dict[str, Any]:
    """Run a command of darkpose; its seconds, and the memory by how many lines its file has."""
    started, samples = time.perf_counter(), list[tuple[int, float]]()
    call = [sys.executable, "-m", "darkpose", *arguments]
    with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        while process.poll() is None:
            done = sum(1 for _ in lines.open()) if lines and lines.exists() else 0
            samples.append((done, resident_mb(process.pid)))
            time.sleep(2)
        output = process.stdout.read() if process.stdout else ""
    last = max((done for done, _ in samples), default=0)
    thirds = [[mb for done, mb in samples if third * last < 3 * done <= (third + 1) * last] for third in range(3)]
    return {
        "command": " ".join(["darkpose", *arguments]),
        "exit_code": process.returncode,
        "seconds": round(time.perf_counter() - started, 1),
        "peak_mb": round(max(mb for _, mb in samples)),
        **({"peak_mb_by_third": [round(max(mbs, default=0)) for mbs in thirds]} if lines else {}),
        "output": output,
    }


def main(root: Path, out: Path) -> None:
    """Measure and write."""
    results: dict[str, Any] = {"make": measured(["datasets", "make", "wflw", "--root", str(root), "--workers", "2"])}
    with tempfile.TemporaryDirectory() as scratch:
        for name, faces in (("wflw-train", 7500), ("wflw-test", 2500)):
            check = measured(["datasets", "check", name, "--root", str(root), "--json"])
            check["output"] = json.loads(check["output"])
            file = Path(scratch) / f"{name}.jsonl"
            arguments = ["evaluate", name, "--root", str(root), "--weights", "default", "--flip-test", "off"]
            arguments += ["--workers", str(WORKERS), "--predictions", str(file), "--json"]
            found = measured(arguments, file)
            found["output"] = json.loads(found["output"])
            found["ms_per_face"] = round(1000 * found["seconds"] / faces, 1)
            results[name] = {"check": check, "evaluate": found}
    report = {**surroundings(), "method": __doc__, "worker_processes": WORKERS, "results": results}
    text = json.dumps(report, indent=1).replace(str(root), "DRAWN").replace(scratch, "SCRATCH")
    out.write_text(text + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
