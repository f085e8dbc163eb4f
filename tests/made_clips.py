"""Clips that tests make with PyAV: a picture that differs from frame to frame, and a tone."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkpose.image.pixels import Pixels

SIZE = (96, 64)
RED, GREY = (255, 0, 0), 90
SECONDS_OF_A_TICK = Fraction(1, 90000)


def picture(number: int, size: tuple[int, int] = SIZE) -> Pixels:
    """Grey of a brightness that tells the number, with a red square of 16 px in the corner at the top left."""
    image = np.full((size[1], size[0], 3), GREY + (number * 7) % 120, np.uint8)
    image[:16, :16] = RED
    return image


def number_in(image: Pixels, count: int) -> int:
    """The number below `count` whose picture has the brightness in the middle of this one."""
    middle = image[image.shape[0] // 2, image.shape[1] // 2].mean()
    return int(np.argmin([abs(middle - GREY - (number * 7) % 120) for number in range(count)]))


def make_clip(
    path: Path,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    *,
    count: int = 12,
    size: tuple[int, int] = SIZE,
    times: Sequence[float] | None = None,
    rate: int = 25,
    options: Mapping[str, str] | None = None,
    turned: int = 0,
    sound: str = "",
    **container: Any,
) -> Path:
    """Write a clip of `picture(0)`, `picture(1)`, ... and return its path.

    Args:
        path: its suffix names the format.
        codec: of FFmpeg.
        pixels: FFmpeg's format of pixels.
        count: of frames.
        size: (width, height), px.
        times: of the frames, s; None: one every 1 / rate.
        rate: frames/s.
        options: of the codec.
        turned: degrees by which a player turns the pictures counter-clockwise.
        sound: codec of a tone as long as the video; empty: none.
        container: further arguments of av.open.
    """
    import av

    with av.open(str(path), "w", **container) as file:
        video = file.add_stream(codec, rate=rate, options=dict(options or {}))
        video.width, video.height, video.pix_fmt = *size, pixels
        if times is not None:
            video.codec_context.time_base = SECONDS_OF_A_TICK
        if turned:
            video.set_display_rotation(turned)
        audio = file.add_stream(sound, rate=48000) if sound else None
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(picture(number, size))
            frame.time_base = Fraction(1, rate) if times is None else SECONDS_OF_A_TICK
            frame.pts = number if times is None else round(times[number] / SECONDS_OF_A_TICK)
            file.mux(video.encode(frame))
        file.mux(video.encode())
        if audio is not None:
            for part in tone(audio, count / rate):
                file.mux(audio.encode(part))
            file.mux(audio.encode())
    return path


def tone(audio: Any, seconds: float) -> Iterator[Any]:
    """Frames of sound: a tone of 440 Hz in stereo."""
    import av

    wave = 0.3 * np.sin(2 * np.pi * 440 * np.arange(round(48000 * seconds)) / 48000)
    frame = av.AudioFrame.from_ndarray(np.stack([wave, wave]).astype(np.float32), format="fltp", layout="stereo")
    frame.sample_rate, frame.pts = 48000, 0
    resampler = av.AudioResampler(audio.format, audio.layout, 48000, audio.codec_context.frame_size or 1024)
    yield from resampler.resample(frame)
    yield from resampler.resample(None)


def sound_packets(path: Path) -> list[tuple[float, bytes]]:
    """Time, s, and content of the packets of the first sound track."""
    import av

    with av.open(str(path)) as file:
        found = [packet for packet in file.demux(file.streams.audio[0]) if packet.size]
        return [(float((packet.pts or 0) * packet.time_base), bytes(packet)) for packet in found]


def colours(image: Pixels) -> NDArray[np.int64]:
    """An image as numbers that can be subtracted."""
    return image.astype(np.int64)
