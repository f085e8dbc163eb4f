"""`darkpose video`: clips in, tables and annotated clips out."""

import os
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from darkpose.cli.model import DEFAULT_OUTPUT, INPUT, INTERRUPTED, OUTPUT, Compute, Model, predictor_options
from darkpose.cli.result import count_of, print_json, print_lines, tell, tell_facts
from darkpose.errors import DarkposeError, printable
from darkpose.files.paths import exists
from darkpose.stopping import termination_as_interrupt

if TYPE_CHECKING:
    from darkpose.video.clip_files import ClipOutcome


def video(
    *clips: Annotated[str, Parameter(group=INPUT)],
    detector: Annotated[str, Parameter(group=INPUT)] = "auto",
    find: Annotated[Literal["usual", "small"], Parameter(group=INPUT)] = "usual",
    start: Annotated[float, Parameter(group=INPUT)] = 0.0,
    end: Annotated[float | None, Parameter(group=INPUT)] = None,
    every: Annotated[int, Parameter(group=INPUT)] = 1,
    rate: Annotated[float, Parameter(group=INPUT)] = 25.0,
    model: Model | None = None,
    output: Annotated[Path, Parameter(group=OUTPUT)] = DEFAULT_OUTPUT,
    format: Annotated[Literal["csv", "jsonl", "parquet"], Parameter(group=OUTPUT)] = "csv",
    smooth: Annotated[Literal["two-pass", "causal", "off"], Parameter(group=OUTPUT)] = "two-pass",
    draw: Annotated[Literal["landmarks", "boxes", "scores", "off"], Parameter(group=OUTPUT)] = "landmarks",
    table: Annotated[Path | None, Parameter(name="--from", group=OUTPUT)] = None,
    covariance: Annotated[bool, Parameter(group=OUTPUT)] = False,
    derived: Annotated[bool, Parameter(group=OUTPUT)] = False,
    json: Annotated[bool, Parameter(group=OUTPUT)] = False,
    compute: Compute | None = None,
) -> int:
    """Follow the faces of clips: a table of landmarks, and the clip with them drawn.

    Each face has a track, a number that stays the same through the clip. Frame times are those of the clip, and its
    sound is copied. If it is interrupted, the same command continues.

    Parameters
    ----------
    clips
        Video files, GIFs, or folders or quoted globs of images.
    detector
        auto or darkpose (the one in the package), yunet, haar, or the path of a detector's file.
    find
        small: also search tiles of each frame, for small faces; slower.
    start
        Time of the first frame, s.
    end
        Time before which to end, s. Default: the end of the clip.
    every
        Take only every n-th frame.
    rate
        Frames per second of folders and globs of images.
    output
        Folder for NAME.csv and NAME.landmarks.mp4.
    format
        Of the table, with a row for each face in each frame.
    smooth
        two-pass: without lag. causal: by the frames before, as live. off: as the network finds them.
    draw
        landmarks; boxes, with the numbers of the tracks; scores, too; or off, no clip.
    table
        A table that this command has written, to draw again without finding the faces again.
    covariance
        Also give the uncertainty of each landmark, image px^2, before smoothing.
    derived
        Also give head pose with standard errors, openness of eyes and mouth, and five points of each face, and draw the
        axes of the heads.
    json
        Print one JSON line per clip.
    """
    from darkpose.video.clip import is_glob
    from darkpose.video.decode import is_url, need_av

    if not clips:
        raise DarkposeError("name at least one clip (darkpose video --help)")
    if table is not None and len(clips) > 1:
        raise DarkposeError(f"--from draws one clip by its table, got {len(clips)} clips")
    if table is not None and draw == "off":
        raise DarkposeError("--from draws a clip by its table: leave out --draw off")
    for clip in clips:
        if not (exists(Path(clip)) or is_url(clip) or is_glob(clip)):
            raise DarkposeError(f"{clip}: no such file or folder")

    from darkpose.files.atomic import make_folder
    from darkpose.predict.parquet import need_pyarrow
    from darkpose.video.clip_files import ClipOptions, draw_again, process_clip

    options = ClipOptions(start, end, every, format, smooth, draw, covariance, derived)
    need_av()
    if format == "parquet":
        need_pyarrow("--format parquet")
    make_folder(output)
    if table is not None:
        process = partial(draw_again, table=table, options=options, watch=_watch)
    else:
        from darkpose.predict.predictor import Predictor

        model, compute = model or Model(), compute or Compute()
        can_be_sure = covariance or model.method not in ("argmax", "quarter")
        predictor = Predictor(**predictor_options(model, compute), detector=detector, find=find, covariance=can_be_sure)
        tell_facts(predictor, covariance)
        process = partial(process_clip, predictor=predictor, options=options, watch=_watch)
    unusable = 0
    try:
        with termination_as_interrupt():
            for name, base in zip(clips, _bases(clips, output), strict=True):
                unusable += not _one(name, rate, base, process, json=json)
    except KeyboardInterrupt:
        tell(INTERRUPTED)
        return 130
    return 1 if unusable else 0


def _one(name: str, rate: float, base: Path, process: Any, *, json: bool) -> bool:
    """Process one clip; whether all of it could be used."""
    from darkpose.video.clip import open_clip
    from darkpose.video.decode import is_url

    try:
        clip = open_clip(name, rate)
        if is_url(name) and clip.duration is None:
            raise DarkposeError(f"{name}: a stream cannot be read a second time, to draw it: use darkpose live")
    except DarkposeError as error:
        tell(str(error))
        if json:
            print_json({"clip": printable(name), "files": [], "problems": [str(error)]})
        return False
    with clip:
        outcome: ClipOutcome = process(clip, base)
    for problem in outcome.problems:
        tell(f"{name}: {problem}")
    counts = {status: outcome.counts[status] for status in ("ok", "no face", "broken", "skipped", "tracks", "faces")}
    files = [printable(str(file)) for file in outcome.files]
    if json:
        print_json({"clip": printable(name), **counts, "files": files, "problems": outcome.problems})
    elif files:
        frames = ", ".join(f"{counts[status]} {status}" for status in ("ok", "no face", "broken", "skipped"))
        print_lines(f"{name}: frames: {frames}; {count_of(counts['tracks'], 'track')} -> {', '.join(files)}")
    return not outcome.counts["broken"] and not outcome.problems and bool(outcome.counts["faces"])


def _bases(clips: Iterable[str], folder: Path) -> Iterator[Path]:
    """Paths of the files of clips without their endings; clips of the same name get numbers."""
    from darkpose.video.clip import is_glob

    used: set[str] = set()
    for clip in clips:
        path = Path(clip).absolute()
        stem = Path(os.path.normpath(path.parent if is_glob(clip) else path)).stem or "images"
        names = (stem if number == 1 else f"{stem}_{number}" for number in count(1))
        used.add(name := next(name for name in names if name not in used))
        yield folder / name


def _watch(steps: Iterator[Any], what: str, total: int | None) -> Iterator[Any]:
    """The steps, with a progress bar where a person looks."""
    from tqdm import tqdm

    with tqdm(steps, what, total, unit=" frames", disable=None, file=sys.stderr) as bar:
        yield from bar
