"""The tables of docs/decoding.md, from what was measured: decoding_page.py

Fills what stands between `<!-- NAME -->` and `<!-- end -->` in the page: decoders, from benchmarks/accuracy/ of the
default weights; border, from benchmarks/border.json; calibration, from benchmarks/calibration/.
"""

import json
from pathlib import Path
from typing import Any

from darkpose.files.atomic import write_text
from darkpose.weights.zoo import SHIPPED, W300_ONLY

Facts = dict[str, Any]
PAGE = Path("docs/decoding.md")
MARKUPS = {"300w-68": 68, "wflw-98": 98, "aflw-19": 19}
WAYS = ("the peak itself", "factor * C", "scale * C + floor", "floor alone", "calibrated")


def table(head: list[str], rows: list[list[str]]) -> str:
    """Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def read(path: str) -> Facts:
    """A file of numbers."""
    return dict(json.loads(Path(path).read_text()))


def decoders() -> str:
    """NME of LFPW test by decoder and flip test."""
    found = read(f"benchmarks/accuracy/{W300_ONLY}.json")["results"]["lfpw"]
    nme = {each["name"]: each["subsets"]["all"]["nme"] for each in (found, *found["others"])}
    rows = [
        [flip, *(f"{nme[f'annotation boxes, flip {flip}, {way}']:.3f}" for way in ("argmax", "quarter", "dark"))]
        for flip in ("off", "published")
    ]
    return table(["flip test", "argmax", "quarter", "DARK"], rows)


def border() -> str:
    """Errors of both methods by distance from the border."""
    found = read("benchmarks/border.json")
    parts = []
    for name, each in found["results"].items():
        rows = [
            [
                *(zone, str(row["landmarks"]), f"{row['dark']:.3f}", f"{row['dark+']:.3f}"),
                f"{row['dark+ minus dark']:+.3f}",
                "{:+.3f} .. {:+.3f}".format(*row["interval"]),
            ]
            for zone, row in each["zones"].items()
        ]
        head = ["landmark", "how many", '"dark"', '"dark+"', "difference", "95 %"]
        parts.append(f"{name}, {each['crops']} crops:\n\n{table(head, rows)}")
    told = (
        f"`python benchmarks/border.py {found['weights']} 300W WFLW benchmarks/border.json`, commit {found['commit']}"
    )
    return "\n\n".join([f"Mean errors in heatmap px ({told}):", *parts])


def measured() -> list[str]:
    """The shipped weights whose calibration is there."""
    return [name for name in SHIPPED if Path(f"benchmarks/calibration/{name}.json").exists()]


def calibrations() -> str:
    """Coverage by calibrated covariances, of all shipped weights; of the default ones by other ways, too."""
    rows, told = [], []
    for name in measured():
        found = read(f"benchmarks/calibration/{name}.json")
        told.append(f"{name} at commit {found['commit']}")
        for markup, each in found["results"].items():
            for faces, row in each["measured"].items():
                row_of = (name, MARKUPS[markup], faces)
                wanted = WAYS if (name, markup) == (W300_ONLY, "300w-68") else ("calibrated",)
                rows += [[*map(str, row_of), way, *numbers(row["ways"][way])] for way in wanted]
    head = ["weights", "landmarks", "faces", "covariance", "50 / 90 / 95", "widest fifth", "likelihood"]
    return f"({'; '.join(told)})\n\n{table(head, rows)}\n\n{detection()}"


def numbers(way: Facts) -> list[str]:
    """Shares within the regions in per cent, of all and of the widest fifth, and the likelihood."""

    def shares(key: str) -> str:
        return " / ".join(f"{100 * share:.1f}" for share in way[key])

    return [shares("coverage"), shares("coverage_of_widest_fifth"), f"{way['mean_log_likelihood']:.2f}"]


def detection() -> str:
    """How well landmarks that are far off are told."""
    rows = []
    for name in measured():
        for markup, each in read(f"benchmarks/calibration/{name}.json")["results"].items():
            for faces, row in each["measured"].items():
                off = row["off_by_more_than_10_per_cent"]
                areas = [f"{area:.3f}" for area in off["auroc"].values()]
                rows.append([name, str(MARKUPS[markup]), faces, f"{off['off']} of {off['landmarks']}", *areas])
    head = ["weights", "landmarks", "faces", "off by more than 10 %", "score", "the peak's width", "calibrated"]
    return "Area under the ROC curve for landmarks that are off:\n\n" + table(head, rows)


def filled(text: str) -> str:
    """The page with its tables.

    Raises:
        ValueError: it has no place for one.
    """
    for name, content in {"decoders": decoders(), "border": border(), "calibration": calibrations()}.items():
        before, start, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        if not (start and end):
            raise ValueError(f"{PAGE}: expected a place for {name}")
        text = f"{before}{start}{content}\n{end}{after}"
    return text


if __name__ == "__main__":
    write_text(PAGE, filled(PAGE.read_text()))
