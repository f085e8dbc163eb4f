"""The newest frame of a camera, a stream, or a file that is played: frames that nobody took in time are dropped."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from types import TracebackType

from darkpose.errors import DarkposeError
from darkpose.image.opencv import cv2
from darkpose.image.pixels import Pixels
from darkpose.video.analysis import rows_of
from darkpose.video.clip import Clip, Frame, open_clip
from darkpose.video.clip_table import Row
from darkpose.video.decode import is_url, need_av
from darkpose.video.smoothed import CausalRows, Smooth
from darkpose.video.smoothing import Smoothing
from darkpose.video.tracker import Tracker

RETRIES = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)  # s to wait before a lost source is opened again; then it is given up
MOST_CAMERAS = 10_000
LOOK = 0.1  # s between two looks whether to stop

Images = Callable[[threading.Event], Iterator[Pixels]]  # opens a source; the event asks it to stop


@dataclass(frozen=True)
class LiveFrame:
    """A frame that was the newest when it was taken.

    Attributes:
        number: from 0, counted over all frames that came, dropped ones, too.
        time: s from the first frame to when this one came, by this machine's clock.
        image: (H, W, 3) uint8 RGB.
    """

    number: int
    time: float
    image: Pixels


class Newest(AbstractContextManager["Newest"]):
    """The newest frames of a source, which a thread reads; iterate within `with`.

    Args:
        images: opens the source.
        is_lasting: whether the source is opened again when it ends.
        tell: called with a sentence, in the thread that reads, when the source is lost.

    Attributes:
        came, taken: numbers of frames so far.
        reconnects: how often a lost source was opened again.
    """

    def __init__(self, images: Images, *, is_lasting: bool, tell: Callable[[str], object] = lambda _: None) -> None:
        self._images, self._is_lasting, self._tell = images, is_lasting, tell
        self.came = self.taken = self.reconnects = 0
        self._start = 0.0
        self._newest: LiveFrame | None = None
        self._problem: BaseException | None = None
        self._stop, self._change, self._is_over = threading.Event(), threading.Condition(), False
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> "Newest":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop reading; a source that does not answer is left behind."""
        self._stop.set()
        self._thread.join(1.0)

    def age(self, frame: LiveFrame) -> float:
        """Seconds since a frame came."""
        return time.monotonic() - self._start - frame.time

    def next(self, wait: float = LOOK) -> LiveFrame | None:
        """The newest frame, if there is one that was not taken within `wait` s.

        Raises:
            DarkposeError: the source cannot be opened, or is lost.
        """
        with self._change:
            self._change.wait_for(lambda: self._newest is not None or self._is_over, wait)
            frame, self._newest = self._newest, None
            if frame is None and self._problem is not None:
                raise self._problem
            self.taken += frame is not None
            return frame

    @property
    def dropped(self) -> int:
        """Number of frames that nobody took in time."""
        with self._change:
            return self.came - self.taken - (self._newest is not None)

    @property
    def has_ended(self) -> bool:
        """Whether there will be no more frames, and no error."""
        with self._change:
            return self._is_over and self._newest is None and self._problem is None

    def _read(self) -> None:
        """Read the source until it ends, is lost for good, or nobody wants it any more."""
        attempts = 0
        while not self._stop.is_set():
            before = self.came
            try:
                with closing(self._images(self._stop)) as images:  # type: ignore[type-var]
                    for image in images:
                        self._put(image)
                        if self._stop.is_set():
                            return
                problem: BaseException | None = None
            except Exception as error:
                problem = error
            if self._stop.is_set():
                break
            attempts = 0 if self.came > before else attempts + 1
            if not self._is_lasting or not self.came or attempts >= len(RETRIES):
                self._end(problem)
                return
            self._tell(f"{problem or 'the source ended'}; it is opened again in {RETRIES[attempts]:g} s")
            self._stop.wait(RETRIES[attempts])
            self.reconnects += 1
        self._end(None)

    def _put(self, image: Pixels) -> None:
        now = time.monotonic()
        with self._change:
            self._start = self._start if self.came else now
            self._newest = LiveFrame(self.came, now - self._start, image)
            self.came += 1
            self._change.notify()

    def _end(self, problem: BaseException | None) -> None:
        with self._change:
            self._problem, self._is_over = problem, True
            self._change.notify()


def follow(
    newest: Newest, tracker: Tracker, smooth: Smooth, is_stopped: Callable[[], object]
) -> Iterator[tuple[LiveFrame, list[Row]]]:
    """The newest frames and the rows of their faces, until the source ends or the caller has enough.

    Raises:
        DarkposeError: the source is lost, or an image cannot be used.
    """
    smoother = CausalRows(Smoothing())
    while not newest.has_ended and not is_stopped():
        frame = newest.next()
        if frame is not None:
            rows = rows_of(
                Frame(frame.number, frame.time, frame.image), tracker, covariance=tracker.predictor.calibrated
            )
            yield frame, rows if smooth == "off" else [smoother(row) for row in rows]


def open_live(source: str, tell: Callable[[str], object] = lambda _: None) -> Newest:
    """The newest frames of a source.

    Args:
        source: the number of a camera, the address of a stream, or a file, which is played at its own times, also if
            it comes from an address.
        tell: called with a sentence when a camera or stream is lost.

    Raises:
        DarkposeError: no camera has such a number.
        ModuleNotFoundError: a stream or file needs PyAV, which is not installed.
    """
    if source.isdecimal():
        if int(source) > MOST_CAMERAS:
            raise DarkposeError(f"camera {source[:20]} cannot be opened: there is none")
        return Newest(lambda stop: _camera(int(source)), is_lasting=True, tell=tell)
    need_av()
    if is_url(source):
        return Newest(lambda stop: _stream(source, stop), is_lasting=True, tell=tell)
    return Newest(lambda stop: _played(source, stop), is_lasting=False)


def _camera(number: int) -> Iterator[Pixels]:
    capture = cv2.VideoCapture(number)
    try:
        if not capture.isOpened():
            raise DarkposeError(f"camera {number} cannot be opened: there is none, or another program uses it")
        while True:
            is_read, image = capture.read()
            if not is_read:
                return
            yield cv2.cvtColor(image, cv2.COLOR_BGR2RGB)  # type: ignore[misc]
    finally:
        capture.release()


def _stream(address: str, stop: threading.Event) -> Iterator[Pixels]:
    with open_clip(address) as clip:
        if clip.duration is not None:  # a file
            yield from _in_time(clip, stop)
            stop.set()  # it is not lost
            return
        for frame in clip.frames():
            if frame.image is not None:
                yield frame.image


def _played(path: str, stop: threading.Event) -> Iterator[Pixels]:
    with open_clip(path) as clip:
        yield from _in_time(clip, stop)


def _in_time(clip: Clip, stop: threading.Event) -> Iterator[Pixels]:
    """The images of a clip at its own times."""
    start = time.monotonic()
    for frame in clip.frames():
        if stop.wait(max(0.0, start + frame.time - time.monotonic())):
            return
        if frame.image is not None:
            yield frame.image
