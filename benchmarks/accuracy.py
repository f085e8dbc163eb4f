"""Error of weights by `darkpose evaluate`: accuracy.py WEIGHTS 300W WFLW NAME [PART ...]

Runs the commands that docs/accuracy.md shows, and writes what they print as JSON to benchmarks/accuracy/NAME.json, with
commit, machine and method. 300W and WFLW are folders as `darkpose datasets check` takes them; LFPW test is one of
300-W's. The WFLW faces are those of the list that is there, all of WFLW's test set or a part. PARTs are keys of
`commands`, for weights that have learnt from some of the faces; all where none is named.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from surroundings import surroundings

OUT = Path("benchmarks/accuracy")


def commands(weights: str) -> dict[str, list[str]]:
    """The evaluations by name; {300W} and {WFLW} stand for the folders."""
    lfpw = ["300w-lfpw", "--root", "{300W}", "--weights", weights]
    wflw = ["wflw-test", "--root", "{WFLW}", "--weights", weights]
    return {
        "lfpw": [*lfpw, "--flip-test", "published,exact,off", "--decode", "dark,quarter,argmax"],
        "lfpw_boxes": [*lfpw, "--flip-test", "off", "--boxes", "annotation,yunet,haar,jitter:0.05,jitter:0.1"],
        "wflw": [*wflw, "--flip-test", "published,off"],
        "wflw_shared": [*wflw, "--flip-test", "published,off", "--schema", "300w-68", "--shared"],
        "wflw_boxes": [*wflw, "--flip-test", "off", "--boxes", "annotation,yunet,haar,jitter:0.1"],
    }


def evaluate(arguments: list[str], folders: dict[str, str], scratch: Path) -> dict[str, Any]:
    """What `darkpose evaluate ARGUMENTS --json` prints."""
    filled = [argument.format(**folders) for argument in arguments]
    call = [sys.executable, "-m", "darkpose", "evaluate", *filled, "--predictions", str(scratch), "--json"]
    done = subprocess.run(call, stdout=subprocess.PIPE, check=True, text=True)
    return dict(json.loads(done.stdout))


def main(weights: str, w300: str, wflw: str, name: str, *parts: str) -> None:
    """Measure and write."""
    folders, results = {"300W": w300, "WFLW": wflw}, {}
    with tempfile.TemporaryDirectory() as scratch:
        for key, arguments in commands(weights).items():
            if parts and key not in parts:
                continue
            found = evaluate(arguments, folders, Path(scratch) / f"{key}.jsonl")
            for each in (found, *found["others"]):
                each.pop("file")
            results[key] = {"command": " ".join(["darkpose", "evaluate", *arguments]), **found}
    OUT.mkdir(exist_ok=True)
    report = {**surroundings(), "method": __doc__, "weights": weights, "results": results}
    (OUT / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
