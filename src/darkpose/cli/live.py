"""`darkpose live`: the faces of a camera or stream as they come."""

from collections import deque
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from cyclopts import Parameter

from darkpose.cli.model import INPUT, OUTPUT, Compute, Model, predictor_options
from darkpose.cli.result import count_of, print_json, tell, tell_facts
from darkpose.errors import DarkposeError
from darkpose.files.atomic import check_place
from darkpose.files.paths import exists

if TYPE_CHECKING:
    from darkpose.image.pixels import Pixels

TITLE = "darkpose: q ends"
LAST = 1000  # frames, whose median age is told


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

    Always the newest frame is taken; those that came in the meantime are dropped and counted. A camera or stream that
    is lost is opened again. Ctrl-C ends.

    Parameters
    ----------
    source
        Number of a camera (0), address of a stream (rtsp://, http://, ...), or a file, played at its own speed.
    detector
        auto or darkpose (the one in the package), yunet, haar, or the path of a detector's file.
    smooth
        causal: landmarks smoothed by the frames before. off: as the network finds them.
    record
        MP4 file for the frames with their landmarks.
    window
        Show the frames with their landmarks. It needs opencv-python instead of opencv-python-headless.
    """
    from darkpose.video.decode import is_url, need_av

    if not source.isdecimal() and not is_url(source) and not exists(Path(source)):
        raise DarkposeError(f"{source}: expected the number of a camera, the address of a stream, or a file")
    if window:
        _check_windows()
    if record is not None:
        need_av()
        check_place(record)

    from darkpose.predict.predictor import Predictor
    from darkpose.stopping import Stopping
    from darkpose.video.annotated import AnnotatedClip
    from darkpose.video.drawing import draw_rows
    from darkpose.video.live import follow, open_live
    from darkpose.video.tracker import Tracker

    model, compute = model or Model(), compute or Compute()
    newest, ages, written = open_live(source, tell), deque[float](maxlen=LAST), None
    can_be_sure = model.method not in ("argmax", "quarter")
    predictor = Predictor(**predictor_options(model, compute), detector=detector, covariance=can_be_sure)
    schemas = {predictor.schema.name: predictor.schema}
    tell_facts(predictor, covariance=False)
    _ = predictor.detector  # loaded before the first frame comes
    with Stopping() as stopping, ExitStack() as stack, newest:
        for frame, rows in follow(newest, Tracker(predictor), smooth, lambda: stopping.reason):
            ages.append(newest.age(frame))
            facts = {"frame": frame.number, "time": round(frame.time, 4), "age": round(ages[-1], 4)}
            faces = [row.values() for row in rows if row.track is not None]
            print_json({**facts, "dropped": newest.dropped, "faces": faces})
            if record is None and not window:
                continue
            drawn = draw_rows(frame.image, rows, "boxes", schemas)
            if record is not None:
                written = written or stack.enter_context(
                    AnnotatedClip(record, frame.image.shape[1::-1], is_recording=True)
                )
                written.write(drawn, frame.time)
            if window and not _shown(drawn):
                break
    counts = [count_of(newest.taken, "frame"), f"{newest.dropped} dropped"]
    counts += [count_of(newest.reconnects, "reconnect")] * (newest.reconnects > 0)
    tell(", ".join(counts) + (f"; median age {1000 * np.median(ages):.0f} ms" if ages else ""))
    return 0 if newest.taken else 1


def _check_windows() -> None:
    """Refuse to open a window where OpenCV has none."""
    from darkpose.image.opencv import cv2

    if any(line.split() == ["GUI:", "NONE"] for line in cv2.getBuildInformation().splitlines()):
        raise DarkposeError(
            "--window: this OpenCV has no windows (opencv-python-headless); pip install opencv-python, or use --record"
        )


def _shown(image: "Pixels") -> bool:
    """Show an image; whether the user wants more."""
    from darkpose.image.opencv import cv2

    cv2.imshow(TITLE, image[..., ::-1])
    return cv2.waitKey(1) & 0xFF != ord("q") and cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) > 0
