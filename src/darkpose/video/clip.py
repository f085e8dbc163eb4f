"""The frames of a clip, with their numbers and times: a video file, a GIF, a folder or glob of images, or a stream."""

import glob
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from darkpose.errors import DarkposeError
from darkpose.files.paths import exists, is_folder
from darkpose.image.pixels import Pixels, read_image
from darkpose.predict.inputs import is_image, no_images
from darkpose.video.decode import count_before, is_url, opened, packets, pictures, to_pixels, video_stream

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.video.reformatter import VideoReformatter
    from av.video.stream import VideoStream

DEFAULT_RATE = 25.0  # frames/s, of images and of files that name no rate


def check_part(start: float, end: float | None, every: int) -> None:
    """Check the arguments of `Clip.frames`.

    Raises:
        DarkposeError: they fit no clip.
    """
    if not 0 <= start < math.inf or (end is not None and not end > start) or every < 1:
        raise DarkposeError(
            f"expected 0 <= start < end in seconds and every >= 1, got start {start}, end {end}, every {every}"
        )


@dataclass(frozen=True)
class Frame:
    """One frame of a clip.

    Attributes:
        number: from 0, counted over all frames of the clip, broken ones, too.
        time: s, from the start of the clip's video; times increase from frame to frame.
        image: (H, W, 3) uint8 RGB, upright; None: the frame is broken. In some clips the size changes.
    """

    number: int
    time: float
    image: Pixels | None


class _Found(NamedTuple):
    """A frame whose pixels are made only when it is wanted."""

    number: int
    time: float
    pixels: Callable[[], Pixels | None]


@dataclass
class Clip(ABC):
    """A clip; `open_clip` makes it. As a context manager it closes what the last `frames` reads from.

    Attributes:
        path: file, folder, glob or address, as given.
        size: (width, height) of the first frame that can be decoded, upright.
        rate: mean frames/s that the file names.
        duration: s; None: not known.
        count: of frames that the file names, an estimate; None: not known.
        has_sound: whether there is sound.
        origin: s, the time on the clock of the file at which the clip's video starts.
        problem: after the last frame, why the clip ends early, as a sentence; empty: it does not.
    """

    path: str
    size: tuple[int, int] = (0, 0)
    rate: float = DEFAULT_RATE
    duration: float | None = None
    count: int | None = None
    has_sound: bool = False
    origin: Fraction = Fraction(0)
    problem: str = ""
    _reading: Generator[Frame] | None = field(default=None, init=False, repr=False)

    def frames(self, start: float = 0.0, end: float | None = None, every: int = 1) -> Iterator[Frame]:
        """Read the frames from `start` to before `end`, both in s.

        Numbers and times are those of the whole clip, wherever it starts. Memory does not grow with the clip. An
        earlier iterator of this clip ends.

        Args:
            start: time of the first frame, or 0 for the beginning.
            end: None: the end of the clip.
            every: give only frames whose number is a multiple of this; the others are decoded, not converted.

        Raises:
            DarkposeError: the arguments fit no clip, or the file can no longer be read.
        """
        check_part(start, end, every)
        self.close()
        self.problem = ""
        self._reading = self._wanted(start, math.inf if end is None else end, every)
        return self._reading

    def expected(self, start: float = 0.0, end: float | None = None, every: int = 1) -> int | None:
        """About how many frames `frames` will give; None: not known."""
        if self.count is None:
            return None
        last = self.count if end is None else min(end * self.rate, self.count)
        return max(0, math.ceil((last - start * self.rate) / every))

    def _wanted(self, start: float, end: float, every: int) -> Generator[Frame]:
        for number, time, pixels in self._all(start):
            if time >= end:
                return
            if (time >= start or not start) and number % every == 0:
                yield Frame(number, time, pixels())

    @abstractmethod
    def _all(self, start: float) -> Iterator[_Found]:
        """The frames from `start` or before it."""

    def close(self) -> None:
        """End the last iterator that `frames` gave."""
        if self._reading is not None:
            self._reading.close()

    def __enter__(self) -> "Clip":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_clip(source: str, rate: float = DEFAULT_RATE) -> Clip:
    """Open a clip and decode it up to its first frame.

    Args:
        source: a video file or GIF; a folder or glob of images, which are taken in the order of their names, numbers in
            them as numbers; or the address of a stream: rtsp://, http://, https://, rtmp:// or udp://. Nothing else is
            an address, and files open no other files.
        rate: frames/s of images.

    Raises:
        DarkposeError: it cannot be read, is no clip, has no video, or no frame of it can be decoded.
        ModuleNotFoundError: a file or stream needs PyAV, which is not installed.
    """
    if is_glob(source) or (not is_url(source) and is_folder(source)):
        return _open_images(source, rate)
    return _open_video(source)


def is_glob(source: str) -> bool:
    """Whether this is a glob, and not the name of a file that has brackets in it, or the address of a stream."""
    return glob.has_magic(source) and not exists(source) and not is_url(source)


class _ImageClip(Clip):
    """Image files, one for each frame."""

    files: list[Path]

    def _all(self, start: float) -> Iterator[_Found]:
        for number, file in enumerate(self.files):
            yield _Found(number, number / self.rate, partial(_image_or_none, file))


def _open_images(source: str, rate: float) -> Clip:
    if not 0 < rate < math.inf:
        raise DarkposeError(f"{source}: expected a rate above 0 frames/s, got {rate}")
    try:
        found = list(Path(source).iterdir()) if is_folder(source) else list(map(Path, glob.iglob(source)))
    except OSError as error:
        raise DarkposeError(f"{source}: the folder cannot be read: {error.strerror or error}") from error
    files = sorted(filter(is_image, found), key=_natural)
    if not files:
        raise no_images(Path(source))
    first = next((image for image in map(_image_or_none, files) if image is not None), None)
    if first is None:
        read_image(files[0])  # it raises, with the reason
    assert first is not None
    clip = _ImageClip(source, first.shape[1::-1], rate, len(files) / rate, len(files))
    clip.files = files
    return clip


def _natural(path: Path) -> list[list[tuple[int, str]]]:
    """A key that sorts frame_2 before frame_10."""
    parts = [re.split(r"([0-9]+)", part) for part in path.parts]
    return [[(int(text), text) if text.isdecimal() else (-1, text) for text in part] for part in parts]


def _image_or_none(file: Path) -> Pixels | None:
    try:
        return read_image(file)
    except DarkposeError:
        return None


class _VideoClip(Clip):
    """A video file or a stream."""

    def _all(self, start: float) -> Iterator[_Found]:
        from av.video.reformatter import VideoReformatter

        skipped, number, key = self._key_frame(start) if start > 0 and not is_url(self.path) else (0, 0, None)
        reformatter, previous, read = VideoReformatter(), -math.inf, 0
        with opened(self.path) as container:
            stream = video_stream(container, self.path)

            def counted() -> "Iterator[Packet[Any]]":
                nonlocal read
                for packet in packets(container, stream):
                    read += 1
                    yield packet

            for pts, frame in pictures(stream, islice(counted(), skipped, None)):
                if key is not None and pts is not None and pts < key:
                    continue
                previous = self._time(pts, stream.time_base, previous, broken=frame is None)
                yield _Found(number, previous, partial(_pixels_or_none, frame, reformatter))
                number += 1
            self._check_end(stream, read, previous)

    def _key_frame(self, start: float) -> tuple[int, int, int | None]:
        with opened(self.path) as container:
            stream = video_stream(container, self.path)
            return count_before(
                container, stream, math.floor((Fraction(start) + self.origin) / (stream.time_base or 1))
            )

    def _time(self, pts: int | None, base: Fraction | None, previous: float, *, broken: bool) -> float:
        """The time of a frame; one that is missing or does not increase follows the one before by 1 / rate.

        A broken frame that comes late follows at once, so that it does not delay the frames after it.
        """
        time = -math.inf if pts is None or base is None else float(pts * base - self.origin)
        if time > previous:
            return time
        step = 0.01 if broken and pts is not None else 1.0
        return previous + step / self.rate if previous > -math.inf else 0.0

    def _check_end(self, stream: "VideoStream", read: int, last: float) -> None:
        """Say so where the file holds less than its header says."""
        if self.duration is None or is_url(self.path) or read >= (stream.frames or math.inf):
            return
        if last + 2 / self.rate < self.duration:
            self.problem = f"ends early: at {max(last, 0):.2f} s of {self.duration:.2f} s"


def _open_video(source: str) -> Clip:
    from av.video.reformatter import VideoReformatter

    with opened(source) as container:
        stream = video_stream(container, source)
        rate = float(stream.average_rate or stream.guessed_rate or DEFAULT_RATE)
        duration = _duration(container, stream)
        count = stream.frames or (round(duration * rate) if duration else None)
        clip = _VideoClip(source, (0, 0), rate, duration, count, bool(container.streams.audio))
        first = None
        for pts, frame in pictures(stream, packets(container, stream)):
            first = pts if first is None else first
            if frame is not None and (image := _pixels_or_none(frame, VideoReformatter())) is not None:
                clip.size = image.shape[1::-1]
                break
        else:
            raise DarkposeError(f"{source}: no frame of this video can be decoded")
        begin = stream.start_time if stream.start_time is not None else first
        clip.origin = (begin or 0) * (stream.time_base or Fraction(0))
    return clip


def _duration(container: "InputContainer", stream: "VideoStream") -> float | None:
    """The duration of the video in s, as the file names it."""
    if container.format.name == "avi" and stream.frames and stream.average_rate:
        return float(stream.frames / stream.average_rate)  # FFmpeg's duration is that of what is there
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    tag = re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", stream.metadata.get("DURATION", ""))  # of Matroska
    if tag:
        return int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3])
    if container.duration and not container.streams.audio:
        return container.duration / 1e6
    return None


def _pixels_or_none(frame: "VideoFrame | None", reformatter: "VideoReformatter") -> Pixels | None:
    import av

    try:
        return None if frame is None else to_pixels(frame, reformatter)
    except (av.FFmpegError, ValueError):  # a format of pixels that cannot be converted
        return None
