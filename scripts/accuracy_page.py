"""Write docs/accuracy.md from what benchmarks/accuracy.py, peers.py and others measured: accuracy_page.py NAME"""

import json
import sys
from pathlib import Path
from typing import Any

PAGE = Path("docs/accuracy.md")
TITLES = {
    "lfpw": "LFPW test, 68 landmarks: flip test and decoder on the same heatmaps",
    "lfpw_boxes": "LFPW test, 68 landmarks: what a real box costs",
    "wflw": "WFLW faces, 98 landmarks",
    "wflw_shared": "WFLW faces, 68 landmarks, through the 50 that both schemas share",
    "wflw_boxes": "WFLW faces, 98 landmarks: what a real box costs",
}
HEAD = """# What the shipped weights reach

Written by `python scripts/accuracy_page.py {name}` from `benchmarks/accuracy/{name}.json`, which `python
benchmarks/accuracy.py {weights} 300W WFLW {name}` made at commit {commit} on {machine}.

NME in per cent of the distance between the outer eye corners, pooled over landmarks of the faces found; intervals are
95 %, bootstrap over images; FR counts faces that were not found as failures. LFPW test is the 224 faces of 300-W's
common subset that come from LFPW. The WFLW faces are {wflw} genuine faces of WFLW's test set, each with at least one
hard attribute: this is not the error on the whole test set. The weights were trained on none of these faces. The epochs
of the first two stages of training were chosen on LFPW test; the other stages kept their last epoch. Changes were kept
or dropped by their error on LFPW test and on these WFLW faces, single folds of the cross-validation included
([experiments](experiments.md)): they served as development sets, and other faces may have a somewhat larger error.
Landmarks of WFLW were trained on labels derived from those of 300-W.
"""
PEERS = """## Next to other packages

`python benchmarks/peers.py MEDIAPIPE DLIB {weights} 300W WFLW benchmarks/peers.json` (commit {commit}, {machine};
{peers}): packages that install and bring weights, on the same faces, NME and intervals as above, without flip test.
darkpose was given annotated boxes. The mesh of MediaPipe has none of 300-W's landmarks: they are the vertices that are
nearest on 600 training faces, or the best linear map of all vertices. dlib does not say which faces of 300-W it was
trained on; that it is so much better on LFPW test than elsewhere suggests that these are among them. "minus darkpose"
is on the faces that both found. Milliseconds are of the median face, with the detection of the package except for
"annotated boxes", on a machine with other work: they are rough.

{table}
"""
PEER_SETS = {"300w-lfpw": "LFPW test, 68", "wflw-test": "WFLW faces, shared 50"}
FOOT = """## At size

`python benchmarks/evaluation_at_size.py DRAWN OUT.json` makes, checks and evaluates 10,000 faces drawn by darkpose in
WFLW's official files (`benchmarks/evaluation_at_size.json`; commit {commit}, {machine}, {workers} worker
process besides the main one: workers are threads now; `darkpose evaluate NAME --root DRAWN --weights default
--flip-test off --workers 1`, with earlier weights of the same network).
Memory is the sum of the resident sets of the processes, shared pages counted in each, the largest within each third of
the run: it does not grow with the number of faces. The machine also did other work.

{table}
"""


def table(head: list[str], rows: list[list[str]]) -> str:
    """Rows in Markdown."""
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def subset_rows(report: dict[str, Any]) -> list[list[str]]:
    """One row per subset of an evaluation."""
    rows = []
    for name, row in report["subsets"].items():
        interval = "{:.2f} .. {:.2f}".format(*row["interval"])
        numbers = [row["failure_rates"]["10"], row["aucs"]["10"], row["percentiles"]["50"], row["percentiles"]["95"]]
        rows.append(
            [name, str(row["faces"]), f"**{row['nme']:.3f}**", interval, *(f"{number:.2f}" for number in numbers)]
        )
    return rows


def way_rows(result: dict[str, Any]) -> list[list[str]]:
    """One row per way of predicting, with its difference from the first."""
    first = result["subsets"]["all"]
    rows = [
        [result["name"], str(first["missed"]), f"**{first['nme']:.3f}**", f"{first['failure_rates']['10']:.2f}", "", ""]
    ]
    for other in result["others"]:
        row, difference = other["subsets"]["all"], other["first_minus_this"]
        interval = "{:+.3f} .. {:+.3f}".format(*difference["interval"])
        numbers = [str(row["missed"]), f"{row['nme']:.3f}", f"{row['failure_rates']['10']:.2f}"]
        rows.append([other["name"], *numbers, f"{difference['difference']:+.3f}", interval])
    return rows


def section(key: str, result: dict[str, Any]) -> list[str]:
    """A part of the page."""
    ways = table(
        ["way", "missed", "NME", "FR 10", "the first minus this, on faces both found", "95 %"], way_rows(result)
    )
    command = result["command"].replace("{", "").replace("}", "")
    parts = [f"## {TITLES[key]}", f"`{command}`", ways]
    if len(result["subsets"]) > 1:
        head = ["subset", "faces", "NME", "95 % interval", "FR 10", "AUC 10", "median", "P95"]
        parts += [f"By subset, {result['name']}:", table(head, subset_rows(result))]
    regions = [pair for pair in result["subsets"]["all"]["nme_by_region"].items() if pair[1] is not None]
    lengths = result["subsets"]["all"]["nme_by_normaliser"].items()
    parts.append("By region: " + ", ".join(f"{name} {value:.2f}" for name, value in regions) + ".")
    parts.append("Over other lengths: " + ", ".join(f"{name} {value:.2f}" for name, value in lengths) + ".")
    return parts


def beside_peers(found: dict[str, Any]) -> str:
    """The part of the page on other packages."""
    rows = []
    for name, title in PEER_SETS.items():
        for way, result in found["results"][name].items():
            row, difference = result["subsets"]["all"], result["minus_darkpose"]
            interval = "{:.2f} .. {:.2f}".format(*row["interval"])
            numbers = [str(row["missed"]), f"**{row['nme']:.3f}**", interval, f"{row['percentiles']['50']:.2f}"]
            if difference is None:
                rows.append([title, way, *numbers, "", "", ""])
                continue
            spread = "{:+.3f} .. {:+.3f}".format(*difference["interval"])
            rows.append(
                [title, way, *numbers, f"{difference['difference']:+.3f}", spread, f"{result['milliseconds']:.1f}"]
            )
    head = ["faces, landmarks", "system", "missed", "NME", "95 %", "median face", "minus darkpose", "95 %", "ms"]
    facts = {key: found[key] for key in ("weights", "commit", "machine")}
    return PEERS.format(peers=", ".join(found["peers"]), table=table(head, rows), **facts).rstrip()


def at_size(found: dict[str, Any]) -> str:
    """The part of the page on 10,000 faces."""
    rows = []
    for name in ("wflw-train", "wflw-test"):
        check, evaluation = found["results"][name]["check"], found["results"][name]["evaluate"]
        rows.append(
            [
                *(name, str(evaluation["output"]["subsets"]["all"]["faces"])),
                *(f"{check['seconds']:.0f} s", f"{check['peak_mb']} MB", f"{evaluation['seconds']:.0f} s"),
                *(f"{evaluation['ms_per_face']:.0f}", " / ".join(map(str, evaluation["peak_mb_by_third"]))),
            ]
        )
    head = ["list", "faces", "check", "check, memory", "evaluate", "ms a face", "evaluate, MB by third"]
    return FOOT.format(
        commit=found["commit"], machine=found["machine"], workers=found["worker_processes"], table=table(head, rows)
    )


def main(name: str) -> None:
    """Read and write."""
    found = json.loads(Path(f"benchmarks/accuracy/{name}.json").read_text())
    size = json.loads(Path("benchmarks/evaluation_at_size.json").read_text())
    peers = json.loads(Path("benchmarks/peers.json").read_text())
    wflw = str(found["results"]["wflw"]["subsets"]["all"]["faces"])
    facts = {key: found[key] for key in ("weights", "commit", "machine")}
    parts = [HEAD.format(name=name, wflw=wflw, **facts).rstrip()]
    for key, result in found["results"].items():
        parts += section(key, result)
    PAGE.write_text("\n\n".join([*parts, beside_peers(peers), at_size(size)]).rstrip() + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
