"""The tables of docs/deploy.md, from what was measured: deploy_page.py PRECISION.json RESULTS docs/deploy.md

Fills what stands between `<!-- NAME -->` and `<!-- end -->` in the page: precision, int8-speed, speed, stages, goals,
for the small network small-precision, small-speed and small-goals, and aoti. PRECISION.json is what `precision.py`
writes, RESULTS the folder into which `deploy.sh` writes deploy.json and deploy-small.json, `int8_speed.py`
int8-speed.json and `aoti.py` aoti.json.
"""

import json
import sys
from pathlib import Path
from typing import Any

from darkpose.files.atomic import write_text

Facts = dict[str, Any]

GOALS = {"onnxruntime": 2.2, "openvino": 2.5, "openvino bf16": 4.0}  # times faster than torch eager, one face
INT8_GOAL, REST_GOAL = 5.5, 0.10
SMALL = "300w-small-dark"
SMALL_GOALS = {"torch eager": 30, "torch": 30, "the best of all": 100}  # faces/s, any batch size


def table(head: list[str], rows: list[list[str]]) -> str:
    """Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def made_by(command: str, found: Facts) -> str:
    """Where numbers come from."""
    return f"`{command}`, commit {found['commit']}, {found['machine']}"


def precision(found: Facts, small: bool = False) -> str:
    """NME by way, and what it is more than torch's in fp32, of the default network or the small one."""
    names = [name for name, each in found["results"].items() if (each["weights"] == SMALL) == small]
    sets = [found["results"][name] for name in names]
    head = [""]
    for each in sets:
        head += [
            f"{each['data_set']}, {each['faces']} faces: NME",
            "95 %",
            "more than torch fp32",
            "95 %",
            "median face",
        ]
    rows = []
    for way in sets[0]["ways"]:
        row = [way]
        for each in sets:
            facts = each["ways"][way]
            row += [f"{facts['nme']:.3f}", between(facts["interval"], "")]
            known = "difference" in facts
            row += [f"{facts['difference']:+.3f}" if known else ""]
            row += [between(facts["difference_interval"], "+") if known else ""]
            row += [f"{facts['median_face_difference']:+.3f}" if known else ""]
        rows.append(row)
    told = made_by("python benchmarks/precision.py 300W WFLW WORK", found)
    return f"{told}:\n\n{table(head, rows)}\n\n{moved(sets)}\n\n{accepted(found, names)}"


def moved(sets: list[Facts]) -> str:
    """How far the landmarks of files lie from torch's."""
    lines = []
    for bits in ("fp32", "fp16", "int8"):
        ways = [way for way in sets[0]["ways"] if way.endswith(f", {bits} file") and "bf16" not in way]
        each = [facts["ways"][way]["moved_crop_px"] for facts in sets for way in ways]
        p99, farthest = (max(found[key] for found in each) for key in ("p99", "max"))
        digits = 4 if bits == "fp32" else 2
        lines.append(f"{bits}: {p99:.{digits}f} at P99, {farthest:.{digits}f} at the most")
    told = f"Distance of landmarks from PyTorch's in fp32, crop px, the worse of sets and runtimes: {'; '.join(lines)}."
    return f"{told} Large distances are other peaks."


def accepted(found: Facts, names: list[str]) -> str:
    """Whether the file that `darkpose export --precision int8` writes costs little enough, by set."""
    head, rows = ["int8 costs less than 0.05", *(found["results"][name]["data_set"] for name in names)], []
    for way, sets in found["accepted"].items():
        if way.endswith("int8 file"):
            cells = []
            for name in names:
                each = sets[name]
                low, _ = found["results"][name]["ways"][way]["difference_interval"]
                doubt = "" if each["shown"] or low > 0.05 else ", but the interval leaves it open"
                cells.append(("yes" if each["accepted"] else "**no**") + doubt)
            rows.append([way, *cells])
    return table(head, rows)


def between(interval: list[float], sign: str) -> str:
    """Two ends."""
    digits = 3 if sign else 2
    return " .. ".join(f"{end:{sign}.{digits}f}" for end in interval)


def speed(found: Facts) -> str:
    """ms per face by way and batch size."""
    sizes = list(found["results"]["torch eager"]["ms_per_face"])
    head = ["", *(part for size in sizes for part in (f"batch {size}, ms", "times faster")), "memory"]
    rows = []
    for name, way in found["results"].items():
        row = [name]
        for size in sizes:
            each = way["ms_per_face"][size]
            row += [f"{each['ms']:.1f} ({each['shortest_ms']:.1f})"]
            row += [f"{each['over_eager']['median']:.2f} ({each['over_eager']['shortest']:.2f})"]
        rows.append([*row, "" if way["memory_mb"] is None else f"{way['memory_mb']} MB"])
    foreign = sorted(found["foreign_cores"])
    busy = f"{foreign[len(foreign) // 2]:.2f} in the median round, {foreign[-1]:.2f} in the worst" if foreign else ""
    busy = f"; cores that other processes kept busy: {busy}" if busy else ""
    command = made_by("darkpose benchmark", found)
    return f"{command}{busy}. Medians, shortest calls in brackets:\n\n{table(head, rows)}"


def stages(found: Facts) -> str:
    """The whole way, one face at a time."""
    before = {name: timing["ms"] for name, timing in found["before_the_network"].items()}
    kinds = list(dict.fromkeys(k for way in found["results"].values() for k in first(way)["stages_ms"]))
    head = ["", *before, *kinds, "all", "faces/s", "rest"]
    rows = []
    for name, way in found["results"].items():
        each = first(way)
        times = [f"{value:.1f}" for value in before.values()]
        times += [f"{each['stages_ms'][kind]:.1f}" if kind in each["stages_ms"] else "" for kind in kinds]
        whole = [f"{each['whole_way_ms']:.1f}", f"{each['faces_per_second']:.1f}", f"{100 * each['rest_share']:.1f} %"]
        rows.append([name, *times, *whole])
    return f"{found['photographs']}, found by {found['detector']}; ms per face:\n\n{table(head, rows)}"


def first(way: Facts) -> Facts:
    """A way's numbers at the smallest batch."""
    return dict(next(iter(way["ms_per_face"].values())))


def goals(found: Facts) -> str:
    """What is aimed at, and what came out."""
    results, rows = found["results"], []
    int8 = {name: INT8_GOAL for name in results if name.endswith(", int8.onnx")}
    for name, goal in (GOALS | int8).items():
        if name in results:
            over = first(results[name])["over_eager"]
            met = "yes" if min(over.values()) >= goal else "**no**"
            told = f"{over['median']:.2f} ({over['shortest']:.2f})"
            rows.append([f"{name}: times faster than torch eager, one face", f">= {goal:g}", told, met])
    shares = [first(way)["rest_share"] for way in results.values()]
    rest = f"{100 * max(shares):.1f} %"
    met = "yes" if max(shares) <= REST_GOAL else "**no**"
    rows.append(["most of the whole way that is not decoding, detecting, network", "<= 10 %", rest, met])
    return table(["", "goal", "median (of the shortest)", "met"], rows)


def int8_speed(found: Facts) -> str:
    """One face by every kind of int8 file."""
    results = found["results"]
    names = list(next(iter(results.values())))
    cells = {
        by: {name: f"{each['ms']:.1f} ({each['shortest_ms']:.1f})" for name, each in its.items()}
        for by, its in results.items()
    }
    rows = [[name, *(cells[by][name] for by in results)] for name in names]
    told = made_by("python benchmarks/int8_speed.py WORK benchmarks/results/int8-speed.json", found)
    return f"{told}; one face, ms, the shortest in brackets:\n\n{table(['file', *results], rows)}"


def aoti(found: Facts) -> str:
    """AOTInductor's library beside the program it is made of."""
    ways = ("program", "library")
    rows = [
        [name, f"{found[f'{name}_mb']:.0f} MB", *(f"{found[name][key]:.0f}" for key in ("ms", "shortest_ms"))]
        for name in ways
    ]
    told = made_by("python benchmarks/aoti.py default benchmarks/results/aoti.json", found)
    facts = f"made in {found['seconds_to_make']:.0f} s, landmarks within {found['largest_difference_px']:.3f} px"
    return f"{told}; {facts}:\n\n{table(['', 'file', 'one face, ms', 'the shortest'], rows)}"


def small_goals(found: Facts) -> str:
    """Faces a second, from crops to landmarks, that the small network is aimed at, and what came out."""
    rates = {
        (name, size): 1000 / each["ms"]
        for name, way in found["results"].items()
        for size, each in way["ms_per_face"].items()
    }
    rows = []
    for kind, goal in SMALL_GOALS.items():
        chosen = {key: rate for key, rate in rates.items() if key[0] == kind or kind not in found["results"]}
        name, size = max(chosen, key=chosen.__getitem__)
        rate = chosen[name, size]
        met = "yes" if rate >= goal else "**no**"
        rows.append([f"{kind}: faces/s", f">= {goal}", f"{rate:.1f} ({name}, batch {size})", met])
    return table(["", "goal", "median", "met"], rows)


def main(precision_file: Path, results: Path, page: Path) -> None:
    """Fill in the page."""
    measured = json.loads(precision_file.read_text())
    timed, small, kinds, library = (
        json.loads((results / f"{name}.json").read_text()) for name in ("deploy", "deploy-small", "int8-speed", "aoti")
    )
    filled = {
        **{"precision": precision(measured), "speed": speed(timed), "stages": stages(timed), "goals": goals(timed)},
        **{"small-precision": precision(measured, small=True), "small-speed": speed(small)},
        **{"small-goals": small_goals(small), "int8-speed": int8_speed(kinds), "aoti": aoti(library)},
    }
    text = page.read_text()
    for name, lines in filled.items():
        before, start, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        if not (start and end):
            raise ValueError(f"{page}: expected a place for {name}")
        text = f"{before}{start}{lines}\n{end}{after}"
    write_text(page, text)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
