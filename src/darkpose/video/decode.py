"""Video files and streams through PyAV: opening, packets, pictures in the order of their times, pixels.

A file is opened here and PyAV gets the open file without its name, so FFmpeg takes no part of a name for a protocol or
a pattern. FFmpeg opens nothing that a file refers to, as playlists and MP4 files may: it has no protocol for it.
"""

import heapq
import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from darkpose.errors import DarkposeError
from darkpose.files.paths import check_regular
from darkpose.image.opencv import MAX_PIXELS
from darkpose.image.pixels import Pixels

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.video.reformatter import VideoReformatter
    from av.video.stream import VideoStream

    Picture = tuple[
        int | None, VideoFrame | None
    ]  # its time in the stream's time base, the frame; None: unknown, broken

PROTOCOLS = ("rtsp", "http", "https", "rtmp", "udp")  # of streams from the network
TIMEOUT = 15.0  # s, for the network
MAX_FAILURES = 50  # of reading, one after the other; then the clip ends
ALONE = {"protocol_whitelist": "none", "max_pixels": str(MAX_PIXELS)}  # a file opens no other
OUTPUT_CORRUPT = 8  # AV_CODEC_FLAG_OUTPUT_CORRUPT: damaged frames are given, and marked
UNSPECIFIED_MATRIX = 2  # AVCOL_SPC_UNSPECIFIED
# One packet is one picture in these files, so packets before a key frame can be counted instead of decoded.
COUNTABLE = (("mp4", "matroska"), ("h264", "hevc", "av1"))  # part of the format's name, codecs


def is_url(source: str) -> bool:
    """Whether this is the address of a stream, by its protocol."""
    return source.lower().startswith(tuple(f"{protocol}://" for protocol in PROTOCOLS))


def need_av() -> None:
    """Check that PyAV is installed, before any work.

    Raises:
        ModuleNotFoundError: it is not.
    """
    import av  # noqa: F401


@contextmanager
def opened(source: str) -> "Iterator[InputContainer]":
    """Open a video file, or a stream of the network by its address.

    Raises:
        DarkposeError: it cannot be read, or is no video.
    """
    import av

    with ExitStack() as stack:
        try:
            if is_url(source):
                allowed = {"protocol_whitelist": ",".join((*PROTOCOLS, "rtp", "srtp", "tcp", "tls", "crypto"))}
                container = av.open(source, options=allowed, timeout=TIMEOUT, metadata_errors="replace")
            else:
                check_regular(source)
                file = stack.enter_context(io.FileIO(source))
                file.name = ""
                container = av.open(
                    file, "r", io_open=lambda *_: io.BytesIO(), options=ALONE, metadata_errors="replace"
                )
        except (av.FFmpegError, OSError, ValueError) as error:  # ValueError: not a path, for example with a NUL
            raise DarkposeError(f"{source}: {_why_not_opened(source, error)}") from error
        yield stack.enter_context(container)


def _why_not_opened(source: str, error: Exception) -> str:
    import av

    if is_url(source) or not isinstance(error, av.FFmpegError):  # of the file itself: OSError or ValueError of Python
        return f"cannot be read: {getattr(error, 'strerror', None) or error}"
    with open(source, "rb") as file:
        head = file.read(12)
    if not head:
        return "the file is empty"
    if head[4:8] == b"ftyp":
        return "the index of this MP4 file (moov) is missing or damaged; was the recording or the copy finished?"
    return "not a video, or damaged, or of a format that FFmpeg cannot read"


def video_stream(container: "InputContainer", source: str) -> "VideoStream":
    """The video stream of an open file; cover pictures of music are none.

    Raises:
        DarkposeError: there is no video stream, or its codec is unknown.
    """
    from av.stream import Disposition

    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not streams:
        reason = "has sound only, no video" if container.streams.audio else "has no video stream"
        raise DarkposeError(f"{source}: the file {reason}")
    if streams[0].codec_context is None:
        raise DarkposeError(f"{source}: FFmpeg has no decoder for this video, or the file is damaged")
    context = streams[0].codec_context
    context.flags |= OUTPUT_CORRUPT
    context.options = {"max_pixels": str(MAX_PIXELS)}
    return streams[0]


def packets(container: "InputContainer", stream: object) -> "Iterator[Packet[Any]]":
    """The packets of a stream with data; after one that cannot be read the next is tried."""
    import av

    failures = 0
    while failures < MAX_FAILURES:
        try:
            for packet in container.demux(stream):
                failures = 0
                if packet.size:
                    yield packet
            return
        except (av.FFmpegError, OSError):
            failures += 1
        except IndexError:  # PyAV at the end of a file in which streams appear late
            return


def pictures(stream: "VideoStream", found: "Iterator[Packet[Any]]") -> "Iterator[Picture]":
    """Decode packets: pictures in the order of their times, broken ones among them.

    Frames are decoded without frame threads: with them an error belongs to no packet, and frames can be lost at the
    end.
    """
    import av

    broken: list[int] = []  # a heap of times
    for packet in _and_none(found):
        frames: list[VideoFrame] = []
        try:
            frames = stream.codec_context.decode(packet)
        except av.FFmpegError:
            if packet is None or packet.pts is None:
                yield None, None
            else:
                heapq.heappush(broken, packet.pts)
        for frame in frames:
            while broken and frame.pts is not None and broken[0] < frame.pts:
                yield heapq.heappop(broken), None
            yield frame.pts, None if frame.is_corrupt else frame
    while broken:
        yield heapq.heappop(broken), None


def _and_none(found: "Iterator[Packet[Any]]") -> "Iterator[Packet[Any] | None]":
    yield from found
    yield None  # the decoder gives what it still holds


def count_before(container: "InputContainer", stream: "VideoStream", start: int) -> tuple[int, int, int | None]:
    """Find the last key frame that is not after `start`, a time in the stream's time base, without decoding.

    Returns:
        Packets before the key frame's, pictures before it, and its time; (0, 0, None): decode from the beginning.
    """
    formats, codecs = COUNTABLE
    if not any(part in container.format.name for part in formats) or stream.codec_context.name not in codecs:
        return 0, 0, None
    found: tuple[int, int, int | None] = (0, 0, None)
    shown = 0
    for number, packet in enumerate(packets(container, stream)):
        if packet.pts is None or packet.dts is None:
            return 0, 0, None
        if packet.dts > start:
            break
        if packet.is_keyframe and not packet.is_discard and packet.pts <= start:
            found = (number, shown, packet.pts)
        elif found[2] is not None and packet.pts < found[2] and not packet.is_discard:
            found = (found[0], found[1] + 1, found[2])  # it follows the key frame in the file only
        shown += not packet.is_discard
    return found


def to_pixels(frame: "VideoFrame", reformatter: "VideoReformatter") -> Pixels:
    """The pixels of a frame, upright: (H, W, 3) uint8 RGB.

    The matrix and range of the colours are those of the frame; where the matrix is not given it is that of BT.709 for
    720 lines and more, as players take it, otherwise that of BT.601. High dynamic range is not mapped.
    """
    from av.video.reformatter import ColorRange, Colorspace

    matrix = Colorspace.ITU709 if frame.colorspace == UNSPECIFIED_MATRIX and frame.height >= 720 else None
    rgb = reformatter.reformat(frame, format="rgb24", src_colorspace=matrix, dst_color_range=ColorRange.JPEG)
    return upright(np.asarray(rgb.to_ndarray(), np.uint8), display_matrix(frame))


def display_matrix(frame: "VideoFrame") -> NDArray[np.int32]:
    """The matrix (2, 2) by which a frame's (x, y), as a row, is multiplied for display."""
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    return np.eye(2, dtype=np.int32) if data is None else np.frombuffer(bytes(data), np.int32).reshape(3, 3)[:2, :2]


def upright(image: Pixels, matrix: NDArray[np.int32]) -> Pixels:
    """Turn and mirror an image (H, W, 3) as a display matrix says, by quarters of a circle."""
    (a, b), (c, d) = matrix.astype(np.int64)
    if abs(a) + abs(d) < abs(b) + abs(c):
        image, a, d = image.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])
