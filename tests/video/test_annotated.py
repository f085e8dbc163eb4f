import errno
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from darkpose.errors import DarkposeError
from darkpose.image.pixels import Pixels
from darkpose.video.annotated import AnnotatedClip
from darkpose.video.clip import Clip, Frame, open_clip
from made_clips import RED, SIZE, colours, make_clip, number_in, picture, sound_packets
from needed import needs

pytestmark = needs("av")


def written(path: Path, images: list[Pixels], times: list[float], size: tuple[int, int] = SIZE) -> list[Frame]:
    with AnnotatedClip(path, size) as annotated:
        for image, time in zip(images, times, strict=True):
            annotated.write(image, time)
    with open_clip(str(path)) as clip:
        return list(clip.frames())


def copied(source: Path, path: Path, start: float = 0.0, end: float | None = None) -> list[Frame]:
    """A clip read and written again; the frames of the result."""
    with open_clip(str(source)) as clip, AnnotatedClip(path, clip.size, clip, start, end) as annotated:
        for frame in clip.frames(start, end):
            assert frame.image is not None
            annotated.write(frame.image, frame.time)
        assert annotated.problem == ""
    with open_clip(str(path)) as clip:
        return list(clip.frames())


def test_frames_come_back_with_their_times_and_colours(tmp_path: Path) -> None:
    times = [0.02, 0.05, 0.3, 0.31, 1.0, 1.04, 2.5, 5.0]
    frames = written(tmp_path / "a.mp4", [picture(k) for k in range(8)], times)
    assert [frame.time + 0.02 for frame in frames] == pytest.approx(times, abs=1e-3)
    for frame in frames:
        assert frame.image is not None
        differences = abs(colours(frame.image) - colours(picture(frame.number)))
        assert differences[4:12, 4:12].max() <= 8
        assert differences[24:, 24:].max() <= 4


def test_every_colour_comes_back_within_a_few_levels(tmp_path: Path) -> None:
    levels = np.array([[r, g, b] for r in (0, 90, 170, 255) for g in (0, 90, 170, 255) for b in (0, 90, 170, 255)])
    image = levels.reshape(8, 8, 3).repeat(16, 0).repeat(16, 1).astype(np.uint8)
    (frame,) = written(tmp_path / "a.mp4", [image], [0.0], (128, 128))
    assert frame.image is not None
    assert abs(colours(frame.image) - colours(image))[8::16, 8::16].max() <= 8


def test_browsers_can_play_the_file(tmp_path: Path) -> None:
    import av

    written(tmp_path / "a.mp4", [picture(0)], [0.0])
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # it plays before it is loaded
    with av.open(str(tmp_path / "a.mp4")) as file:
        context = file.streams.video[0].codec_context
        assert (context.name, context.profile, context.pix_fmt) == ("h264", "High", "yuv420p")
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)


@pytest.mark.parametrize("size", [(97, 63), (1, 1), (96, 65), (2, 300)])
def test_odd_sizes_get_a_copy_of_the_last_row_or_column(size: tuple[int, int], tmp_path: Path) -> None:
    image = np.full((size[1], size[0], 3), 60, np.uint8)
    image[-1], image[:, -1] = 200, 200
    (frame,) = written(tmp_path / "a.mp4", [image], [0.0], size)
    assert frame.image is not None
    assert frame.image.shape == (size[1] + size[1] % 2, size[0] + size[0] % 2, 3)
    assert abs(colours(frame.image)[-1, -1] - 200).max() <= 12


def test_large_frames_are_scaled_down(tmp_path: Path) -> None:
    image = np.zeros((600, 8192, 3), np.uint8)
    image[:300, :4096] = 255
    (frame,) = written(tmp_path / "a.mp4", [image], [0.0], (8192, 600))
    assert frame.image is not None
    assert frame.image.shape == (300, 4096, 3)
    assert frame.image[20, 20].min() > 240
    assert frame.image[280, 4000].max() < 15


def test_frames_of_another_size_are_scaled_to_the_first(tmp_path: Path) -> None:
    frames = written(tmp_path / "a.mp4", [picture(0), picture(1, (192, 128))], [0, 1])
    assert [number_in(frame.image, 2) for frame in frames if frame.image is not None] == [0, 1]
    assert {frame.image.shape for frame in frames if frame.image is not None} == {(SIZE[1], SIZE[0], 3)}


def test_times_that_do_not_increase_are_moved_on(tmp_path: Path) -> None:
    frames = written(tmp_path / "a.mp4", [picture(k) for k in range(4)], [0.0, 0.0, 0.5, 0.4])
    assert [frame.time for frame in frames] == pytest.approx([0, 0, 0.5, 0.5], abs=1e-4)


def test_a_turned_clip_is_written_upright(tmp_path: Path) -> None:
    frames = copied(make_clip(tmp_path / "a.mp4", turned=90), tmp_path / "b.mp4")
    assert len(frames) == 12
    for frame in frames:
        assert frame.image is not None
        assert frame.image.shape == (SIZE[0], SIZE[1], 3)
        assert abs(colours(frame.image)[-8, 8] - RED).max() <= 16


@pytest.mark.parametrize(
    ("name", "sound"),
    [("a.mp4", "aac"), ("a.mkv", "aac"), ("a.mp4", "libmp3lame"), ("a.webm", "libopus"), ("a.mkv", "ac3")],
)
def test_the_sound_is_copied_unchanged(name: str, sound: str, tmp_path: Path) -> None:
    codec = "libvpx-vp9" if name.endswith("webm") else "libx264"
    source = make_clip(tmp_path / name, codec, count=30, sound=sound)
    before = sound_packets(source)
    frames = copied(source, tmp_path / "b.mp4")
    after = sound_packets(tmp_path / "b.mp4")
    assert len(frames) == 30
    assert [data for _, data in after] == [data for _, data in before]
    assert [time for time, _ in after] == pytest.approx([time for time, _ in before], abs=1e-3)


def test_a_part_of_a_clip_has_its_part_of_the_sound(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", count=75, sound="aac")
    frames = copied(source, tmp_path / "b.mp4", 1.0, 2.0)
    assert [frame.time for frame in frames] == pytest.approx([k / 25 for k in range(25)], abs=1e-3)
    assert [number_in(frame.image, 17) for frame in frames[:9] if frame.image is not None] == list(range(8, 17))
    before, after = {data: time for time, data in sound_packets(source)}, sound_packets(tmp_path / "b.mp4")
    assert [time + 1 for time, _ in after] == pytest.approx([before[data] for _, data in after], abs=1e-3)
    assert -0.13 <= after[0][0] <= 0
    assert 0.95 <= after[-1][0] < 1


def test_sound_that_starts_elsewhere_than_the_video_keeps_its_place(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.ts", count=30, sound="aac")
    with open_clip(str(source)) as clip:
        origin = float(clip.origin)
    copied(source, tmp_path / "b.mp4")
    before, after = sound_packets(source), sound_packets(tmp_path / "b.mp4")
    assert [time for time, _ in after] == pytest.approx([time - origin for time, _ in before], abs=1e-3)


def test_sound_that_mp4_cannot_hold_is_left_out_with_a_sentence(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", sound="pcm_s16le")
    with open_clip(str(source)) as clip, AnnotatedClip(tmp_path / "b.mp4", clip.size, clip) as annotated:
        annotated.write(picture(0), 0.0)
        assert annotated.problem == (
            "the sound is left out: MP4 files for all players hold no sound of the codec pcm_s16le"
        )
    with open_clip(str(tmp_path / "b.mp4")) as clip:
        assert not clip.has_sound


def test_damaged_packets_of_the_sound_are_left_out_with_a_sentence(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.ts", count=30, sound="aac")
    data = source.read_bytes()
    headers = [place for place in range(len(data)) if data[place : place + 2] == b"\xff\xf1"]  # of ADTS
    assert len(headers) > 20
    damaged = bytearray(data)
    damaged[headers[10]] = 0
    source.write_bytes(damaged)
    with open_clip(str(source)) as clip, AnnotatedClip(tmp_path / "b.mp4", clip.size, clip) as annotated:
        for frame in clip.frames():
            assert frame.image is not None
            annotated.write(frame.image, frame.time)
    assert annotated.problem == "packets of the sound are damaged and left out"
    assert len(sound_packets(tmp_path / "b.mp4")) > 20


def test_the_sound_can_end_early(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", count=50, sound="aac")
    with open_clip(str(source)) as clip, AnnotatedClip(tmp_path / "b.mp4", clip.size, clip) as annotated:
        for frame in clip.frames(end=0.5):
            assert frame.image is not None
            annotated.write(frame.image, frame.time)
        annotated.end = 0.5
    assert 0.45 < sound_packets(tmp_path / "b.mp4")[-1][0] < 0.5


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, OSError(errno.EPIPE, "of something else")])
def test_after_an_error_nothing_is_left_and_an_earlier_file_is_unchanged(
    error: type[BaseException] | OSError, tmp_path: Path
) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("earlier")

    def fail() -> None:
        with AnnotatedClip(path, SIZE) as annotated:
            for number in range(40):
                annotated.write(picture(number), number / 25)
            raise error

    with pytest.raises(error if isinstance(error, type) else OSError) as caught:
        fail()
    assert not isinstance(caught.value, DarkposeError)
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [DarkposeError("lost"), KeyboardInterrupt(), BrokenPipeError()])
def test_a_recording_is_kept_after_an_error(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.mp4"
    with pytest.raises(type(error)), AnnotatedClip(path, SIZE, is_recording=True) as written:  # noqa: PT012
        for number in range(3):
            written.write(noise(number), number / 25)
        raise error
    with open_clip(str(path)) as clip:
        assert len(list(clip.frames())) == 3
    with pytest.raises(type(error)), AnnotatedClip(tmp_path / "b.mp4", SIZE, is_recording=True):
        raise error
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]


def test_a_recording_is_kept_until_the_disk_is_full(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    before, path, count = resource.getrlimit(resource.RLIMIT_FSIZE), tmp_path / "a.mp4", 0
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        with (  # noqa: PT012
            pytest.raises(DarkposeError, match=r"a\.mp4: cannot be written: File too large"),
            AnnotatedClip(path, SIZE, is_recording=True) as written,
        ):
            for count in range(1000):
                written.write(noise(count), count / 25)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]
    with open_clip(str(path)) as clip:
        images = [frame.image for frame in clip.frames() if frame.image is not None]
    assert count - 60 < len(images) <= count  # but for two fragments


def test_a_clip_without_frames_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match="no frame was written"), AnnotatedClip(tmp_path / "a.mp4", SIZE):
        pass
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_an_error_of_one_sentence(tmp_path: Path) -> None:
    with (
        pytest.raises(DarkposeError, match=r"cannot be written: No such file"),
        AnnotatedClip(tmp_path / "none" / "a.mp4", SIZE),
    ):
        pass


def test_a_name_is_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with AnnotatedClip(Path("pipe:1"), SIZE) as annotated:
        annotated.write(picture(0), 0.0)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe:1"]


def noise(number: int) -> Pixels:
    return np.random.default_rng(number).integers(0, 256, (64, 96, 3)).astype(np.uint8)


def test_on_a_full_disk_there_is_one_sentence_and_no_file(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    written(tmp_path / "a.mp4", [noise(k) for k in range(20)], [k / 25 for k in range(20)])
    path, whole = tmp_path / "b.mp4", (tmp_path / "a.mp4").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (0, 40, 1000, whole // 2, whole - 1500, whole - 500, whole - 40, whole - 1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            with pytest.raises(DarkposeError, match=r"b\.mp4: cannot be written: File too large"):
                written(path, [noise(k) for k in range(20)], [k / 25 for k in range(20)])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert [each.name for each in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_the_error_of_a_full_disk_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import av

    real = av.open
    monkeypatch.setattr(av, "open", lambda _, *rest, **more: real("/dev/full", *rest, **more))
    with pytest.raises(DarkposeError, match=r"a\.mp4: cannot be written: No space left"):
        written(tmp_path / "a.mp4", [noise(k) for k in range(200)], [k / 25 for k in range(200)])
    assert not list(tmp_path.iterdir())


def test_times_are_moved_by_the_start(tmp_path: Path) -> None:
    with AnnotatedClip(tmp_path / "a.mp4", SIZE, start=7.5) as annotated:
        for time in (7.52, 8.0):
            annotated.write(picture(0), time)
    assert annotated._last == Fraction(1, 2) * 90000


def test_images_have_no_sound(tmp_path: Path) -> None:
    class Silent(Clip):
        def _all(self, start: float) -> None:  # type: ignore[override]
            raise AssertionError

    with AnnotatedClip(tmp_path / "a.mp4", SIZE, Silent("folder")) as annotated:
        annotated.write(picture(0), 0.0)
    assert annotated.problem == ""
