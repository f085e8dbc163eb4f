"""`darkpose live`: the faces of a camera or stream as they come."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from darkpose.cli.model import Compute, Model, predictor_options
from darkpose.cli.result import count_of, print_json, tell, tell_facts
from darkpose.errors import DarkposeError
from darkpose.files.paths import exists

if TYPE_CHECKING:
    from darkpose.image.pixels import Pixels
    from darkpose.video.clip_table import Row
    from darkpose.video.live import Newest

INPUT, OUTPUT = Group("Input and faces", sort_key=1), Group("Output", sort_key=3)
TITLE = "darkpose (q ends)"


def live(
    source: Annotated[str, Parameter(group=INPUT)],
    *,
    detector: Annotated[str, Parameter(group=INPUT)] = "auto",
    model: Model | None = None,
    smooth: Annotated[Literal["causal", "off"], Parameter(group=OUTPUT)] = "causal",
    record: Annotated[Path | None, Parameter(group=OUTPUT)] = None,
    window: Annotated[bool, Parameter(group=OUTPUT)] = False,
    compute: Compute | None = None,
) -> int:
    """Follow the faces of a camera or stream; one JSON line for each frame on standard output.

    Always the newest frame is taken; those that came in the meantime are dropped and counted. A source that is lost is
    opened again. Ctrl-C ends.

    Parameters
    ----------
    source
        Number of a camera (0), address of a stream (rtsp://, http://, ...), or a file, which is played at its own times.
    detector
        auto or darkpose (the one in the package), yunet, haar, or the path of a detector's file.
    smooth
        causal: landmarks smoothed by the frames before. off: as the network finds them.
    record
        MP4 file for the frames with their landmarks.
    window
        Show the frames with their landmarks; needs opencv-python instead of opencv-python-headless.
    """
    from darkpose.video.decode import is_url

    if not source.isdecimal() and not is_url(source) and not exists(Path(source)):
        raise DarkposeError(f"{source}: expected the number of a camera, the address of a stream, or a file")
    if window:
        _check_windows()

    from darkpose.predict.predictor import Predictor
    from darkpose.video.live import follow, open_live
    from darkpose.video.tracker import Tracker

    model, compute = model or Model(), compute or Compute()
    can_be_sure = model.method not in ("argmax", "quarter")
    newest, ages = open_live(source), list[float]()
    predictor = Predictor(**predictor_options(model, compute), detector=detector, covariance=can_be_sure)
    tell_facts(predictor, covariance=False)
    with Stopping() as stopping, ExitStack() as stack, newest:
        sinks: list[Callable[[Pixels, float], bool]] = [_show] if window else []
        for frame, rows in follow(newest, Tracker(predictor), smooth, lambda: stopping.reason):
            dropped = newest.came - newest.taken
            print_json(
                {
                    "frame": frame.number,
                    "time": round(frame.time, 4),
                    "age": round(newest.age(frame), 4),
                    "dropped": newest.dropped,
                    "faces": [row.values() for row in rows if row.track is not None],
                }
            )
