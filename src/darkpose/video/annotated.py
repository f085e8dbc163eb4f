"""Annotated clips: H.264 in MP4, which browsers play, with the sound of the clip."""

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from darkpose.errors import DarkposeError
from darkpose.files.atomic import replacing
from darkpose.image.pixels import Pixels, resized
from darkpose.video.clip import DEFAULT_RATE, Clip
from darkpose.video.decode import is_url, opened, packets

if TYPE_CHECKING:
    from av import Packet

MAX_SIDE = 4096  # px, of what players decode
TIME_BASE = Fraction(1, 90000)  # s
SOUND = ("aac", "mp3", "mp2", "ac3", "eac3", "opus", "alac", "flac")  # that MP4 holds and players know
BT709 = 1  # matrix, primaries and transfer in the tables of ITU-T H.273
LIMITED = 1  # AVCOL_RANGE_MPEG
PREROLL = Fraction(1, 10)  # s of sound before the start, which decoders need; players skip it
FRAGMENTS = {"movflags": "+empty_moov+default_base_moof", "frag_duration": "1000000"}  # microseconds
OPTIONS = {"preset": "veryfast", "crf": "20", "bf": "0"}  # without B-frames the file holds the times as they are


class AnnotatedClip:
    """Writes frames to an MP4 file; a context manager.

    The file is there, whole, when the block ends without an exception; otherwise an earlier file is unchanged. A
    recording (`is_recording`) is written in fragments of a second; those that are whole are there, too, if the block
    ends with an exception after a frame was written, or if the disk is full. The first sound track is copied packet by
    packet, unchanged. Times and sound are moved by `start`, so the file starts near 0.

    Args:
        path: of the file.
        size: (width, height) of the frames. Larger sides than `MAX_SIDE` are scaled down to it; odd sides get one more
            row or column of pixels, a copy of the last.
        clip: whose sound is copied; None: no sound.
        start: time of the clip, s, at which the file and its sound start.
        end: time of the clip, s, at which the sound ends, at the latest when the block ends; None: all of it.
        is_recording: whether the frames cannot be had again.

    Attributes:
        problem: what is left out, as a sentence; empty: nothing.
    """

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        clip: Clip | None = None,
        start: float = 0.0,
        end: float | None = None,
        *,
        is_recording: bool = False,
    ) -> None:
        scale = min(1, MAX_SIDE / max(size))
        self.path, self.start, self.end, self.problem = path, start, end, ""
        self._is_recording = is_recording
        self._size = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
        self._clip, self._last, self._stack = clip, -1, ExitStack()
        self._sound: Iterator[tuple[Fraction, Packet[Any]]] = iter(())
        self._waiting: tuple[Fraction, Packet[Any]] | None = None  # the next packet of the sound and its time

    def __enter__(self) -> "AnnotatedClip":
        import av
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()
        with ExitStack() as stack, self._told():
            temporary = stack.enter_context(replacing(self.path))
            options = FRAGMENTS if self._is_recording else {"movflags": "+faststart"}
            self._file = av.open(f"file:{temporary.absolute()}", "w", format="mp4", container_options=options)
            self._add_video()
            if self._clip is not None and self._clip.has_sound:
                self._add_sound(self._clip, stack)
            self._stack = stack.pop_all()
        return self

    def _add_video(self) -> None:
        rate = Fraction(self._clip.rate if self._clip else DEFAULT_RATE).limit_denominator(1001)
        width, height = self._size
        self._video = self._file.add_stream("libx264", rate=rate, options=OPTIONS)
        self._video.width, self._video.height = width + width % 2, height + height % 2
        self._video.pix_fmt = "yuv420p"
        context = self._video.codec_context
        context.time_base = TIME_BASE
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = LIMITED

    def _add_sound(self, clip: Clip, stack: ExitStack) -> None:
        if is_url(clip.path):
            self.problem = "the sound of the stream is left out"
            return
        container = stack.enter_context(opened(clip.path))
        stream = container.streams.audio[0]
        context = stream.codec_context
        codec = context.codec.canonical_name if context else "unknown"
        if codec not in SOUND:
            self.problem = f"the sound is left out: MP4 files for all players hold no sound of the codec {codec}"
            return
        if not context.sample_rate:
            self.problem = "the sound is left out: it is damaged or empty"
            return
        self._sound_stream = self._file.add_stream_from_template(stream)
        self._sound = _moved(
            packets(container, stream), stream.time_base or Fraction(1), clip.origin + Fraction(self.start)
        )
        self._waiting = next(self._sound, None)

    def write(self, image: Pixels, time: float) -> None:
        """Write one frame; an image of another size is scaled to the size of the file.

        Args:
            image: (H, W, 3) uint8 RGB.
            time: of the frame in the clip, s; one that does not increase is moved on by 1/90000 s.

        Raises:
            DarkposeError: the file cannot be written.
        """
        import av
        from av.video.reformatter import ColorRange, Colorspace, Interpolation

        matrix, levels, way = Colorspace.ITU709, ColorRange.MPEG, Interpolation.AREA
        frame = av.VideoFrame.from_ndarray(self._fitted(image))
        frame = self._reformatter.reformat(
            frame, format="yuv420p", dst_colorspace=matrix, dst_color_range=levels, interpolation=way
        )
        self._last = max(round((time - self.start) / TIME_BASE), self._last + 1)
        frame.pts, frame.time_base = self._last, TIME_BASE
        with self._told():
            self._file.mux(self._video.encode(frame))
            self._send_sound(self._last * TIME_BASE)

    def _fitted(self, image: Pixels) -> Pixels:
        width, height = self._size
        if image.shape[1::-1] != self._size:
            image = resized(image, self._size)
        return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")

    def _send_sound(self, until: Fraction | float) -> None:
        """Write the sound up to a time of the file, s."""
        while self._waiting is not None and self._waiting[0] < until:
            packet = self._waiting[1]
            packet.stream = self._sound_stream
            try:
                self._file.mux_one(packet)
            except ValueError:  # invalid data, while OSError is of the disk
                self.problem = "packets of the sound are damaged and left out"
            self._waiting = next(self._sound, None)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import av

        if self._is_recording and self._last >= 0:
            with self._told(), self._kept():
                self._finish()
        elif error is None:
            with self._told(), self._stack:
                self._finish()
        else:
            with suppress(av.FFmpegError, OSError):
                self._file.close()
            self._stack.__exit__(kind, error, trace)

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """Keep what is written of a recording, whatever the block raises."""
        import av

        try:
            yield
        finally:
            with suppress(av.FFmpegError, OSError):
                self._file.close()
            self._stack.close()

    def _finish(self) -> None:
        if self._last < 0:
            raise DarkposeError(f"{self.path}: no frame was written, so there is no clip")
        self._file.mux(self._video.encode())
        self._send_sound(math.inf if self.end is None else self.end - self.start)
        self._file.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of writing as those of the user."""
        import av

        try:
            yield
        except (av.FFmpegError, OSError) as error:
            raise DarkposeError(f"{self.path}: cannot be written: {error.strerror or error}") from error


def _moved(found: "Iterator[Packet[Any]]", base: Fraction, start: Fraction) -> "Iterator[tuple[Fraction, Packet[Any]]]":
    """Times and packets of sound from `PREROLL` before `start`, both in s and from there, in the order of the times."""
    last, shift = -math.inf, round(start / base)
    for packet in found:
        if packet.pts is None or packet.dts is None or packet.dts <= last:
            continue  # MP4 has no place for it
        last = packet.dts
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        time = packet.pts * base
        if time > -PREROLL:
            yield time, packet
