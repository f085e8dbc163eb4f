"""The frames of a clip -> the rows of its table, kept in a journal, so that a killed run goes on where it was.

Every second or so the journal also gets the state of the tracker. A run that goes on drops what comes after the last
state: it gives the same rows as one that was not killed.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

from darkpose.errors import DarkposeError
from darkpose.files.journal import ADVICE, Journal
from darkpose.files.json_text import parse_json
from darkpose.files.records import parse_record
from darkpose.predict.face import Face
from darkpose.predict.formats import face_values
from darkpose.video.clip import Frame
from darkpose.video.clip_table import Row
from darkpose.video.tracker import Tracker, TrackerState

STATE_EVERY = 30  # frames


@dataclass(frozen=True)
class FrameRows:
    """The rows of one frame, as the journal has them."""

    rows: tuple[Row, ...]

    def __post_init__(self) -> None:
        if not self.rows:
            raise DarkposeError("a frame has no rows")


def analyse(frames: Iterable[Frame], tracker: Tracker, journal: Journal, *, covariance: bool) -> Iterator[list[Row]]:
    """Find the faces of the frames that the journal lacks, and append them to it.

    Args:
        frames: of a clip, from where the run began.
        tracker: new; it gets the last state in the journal.
        journal: of this run; what follows the last state is dropped.
        covariance: whether rows have covariances.

    Yields:
        For each frame its rows, those of skipped frames before it included; none if the journal has them.

    Raises:
        DarkposeError: the journal is damaged or cannot be written, or an image cannot be used.
    """
    last = resume(tracker, journal)
    since = 0
    for frame in frames:
        if frame.number <= last:
            yield []
            continue
        rows = [Row(number, "skipped") for number in range(last + 1, frame.number)] if last >= 0 else []
        rows += rows_of(frame, tracker, covariance=covariance)
        journal.add({"rows": [row.values() for row in rows]})
        yield rows
        last, since = frame.number, since + 1
        if since % STATE_EVERY == 0:
            journal.add({"state": asdict(tracker.state())})


def rows_of(frame: Frame, tracker: Tracker, *, covariance: bool) -> list[Row]:
    """The rows of one frame; the tracker moves on to it."""
    if frame.image is None:
        return [Row(frame.number, "broken", frame.time)]
    faces = tracker.update(frame.image, frame.time)
    found = [face_row(face, frame.number, frame.time, covariance=covariance) for face in faces]
    return found or [Row(frame.number, "no face", frame.time)]


def face_row(face: Face, number: int, time: float, *, covariance: bool) -> Row:
    """The row of a face, with rounded numbers."""
    values = face_values(face)
    spread = values.get("covariances") if covariance else None
    return Row(
        number,
        "ok",
        time,
        face.track,
        values["markup"],
        tuple(values["box"]),
        values["found_by"],
        values["detection_score"],
        values["score"],
        values["rolled"],
        tuple(map(tuple, values["keypoints"])),
        tuple(values["scores"]),
        None,
        None if spread is None else tuple(None if m is None else (m[0][0], m[0][1], m[1][1]) for m in spread),
    )


def resume(tracker: Tracker, journal: Journal) -> int:
    """Give the tracker the last state in the journal, and drop what follows; the last frame before it, or -1."""
    last, kept, state, frame = -1, 0, None, -1
    for count, (where, line) in enumerate(journal, 1):
        values = _parsed(line, where)
        if isinstance(values, TrackerState):
            kept, state, last = count, values, frame
        else:
            frame = values.rows[-1].frame
    journal.keep(kept)
    if state is not None:
        tracker.restore(state)
    return last


def journal_rows(journal: Journal) -> Iterator[Row]:
    """All rows of the journal.

    Raises:
        DarkposeError: it is damaged.
    """
    for where, line in journal:
        values = _parsed(line, where)
        if isinstance(values, FrameRows):
            yield from values.rows


def _parsed(line: str, where: str) -> FrameRows | TrackerState:
    try:
        values = parse_json(line)
        if isinstance(values, dict) and "state" in values:
            return parse_record(TrackerState, values["state"])
        return parse_record(FrameRows, values)
    except DarkposeError as error:
        raise DarkposeError(f"{where} is damaged ({error}); {ADVICE}") from error
