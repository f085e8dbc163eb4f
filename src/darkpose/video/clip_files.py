"""Clips in, tables and annotated clips out.

NAME.csv                the table; .jsonl or .parquet likewise
NAME.landmarks.mp4      the clip with its landmarks
NAME.csv.unfinished     the journal of a run, until all is done: the same command goes on
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from darkpose.detect.detector import detector_facts
from darkpose.errors import printable
from darkpose.files.journal import Journal
from darkpose.files.paths import is_file, place
from darkpose.predict.predictor import Predictor
from darkpose.schema import SCHEMAS, KeypointSchema
from darkpose.video.analysis import analyse, journal_rows
from darkpose.video.annotated import AnnotatedClip
from darkpose.video.clip import Clip, check_part
from darkpose.video.clip_table import Row, TableFormat, read_table, write_table
from darkpose.video.derived_rows import with_derived
from darkpose.video.drawing import Draw, drawn
from darkpose.video.smoothed import Smooth, smoothed
from darkpose.video.tracker import Tracker, Tracking

# Steps, what they do, and about how many there are -> the steps, shown to the user.
Watch = Callable[[Iterator[Any], str, int | None], Iterator[Any]]


@dataclass(frozen=True)
class ClipOptions:
    """What is made of a clip.

    Attributes:
        start, end: s; the part of the clip. None: to its end.
        every: only frames whose number is a multiple of this.
        format: of the table.
        smooth: how landmarks are smoothed.
        draw: what is drawn; "off": no annotated clip.
        covariance: whether the table has covariances.
        derived: whether the table has derived numbers, and the clip the axes of the heads.

    Raises:
        DarkposeError: there is no such part of a clip.
    """

    start: float = 0.0
    end: float | None = None
    every: int = 1
    format: TableFormat = "csv"
    smooth: Smooth = "two-pass"
    draw: Draw = "landmarks"
    covariance: bool = False
    derived: bool = False

    def __post_init__(self) -> None:
        check_part(*self.part)

    @property
    def part(self) -> tuple[float, float | None, int]:
        """Arguments of `Clip.frames`."""
        return self.start, self.end, self.every


@dataclass
class ClipOutcome:
    """What was made of a clip.

    Attributes:
        counts: frames by status, "faces" (one for each frame it is in) and "tracks".
        files: that were written.
        problems: what is wrong with the clip or left out, as sentences.
    """

    counts: Counter[str] = field(default_factory=Counter)
    files: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def process_clip(clip: Clip, base: Path, predictor: Predictor, options: ClipOptions, watch: Watch) -> ClipOutcome:
    """Write the table of a clip, then draw it.

    Args:
        clip: open.
        base: path of the files, without their endings.
        predictor: finds faces and landmarks.
        options: what is made.
        watch: shows the progress.

    Raises:
        DarkposeError: a file cannot be written, or the clip cannot be read any more. What was done is in the journal.
    """
    table, outcome = Path(f"{base}.{options.format}"), ClipOutcome()
    with Journal(Path(f"{table}.unfinished"), _facts(clip, predictor, options)) as journal:
        new = analyse(clip.frames(*options.part), Tracker(predictor), journal, covariance=predictor.calibrated)
        for _ in watch(new, "faces", clip.expected(*options.part)):
            pass
        outcome.problems += [clip.problem] if clip.problem else []
        if all(row.status in ("broken", "skipped") for row in journal_rows(journal)):
            outcome.problems.append("no frame of this part can be decoded, or there is none")
            journal.remove()
            return outcome
        rows = counted(smoothed(journal_rows(journal), options.smooth), outcome.counts)
        fields = ["keypoints", "scores"] + ["raw"] * (options.smooth != "off") + ["covariances"] * options.covariance
        if options.derived:
            fields, rows = [*fields, "derived"], (with_derived(row, predictor.schema, clip.size) for row in rows)
        kept = (row if options.covariance else replace(row, covariances=None) for row in rows)
        write_table(table, kept, fields, len(predictor.schema))
        outcome.files.append(table)
        draw_clip(clip, base, read_table(table), options, {predictor.schema.name: predictor.schema}, outcome, watch)
        journal.remove()
    return outcome


def draw_again(clip: Clip, base: Path, table: Path, options: ClipOptions, watch: Watch) -> ClipOutcome:
    """Draw a clip by a table of it; frames that the table lacks have no faces.

    Raises:
        DarkposeError: as `draw_clip`.
    """
    outcome, end = ClipOutcome(), math.inf if options.end is None else options.end
    rows = (
        row
        for row in read_table(table)
        if row.time is not None and options.start <= row.time < end and row.frame % options.every == 0
    )
    draw_clip(clip, base, counted(rows, outcome.counts), options, {}, outcome, watch)
    return outcome


def draw_clip(
    clip: Clip,
    base: Path,
    rows: Iterable[Row],
    options: ClipOptions,
    schemas: Mapping[str, KeypointSchema],
    outcome: ClipOutcome,
    watch: Watch,
) -> None:
    """Write the annotated clip by the rows of its table.

    Args:
        clip: open.
        base: path of the file, without its ending.
        rows: of the clip.
        options: what is drawn.
        schemas: by their names, besides those of the package.
        outcome: gets the file, and what is left out.
        watch: shows the progress.

    Raises:
        DarkposeError: the table or the clip cannot be read, they do not belong together, or the file cannot be written.
    """
    if options.draw == "off":
        return
    path = Path(f"{base}.landmarks.mp4")
    with AnnotatedClip(path, clip.size, clip, options.start, options.end) as written:
        pictures = drawn(clip.frames(*options.part), rows, options.draw, {**SCHEMAS, **schemas})
        for image, time in watch(pictures, "drawn", clip.expected(*options.part)):
            written.write(image, time)
    outcome.files.append(path)
    outcome.problems += [written.problem] if written.problem else []


def _facts(clip: Clip, predictor: Predictor, options: ClipOptions) -> dict[str, Any]:
    """JSON values of everything the rows of the journal depend on."""
    path = Path(clip.path)
    return {
        "darkpose_clip": 1,
        "clip": printable(place(path)),
        "bytes": path.stat().st_size if is_file(path) else None,
        "part": [*options.part, clip.rate],
        "tracking": asdict(Tracking()),
        **predictor.facts(),
        **detector_facts(predictor.detector),
    }


def counted(rows: Iterable[Row], counts: Counter[str]) -> Iterator[Row]:
    """The rows; `counts` gets the numbers of `ClipOutcome.counts`."""
    last, tracks = -1, set[int]()
    for row in rows:
        counts[row.status] += row.frame != last
        counts["faces"] += row.track is not None
        if row.track is not None and row.track not in tracks:
            tracks.add(row.track)
            counts["tracks"] += 1
        last = row.frame
        yield row
