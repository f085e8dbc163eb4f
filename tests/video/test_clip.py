import math
import os
import random
import tracemalloc
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkpose.errors import DarkposeError
from darkpose.image.pixels import write_image
from darkpose.video import clip as module
from darkpose.video import decode
from darkpose.video.clip import Frame, open_clip
from made_clips import RED, SIZE, colours, make_clip, number_in, picture
from needed import needs

needs_av = needs("av")


def frames_of(path: Path | str, start: float = 0.0, end: float | None = None, every: int = 1) -> list[Frame]:
    with open_clip(str(path)) as clip:
        return list(clip.frames(start, end, every))


def numbers_and_times(frames: list[Frame]) -> list[tuple[int, float]]:
    return [(frame.number, frame.time) for frame in frames]


KINDS = {
    "H.264 with B-frames": ("a.mp4", "libx264", "yuv420p", {"bf": "3", "g": "5"}),
    "H.264 in Matroska": ("a.mkv", "libx264", "yuv420p", {"g": "5"}),
    "H.264 with open groups": ("a.mp4", "libx264", "yuv420p", {"g": "5", "x264-params": "open-gop=1:bframes=3"}),
    "H.264 in a transport stream": ("a.ts", "libx264", "yuv420p", {"g": "5"}),
    "HEVC": ("a.mp4", "libx265", "yuv420p", {"x265-params": "keyint=5:log-level=none"}),
    "MPEG-4 in AVI": ("a.avi", "mpeg4", "yuv420p", {"bf": "2", "g": "5"}),
    "Motion JPEG in AVI": ("a.avi", "mjpeg", "yuvj420p", {}),
    "VP9 in WebM": ("a.webm", "libvpx-vp9", "yuv420p", {"deadline": "realtime", "cpu-used": "8"}),
    "VP8 in WebM": ("a.webm", "libvpx", "yuv420p", {"auto-alt-ref": "1", "lag-in-frames": "8"}),
    "10 bits": ("a.mkv", "ffv1", "yuv420p10le", {}),
    "grey": ("a.mkv", "ffv1", "gray", {}),
    "raw RGB": ("a.avi", "rawvideo", "bgr24", {}),
    "alpha": ("a.mov", "png", "rgba", {}),
    "GIF": ("a.gif", "gif", "rgb8", {}),
    "full range": ("a.mp4", "libx264", "yuvj444p", {}),
    "planar RGB": ("a.avi", "utvideo", "gbrp", {}),
}


@pytest.mark.parametrize("kind", KINDS)
@needs_av
def test_frames_come_in_order_with_their_numbers_times_and_colours(kind: str, tmp_path: Path) -> None:
    name, codec, pixels, options = KINDS[kind]
    path = make_clip(tmp_path / name, codec, pixels, options=options)
    with open_clip(str(path)) as clip:
        frames = list(clip.frames())
        assert (clip.size, clip.rate, clip.has_sound, clip.problem) == (SIZE, 25, False, "")
        assert clip.count == 12
        assert clip.duration == pytest.approx(12 / 25, abs=0.005)
    assert [frame.number for frame in frames] == list(range(12))
    first = frames[0].time
    assert 0 <= first <= 1 / 25
    assert [frame.time - first for frame in frames] == pytest.approx([k / 25 for k in range(12)], abs=1e-3)
    tolerance, mean = (90, 30) if codec == "gif" else (10, 4)  # a GIF here has 256 fixed colours, in patterns
    for frame in frames:
        assert frame.image is not None
        assert frame.image.shape == (SIZE[1], SIZE[0], 3)
        assert frame.image.dtype == np.uint8
        expected = picture(frame.number)
        if pixels == "gray":
            expected[:16, :16] = round(0.299 * 255)
        differences = abs(colours(frame.image) - colours(expected))
        assert differences[4:12, 4:12].max() <= tolerance
        assert differences[24:, 24:].max() <= tolerance
        assert differences[24:, 24:].mean() <= mean


@needs_av
def test_a_variable_rate_is_kept(tmp_path: Path) -> None:
    times = [0, 0.1, 0.15, 0.4, 0.41, 1, 1.5, 1.6, 2, 5]
    path = make_clip(tmp_path / "a.mp4", count=10, times=times)
    assert [frame.time for frame in frames_of(path)] == pytest.approx(times, abs=1e-3)


@pytest.mark.parametrize(
    ("turned", "corner"), [(90, (-8, 8)), (180, (-8, -8)), (-90, (8, -8))], ids=["90", "180", "270"]
)
@needs_av
def test_a_turned_clip_is_upright(turned: int, corner: tuple[int, int], tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", count=2, turned=turned)
    with open_clip(str(path)) as clip:
        assert clip.size == (SIZE if turned == 180 else SIZE[::-1])
        for frame in clip.frames():
            assert frame.image is not None
            assert frame.image.shape[1::-1] == clip.size
            assert abs(colours(frame.image)[corner] - RED).max() <= 8


@pytest.mark.parametrize("kind", KINDS)
@needs_av
def test_frames_from_a_start_are_those_of_the_whole_clip(kind: str, tmp_path: Path) -> None:
    name, codec, pixels, options = KINDS[kind]
    path = make_clip(tmp_path / name, codec, pixels, options=options, count=23)
    whole = frames_of(path)
    for start in (0.01, 0.2, whole[11].time, 0.9, 2.0):
        expected = [frame for frame in whole if frame.time >= start]
        found = frames_of(path, start)
        assert numbers_and_times(found) == numbers_and_times(expected)
        for one, other in zip(found, expected, strict=True):
            assert one.image is not None
            assert other.image is not None
            assert np.array_equal(one.image, other.image)


@needs_av
def test_packets_before_the_key_frame_are_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_clip(tmp_path / "a.mp4", count=40, options={"g": "10", "sc_threshold": "0"})
    decoded = 0
    real = decode.pictures

    def counting(*arguments: object) -> object:
        nonlocal decoded
        for each in real(*arguments):  # type: ignore[arg-type]
            decoded += 1
            yield each

    with open_clip(str(path)) as clip:
        monkeypatch.setattr(module, "pictures", counting)
        assert [frame.number for frame in clip.frames(32 / 25)] == list(range(32, 40))
    assert decoded == 10


@needs_av
def test_an_end_and_a_step_choose_frames(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", count=20)
    assert [frame.number for frame in frames_of(path, 0.12, 0.6)] == list(range(3, 15))
    assert [frame.number for frame in frames_of(path, 0.12, 0.6, 4)] == [4, 8, 12]
    assert [number_in(f.image, 17) for f in frames_of(path, every=8) if f.image is not None] == [0, 8, 16]


@pytest.mark.parametrize("part", [(0.0, None, 1), (0.0, 0.5, 1), (0.2, None, 3), (0.2, 9.0, 1), (9.0, None, 1)])
def test_the_number_of_frames_is_expected_within_one(part: tuple[float, float | None, int], tmp_path: Path) -> None:
    for number in range(20):
        write_image(tmp_path / f"{number}.png", np.zeros((9, 9, 3), np.uint8))
    with open_clip(str(tmp_path)) as clip:
        expected = clip.expected(*part)
        assert expected is not None
        assert abs(expected - len(list(clip.frames(*part)))) <= 1


@needs_av
def test_a_clip_can_be_read_again(tmp_path: Path) -> None:
    with open_clip(str(make_clip(tmp_path / "a.mp4"))) as clip:
        first = clip.frames()
        next(first)
        assert len(list(clip.frames())) == 12
        assert list(first) == []  # it has ended


@pytest.mark.parametrize("arguments", [(-1.0,), (math.nan,), (2.0, 1.0), (0.0, None, 0)])
@needs_av
def test_ranges_that_fit_no_clip_are_refused(arguments: tuple[float, ...], tmp_path: Path) -> None:
    with open_clip(str(make_clip(tmp_path / "a.mp4", count=2))) as clip, pytest.raises(DarkposeError, match="expected"):
        clip.frames(*arguments)  # type: ignore[arg-type]


@needs_av
def test_a_clip_that_is_cut_short_gives_what_it_holds_and_says_so(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", count=50, options={"bf": "0"}, container_options={"movflags": "+faststart"})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4])
    with open_clip(str(path)) as clip:
        frames = list(clip.frames())
        assert clip.problem.startswith("ends early: at ")
        assert clip.problem.endswith("of 2.00 s")
    assert 5 < len(frames) < 50
    assert [frame.number for frame in frames] == list(range(len(frames)))
    with open_clip(str(path)) as clip:
        next(clip.frames())
        assert clip.problem == ""


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "libx264"), ("a.avi", "mjpeg"), ("a.mkv", "libx264"), ("a.ts", "libx264")]
)
@needs_av
def test_a_damaged_clip_is_read_to_its_end(name: str, codec: str, tmp_path: Path) -> None:
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    data = make_clip(tmp_path / name, codec, pixels, count=60, options={"g": "10"}).read_bytes()
    for seed in range(10):
        chance, damaged = random.Random(seed), bytearray(data)
        for _ in range(20):
            damaged[chance.randrange(len(data) // 4, len(data) * 3 // 4)] ^= 1 << chance.randrange(8)
        path = tmp_path / f"damaged{name}"
        path.write_bytes(damaged)
        try:
            frames = frames_of(path)
        except DarkposeError:
            continue
        assert [frame.number for frame in frames] == list(range(len(frames)))
        times = [frame.time for frame in frames]
        assert all(a < b for a, b in pairwise(times))


def with_broken_frame(path: Path, number: int) -> Path:
    """A clip of nine frames, each without the others, of which one is damaged."""
    import av

    make_clip(path, count=9, options={"g": "1"})
    with av.open(str(path)) as file:
        packet = [packet for packet in file.demux(video=0) if packet.size][number]
    data, place = bytearray(path.read_bytes()), packet.pos or 0
    data[place + 8 : place + packet.size] = bytes(packet.size - 8)
    path.write_bytes(data)
    return path


@needs_av
def test_a_broken_frame_is_counted_and_the_others_are_given(tmp_path: Path) -> None:
    frames = frames_of(with_broken_frame(tmp_path / "a.mkv", 4))
    assert [frame.number for frame in frames if frame.image is None] == [4]
    assert [number_in(f.image, 9) for f in frames if f.image is not None] == [0, 1, 2, 3, 5, 6, 7, 8]
    assert [frame.time for frame in frames] == pytest.approx([k / 25 for k in range(9)])


@needs_av
def test_a_broken_first_frame_does_not_hide_the_clip(tmp_path: Path) -> None:
    with open_clip(str(with_broken_frame(tmp_path / "a.mkv", 0))) as clip:
        assert clip.size == SIZE
        assert [frame.number for frame in clip.frames() if frame.image is None] == [0]


@given(st.lists(st.one_of(st.none(), st.integers(-50, 50)), min_size=1), st.lists(st.booleans(), min_size=50))
def test_times_increase_whatever_the_file_says(ticks: list[int | None], broken: list[bool]) -> None:
    clip, previous = module._VideoClip("a"), -math.inf
    for tick, is_broken in zip(ticks, broken, strict=False):
        time = clip._time(tick, Fraction(1, 10), previous, broken=is_broken)
        assert time > previous
        if tick is not None and tick / 10 > previous:
            assert time == tick / 10
        previous = time


@pytest.mark.parametrize("disposal", [0, 1, 2, 3])
@needs_av
def test_a_gif_of_parts_is_put_together_with_its_own_times(disposal: int, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    drawn = []
    for number in range(6):
        pixels = np.full((40, 60, 3), (200, 180, 40), np.uint8)
        pixels[5 : 15 + number, 8 * number : 8 * number + 9] = (20, 30 * number, 90)
        drawn.append(image.fromarray(pixels))
    path, ticks = tmp_path / "a.gif", [70, 120, 30, 500, 40, 90]
    drawn[0].save(path, save_all=True, append_images=drawn[1:], duration=ticks, disposal=disposal, loop=0)
    frames = frames_of(path)
    assert [frame.time for frame in frames] == pytest.approx(np.cumsum([0, *ticks[:-1]]) / 1000, abs=1e-6)
    for frame, expected in zip(frames, drawn, strict=True):
        assert frame.image is not None
        assert np.array_equal(frame.image, np.asarray(expected))


@needs_av
def test_where_a_gif_is_transparent_it_is_white(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = np.zeros((40, 60, 4), np.uint8)
    pixels[:20] = (200, 30, 90, 255)
    image.fromarray(pixels).save(tmp_path / "a.gif")
    (frame,) = frames_of(tmp_path / "a.gif")
    assert frame.image is not None
    assert frame.image[[5, 30], 30].tolist() == [[200, 30, 90], [255, 255, 255]]


def write_pictures(folder: Path, names: list[str]) -> None:
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        write_image(folder / name, picture(number))


NAMES = ["frame_1.png", "frame_2.png", "frame_10.png", "frame_11.png", "frame_100.png"]


def test_images_of_a_folder_are_frames_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    write_pictures(tmp_path / "clip", NAMES)
    (tmp_path / "clip" / "notes.txt").touch()
    write_pictures(tmp_path / "clip" / "below", ["frame_3.png"])
    with open_clip(str(tmp_path / "clip"), rate=10) as clip:
        frames = list(clip.frames())
        assert (clip.size, clip.rate, clip.duration, clip.count, clip.has_sound) == (SIZE, 10, 0.5, 5, False)
    assert numbers_and_times(frames) == [(k, k / 10) for k in range(5)]
    assert [number_in(frame.image, 5) for frame in frames if frame.image is not None] == list(range(5))


def test_images_of_a_glob_are_frames(tmp_path: Path) -> None:
    write_pictures(tmp_path, [*NAMES, "other.png"])
    frames = frames_of(tmp_path / "frame_*.png", 0.04, every=2)
    assert numbers_and_times(frames) == [(2, 2 / 25), (4, 4 / 25)]


def test_an_image_that_cannot_be_read_is_a_broken_frame(tmp_path: Path) -> None:
    write_pictures(tmp_path / "clip", NAMES)
    (tmp_path / "clip" / "frame_1.png").write_bytes(b"")
    (tmp_path / "clip" / "frame_10.png").write_text("no image")
    with open_clip(str(tmp_path / "clip")) as clip:
        assert clip.size == SIZE
        assert [frame.image is None for frame in clip.frames()] == [True, False, True, False, False]


def test_images_of_several_sizes_are_given_as_they_are(tmp_path: Path) -> None:
    write_pictures(tmp_path, NAMES[:1])
    write_image(tmp_path / "frame_2.png", picture(1, (30, 20)))
    with open_clip(str(tmp_path)) as clip:
        assert [frame.image.shape for frame in clip.frames() if frame.image is not None] == [(64, 96, 3), (20, 30, 3)]


def refusal(source: Path | str, **options: float) -> str:
    with pytest.raises(DarkposeError) as caught:
        open_clip(str(source), **options)
    message = str(caught.value)
    assert message.startswith(f"{source}: ")
    assert "\n" not in message
    return message.removeprefix(f"{source}: ")


def test_folders_and_globs_without_images_are_refused(tmp_path: Path) -> None:
    assert "there are no images" in refusal(tmp_path)
    assert "there are no images" in refusal(tmp_path / "*.png")
    (tmp_path / "a.png").write_text("no image")
    with pytest.raises(DarkposeError, match=r"a\.png: not an image"):
        open_clip(str(tmp_path))
    assert "above 0 frames/s" in refusal(tmp_path, rate=0)


@needs_av
def test_files_that_are_no_clips_are_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    assert "No such file" in refusal(path)
    path.touch()
    assert refusal(path) == "the file is empty"
    path.write_text("This is a text, not a video.\n" * 100)
    assert "not a video" in refusal(path)
    make_clip(path)
    path.write_bytes(path.read_bytes()[:200])
    assert "index of this MP4 file (moov)" in refusal(path)
    with pytest.raises(DarkposeError, match="cannot be read"):
        open_clip("a\0.mp4")


@needs_av
def test_sound_alone_is_refused(tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "a.mp4"), "w") as file:
        audio = file.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        frame.sample_rate = 48000
        file.mux(audio.encode(frame))
        file.mux(audio.encode())
    assert refusal(tmp_path / "a.mp4") == "the file has sound only, no video"


@needs_av
def test_an_unknown_codec_is_refused(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.avi", "mjpeg", "yuvj420p")
    path.write_bytes(path.read_bytes().replace(b"MJPG", b"QQQQ"))
    assert "no decoder" in refusal(path)


@needs_av
def test_a_file_without_frames_is_refused(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mkv")
    path.write_bytes(path.read_bytes()[:900])
    assert "no frame of this video can be decoded" in refusal(path)


@needs_av
def test_a_huge_picture_is_not_decoded(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.gif", "gif", "rgb8")
    data = bytearray(path.read_bytes())
    data[6:10] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert "no frame of this video can be decoded" in refusal(path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a user whom permissions bind")
@needs_av
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4")
    path.chmod(0)
    assert "Permission denied" in refusal(path)


@needs_av
def test_a_playlist_opens_no_other_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_clip(tmp_path / "a.ts")
    monkeypatch.chdir(tmp_path)
    Path("list.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\na.ts\n#EXT-X-ENDLIST\n")
    Path("list.ffconcat").write_text("ffconcat version 1.0\nfile 'a.ts'\n")
    Path("list.sdp").write_text("v=0\no=- 0 0 IN IP4 127.0.0.1\ns=a\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n")
    for name in ("list.m3u8", "list.ffconcat", "list.sdp"):
        assert refusal(name)


@pytest.mark.skipif(os.name != "posix", reason="needs names that Windows does not allow")
@needs_av
def test_names_are_no_addresses_and_no_patterns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_clip(tmp_path / "a.ts").read_bytes()
    monkeypatch.chdir(tmp_path)
    for name in ("concat:a.ts|a.ts", "frame%03d.png", "data:video", "file:a.ts", "clip[1].ts"):
        Path(name).write_bytes(data)
        assert len(frames_of(name)) == 12
    for name in ("concat:a.ts", "subfile,,start,0,end,9,,:a.ts", "pipe:0"):
        assert "No such file" in refusal(name)


@needs_av
def test_a_stream_that_cannot_be_reached_is_refused() -> None:
    assert "cannot be read" in refusal("rtsp://127.0.0.1:9/none")


@needs_av
@pytest.mark.slow
def test_memory_does_not_grow_with_the_clip(tmp_path: Path) -> None:
    import resource

    path = make_clip(tmp_path / "a.mp4", count=6000, size=(320, 240), options={"preset": "ultrafast", "g": "250"})
    with open_clip(str(path)) as clip:
        frames = clip.frames()
        for _ in range(2000):
            next(frames)
        tracemalloc.start()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for frame in frames:
            assert frame.image is not None
        assert tracemalloc.get_traced_memory()[1] < 2e6
        tracemalloc.stop()
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000  # kB; the frames are 900 MB
