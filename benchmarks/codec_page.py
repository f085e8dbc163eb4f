"""The page and the picture of the codec's speed, from what `codec.py` measured: codec_page.py CODEC.json DOCS_FOLDER

Writes DOCS_FOLDER/benchmarks.md and benchmarks.png. What `gpu.py` measured is taken from gpu.json beside CODEC.json.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from darkpose.files.atomic import write_atomically, write_text
from darkpose.files.figure import check_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Facts = dict[str, Any]

HALVES = ("bfloat16", "float16")
LIMITS = ("torch.amax", "np.argmax", "memory copy", "fill a buffer")
OURS = ("fused", "NumPy", "torch d", "full", "truncated", "rounded", "loss")
BUSY = """The machine also did other work, which is in
the medians, most of all in those of packages that split work with OpenMP (torch, kornia): all threads wait for the one
that was displaced. The shortest calls are nearer to the times of an idle machine, but long calls are undisturbed less
often than short ones, which favours the short ones."""
WEAK = """Maps with cells at or below 1e-10 around the maximum take longer (fused, weak landmarks), because DARK then
needs the whole blurred map. Peaks well above their noise have no such cells."""
DECODING = {
    "decode batch": "64 faces of 98 landmarks, maps of 64x64 (103 MB)",
    "decode face": "one face of 98 landmarks, maps of 64x64",
    "decode body": "64 people of 17 landmarks, maps of 64 rows and 48 columns",
    "decode weak": "one face of 98 weak landmarks: peaks of 0.015 to 0.03 under noise of 0.01",
}


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of Markdown."""
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def number(value: float) -> str:
    """Three digits."""
    return f"{value:#.3g}".rstrip(".")


def timings(works: dict[str, Facts], base: str, errors: dict[str, float] | None = None) -> list[str]:
    """A table of works, the fastest first."""
    rows = []
    for name, facts in sorted(works.items(), key=lambda item: item[1]["shortest_ms"]):
        called = f"**{name}**" if name == base else f"*{name}*" if name in LIMITS else name
        times = [number(facts[key]) for key in ("ms", "shortest_ms")]
        ratios = [number(facts["over"][key]) for key in ("median", "shortest")]
        error = [f"{errors[name]:.3f}" if name in errors else ""] if errors else []
        rows.append([called, *times, *ratios, f"{facts['quiet_rounds']} of {len(facts['rounds'])}", *error])
    head = ["", "ms", "shortest", f"over {base}", "of the shortest", "quiet rounds"]
    return table(head + (["mean error, px"] if errors else []), rows)


def gpu_part(found: Facts) -> list[str]:
    """The document's part on a GPU."""
    decoding = found["decode"]
    copy = decoding["ceilings"]["copy_bytes_per_second"] / 1e12
    settings = {name: each for name, each in decoding.items() if isinstance(each, dict) and "kernel" in each}
    best = max(each["kernel"]["of_copy"] for each in settings.values())
    took = decoding["512 faces, float32"]["kernel"]["median"]
    lines = ["## On a GPU", ""]
    commit = decoding["commit"]
    lines += [
        f"`python benchmarks/gpu.py benchmarks/results` on an {decoding['card']} at commit {commit}, which copies",
        f"{copy:.2f} TB/s; ms for 98 maps of 64x64 a face, and in brackets the bytes of the maps per second over those",
        f"of the copy. The goal of 75 % is missed: the Triton kernel reaches {best:.0%}. Half precision saves little,",
        "so it does not wait for memory. It was not profiled; its machine code, counted by",
        "`scripts/gpu/count_instructions.py`, has 1,184 instructions (float32, each of 4 warps a map) and 26 barriers.",
        f"Issuing all of them takes 0.23 of its {took:.2f} ms for 512 faces, without any waiting: it needs fewer sums",
        "over a window. With 64 faces the host takes as long to start it. `decode` checks whether maps were clipped,",
        "and the host waits for the answer.",
        "",
    ]
    names = {"kernel": "Triton kernel", "decode": "`decode`", "torch": "`decode_torch`", "amax": "*torch.amax*"}
    rows = [
        [setting, *(f"{number(works[n]['median'])} ({works[n]['of_copy']:.1%})" for n in names)]
        for setting, works in settings.items()
    ]
    lines += table(["", *names.values()], rows)
    encoding = found["encode"]
    drawing = f"{number(encoding['median'])} ms there ({encoding['of_copy']:.1%})"
    return [*lines, "", f"Targets of 64 faces into a buffer take {drawing}: these wait for the host, too.", ""]


def page(found: Facts, gpu: Facts | None = None) -> str:
    """The document, of `codec.py`'s and `gpu.py`'s facts."""
    named = [f"{name}: {', '.join(f'{k} {v}' for k, v in of.items())}" for name, of in found["versions"].items()]
    quiet = sum(facts["quiet_rounds"] for works in found["results"].values() for facts in works.values())
    rounds = sum(len(facts["rounds"]) for works in found["results"].values() for facts in works.values())
    lines = ["# How fast the codec is", "", "![Times and growth](benchmarks.png)", ""]
    lines += ["Written by `make bench`: `python benchmarks/codec.py benchmarks/results` measured for"]
    lines += [
        f"{found['seconds']} s at commit {found['commit']}, on {found['machine']}; `benchmarks/codec_page.py` wrote"
    ]
    lines += ["this page. Limits are in italics: they do less than a decoder or encoder must.", ""]
    lines += [
        f"{100 * quiet / rounds:.0f} % of the rounds were quiet. {BUSY if quiet < rounds / 2 else ''}".strip(),
        "",
    ]
    lines += ["## Goals", ""]
    head = ["", "goal", "median", "of the shortest", "met"]
    lines += table(
        head,
        [
            [
                row["what"],
                row["goal"],
                number(row["median"]),
                number(row["shortest"]),
                "yes" if row["met"] else "**no**",
            ]
            for row in found["goals"]
        ],
    )
    lines += ["", WEAK]
    for group, what in DECODING.items():
        errors = found["agreement"]["mean_error_px"] if group == "decode batch" else None
        lines += ["", f"## Decoding {what}", "", *timings(found["results"][group], "fused dark", errors)]
    lines += ["", "## Drawing 64x98 heatmaps of 64x64", "", *timings(found["results"]["encode"], "full, buffer")]
    lines += ["", "## Growth of the fused decoder", "", "On one thread."]
    lines += ["From a few faces on, work is shared among threads, which makes a bend in the times that users see. The"]
    lines += ["residuals come from the caches: maps that fit into one take less per cell.", ""]
    rows = []
    for by, facts in found["growth"].items():
        line = facts["line"]
        law = f"{number(1000 * line['offset'])} us + {number(1000 * line['slope'])} us per million cells"
        largest = 100 * max(map(abs, line["relative_residuals"]))
        rows.append([by, ", ".join(map(str, facts[by])), ", ".join(map(number, facts["shortest_ms"])), law])
        rows[-1].append(f"{largest:.0f} %")
    lines += table(["by", "values", "shortest, ms", "line", "largest residual"], rows)
    lines += ["", "## Agreement", ""]
    differences = found["agreement"]["largest_difference"]
    rows = [
        [name, group.removeprefix("decode "), "not measured" if value is None else f"{value:.2g}"]
        for name, groups in differences.items()
        for group, value in groups.items()
    ]
    lines += table(["", "input", "largest difference (px, or of a cell)"], rows)
    lines += [
        "",
        "mmpose 1.3 moves by a quarter cell along one axis even if the other is at the border; 0.29 does not.",
        "",
        "64 samples decoded at once against one by one; flat indices in float32 are rounded above 2^24 cells:",
        "",
    ]
    batches = found["agreement"]["batch_against_one_by_one"]
    rows = [[name, f"{f['moved']} of {f['points']}", number(f["largest_px"])] for name, f in batches.items()]
    lines += table(["", "points that move by more than 0.01 px", "farthest, px"], rows)
    lines += [
        "",
        *(gpu_part(gpu) if gpu else []),
        "## Where darkpose is slower",
        "",
        *slower(found),
        "",
        "## Method",
        "",
    ]
    lines += ["```", found["method"].strip(), "```", "", *(f"* {line}" for line in named)]
    lines += [f"* left out: {name}: {reason}" for name, reason in found["absent"].items()]
    return "\n".join(lines) + "\n"


def slower(found: Facts) -> list[str]:
    """What takes less time than the fused path, or than the same thing of another package."""
    lines = []
    for group, base in (*((name, "fused dark") for name in DECODING), ("encode", "full, buffer")):
        works = found["results"][group]
        halves = [
            f"{kind} {number(works[f'{base}, {kind}']['over']['median'])}" for kind in HALVES if group != "encode"
        ]
        if halves:
            lines.append(f"* {group}, {base} of half precision, times float32: {', '.join(halves)}.")
        ahead = {
            name: facts["over"]
            for name, facts in works.items()
            if min(facts["over"].values()) < 0.95 and not name.startswith(OURS)
        }
        told = [f"{name} {number(over['median'])} ({number(over['shortest'])})" for name, over in ahead.items()]
        lines.append(f"* {group}, times {base}, median (shortest): {', '.join(told) or 'nothing'}.")
        peers = [n for n in works if n not in LIMITS and not n.startswith(OURS)]
        for own in [n for n in works if n.startswith(("NumPy", "torch d", "rounded")) and n not in LIMITS]:
            behind = [n for n in peers if works[n]["shortest_ms"] < works[own]["shortest_ms"]]
            if behind:
                lines.append(f"* {group}: {own} takes longer than {', '.join(behind)}.")
    return lines


# ----------------------------------------------------------------------------------------------------------- picture


def _bars(axes: "Axes", works: dict[str, Facts], title: str) -> None:
    ordered = sorted(works, key=lambda name: -works[name]["shortest_ms"])
    colours = ["0.7" if name in LIMITS else "tab:blue" if name.startswith(OURS) else "tab:orange" for name in ordered]
    shortest = np.array([works[name]["shortest_ms"] for name in ordered])
    usual = np.array([works[name]["ms"] for name in ordered])
    places = np.arange(len(ordered))
    axes.barh(places, shortest, color=colours, height=0.7)
    axes.plot(usual, places, "k|", markersize=7)
    for place, value in enumerate(shortest):
        axes.text(value / 1.1, place, number(float(value)), va="center", ha="right", fontsize=6.5, color="white")
    axes.set_yticks(places, ordered, fontsize=7.5)
    axes.set_xscale("log")
    axes.set_xlim(shortest.min() / 4, 1.4 * usual.max())
    axes.set_xlabel("ms (bar: shortest call, tick: median)")
    axes.set_title(title, fontsize=9.5)
    axes.grid(axis="x", alpha=0.3)


def _growth(axes: "Axes", growth: dict[str, Facts]) -> None:
    for by, facts in growth.items():
        cells, line = np.array(facts["million_cells"]), facts["line"]
        (drawn,) = axes.loglog(cells, facts["shortest_ms"], "o", label=f"by {by}")
        axes.loglog(
            np.sort(cells), line["offset"] + line["slope"] * np.sort(cells), color=drawn.get_color(), linewidth=1
        )
    axes.set(xlabel="million cells", ylabel="ms, shortest call")
    axes.set_title("Growth of the fused decoder, and fitted lines", fontsize=9.5)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def picture(path: Path, found: Facts) -> None:
    """Write the PNG.

    Raises:
        DarkposeError: Matplotlib is missing, or the file cannot be written.
    """
    check_matplotlib(path)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 9), layout="constrained", dpi=110)
    (batch, face), (encode, growth) = figure.subplots(2, 2, height_ratios=(5, 3.4))
    results = found["results"]
    _bars(batch, results["decode batch"], "Decode 64x98x64x64")
    _bars(face, results["decode face"], "Decode 1x98x64x64")
    _bars(encode, results["encode"], "Draw 64x98x64x64, and losses with gradient")
    _growth(growth, found["growth"])
    figure.suptitle(f"blue darkpose, orange others, grey limits; {found['machine']}", fontsize=9.5)
    write_atomically(path, lambda temporary: figure.savefig(temporary, format="png"))


def main(results: Path, folder: Path) -> None:
    """Write both."""
    found, by_gpu = json.loads(results.read_text()), results.with_name("gpu.json")
    picture(folder / "benchmarks.png", found)
    gpu = json.loads(by_gpu.read_text()) if by_gpu.exists() else None
    write_text(folder / "benchmarks.md", page(found, gpu))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
