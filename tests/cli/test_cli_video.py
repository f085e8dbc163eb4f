"""`darkpose video` and `darkpose live`, as a user types them."""

import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from command_line import RUNTIME, call, run
from darkpose.cli.video import _bases
from darkpose.image.pixels import read_image, write_image
from darkpose.video.annotated import AnnotatedClip
from darkpose.video.clip import _VideoClip, open_clip
from darkpose.video.clip_table import read_table

pytest.importorskip("av", reason="needs av")
PAGE = Path(__file__).parents[2] / "docs" / "video.md"
pytestmark = pytest.mark.usefixtures("offline")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of six images in which a face moves to the right."""
    image = read_image(Path(__file__).parents[2] / "examples" / "astronaut.png")[:320, :440]
    folder = tmp_path_factory.mktemp("pictures") / "walk"
    folder.mkdir()
    for number in range(6):
        write_image(folder / f"{number}.png", np.ascontiguousarray(np.roll(image, 3 * number, axis=1)))
    return folder


def test_a_clip_in_a_table_and_an_annotated_clip_out(
    capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = call(capsys, "video", clip, "--output", tmp_path, "--draw", "scores", "--covariance")
    table, drawn = tmp_path / "walk.csv", tmp_path / "walk.landmarks.mp4"
    assert code == 0
    assert out == f"{clip}: frames: 6 ok, 0 no face, 0 broken, 0 skipped; 1 track -> {table}, {drawn}\n"
    assert RUNTIME.fullmatch(err)
    rows = list(read_table(table))
    middles = np.array([np.array(row.keypoints, np.float64).mean(axis=0) for row in rows])
    np.testing.assert_allclose(np.diff(middles, axis=0), [[3, 0]] * 5, atol=0.3)
    assert all(row.track == 1 and row.covariances and row.raw for row in rows)
    before = drawn.read_bytes()
    drawn.unlink()

    monkeypatch.setattr(
        "darkpose.predict.predictor.Predictor.__init__", lambda *_: pytest.fail("faces are found again")
    )
    code, out, err = call(capsys, "video", clip, "--output", tmp_path, "--draw", "scores", "--from", table)
    assert (code, err) == (0, "")
    assert drawn.read_bytes() == before
    assert str(drawn) in out


def test_json_lines_name_what_was_made(capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path) -> None:
    asked = ("video", clip, clip, "--output", tmp_path, "--json", "--draw", "off", "--format", "jsonl", "--end", "0.1")
    code, out, _ = call(capsys, *asked)
    assert code == 0
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["files"] for line in lines] == [[str(tmp_path / f"walk{end}.jsonl")] for end in ("", "_2")]
    assert [line["ok"] for line in lines] == [3, 3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name at least one clip"),
        (["nothing.mp4"], "nothing.mp4: no such file or folder"),
        (["a", "b", "--from", "a.csv"], "--from draws one clip by its table, got 2 clips"),
        (["a", "--from", "a.csv", "--draw", "off"], "--from draws a clip by its table: leave out --draw off"),
        (
            [".", "--start", "nan"],
            "expected 0 <= start < end in seconds and every >= 1, got start nan, end None, every 1",
        ),
    ],
)
def test_a_mistake_in_the_call_is_one_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = run("video", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"darkpose: {message}{' (darkpose video --help)' if not arguments else ''}\n"
    assert not list(tmp_path.iterdir())


def test_a_clip_that_cannot_be_used_does_not_stop_the_others(
    capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path
) -> None:
    text, empty = tmp_path / "text.mp4", tmp_path / "empty"
    text.write_text("words")
    empty.mkdir()
    os.mkfifo(tmp_path / "fifo")
    asked = ("video", text, empty, tmp_path / "fifo", clip, "--output", tmp_path / "out", "--draw", "off")
    code, out, err = call(capsys, *asked)
    assert code == 1
    assert len(out.splitlines()) == 1
    problems = [line for line in err.splitlines() if not RUNTIME.fullmatch(line + "\n")]
    assert [line.split(":")[1].strip() for line in problems] == [str(text), str(empty), str(tmp_path / "fifo")]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["walk.csv"]


def test_a_clip_that_cannot_be_used_has_its_json_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text.mp4").write_text("words")
    monkeypatch.chdir(tmp_path)
    stream = _VideoClip("http://a/b.ts")
    monkeypatch.setattr("darkpose.video.clip.open_clip", lambda name, _: stream if "//" in name else open_clip(name))
    code, out, _ = call(capsys, "video", "text.mp4", stream.path, "--json")
    assert code == 1
    reasons = [
        "text.mp4: not a video, or damaged, or of a format that FFmpeg cannot read",
        "http://a/b.ts: a stream cannot be read a second time, to draw it: use darkpose live",
    ]
    assert [json.loads(line)["problems"] for line in out.splitlines()] == [[reason] for reason in reasons]


def test_a_table_of_another_clip_or_no_table_is_refused(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("frame,x\n")
    (tmp_path / "b.jsonl").write_text('{"frame": 0, "time": 3.5, "status": "no face"}\n')
    for table, reason in (
        ("a.csv", "a.csv: the first line is not that of a clip's table in CSV"),
        ("b.jsonl", "the table is of another clip or rate: frame 0 is at 3.5 s, not at 0.0 s"),
    ):
        done = run("video", clip, "--from", table, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (2, f"darkpose: {reason}\n")
        assert not list((tmp_path / "darkpose-out").iterdir())


def test_a_part_without_a_frame_gives_no_files(capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path) -> None:
    code, out, err = call(capsys, "video", clip, "--start", "99", "--output", tmp_path)
    assert (code, out) == (1, "")
    assert err.endswith(f"{clip}: no frame of this part can be decoded, or there is none\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("package", "arguments", "extra"), [("av", [], "video"), ("pyarrow", ["--format", "parquet"], "parquet")]
)
def test_a_package_that_is_not_installed_is_named_before_any_work(
    capsys: pytest.CaptureFixture[str],
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    package: str,
    arguments: list[str],
    extra: str,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    code, out, err = call(capsys, "video", clip, "--output", tmp_path / "out", *arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert f"pip install 'darkpose[{extra}]'" in err
    assert not (tmp_path / "out").exists()


def test_files_of_clips_have_the_names_of_the_clips_and_never_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    (folder / "talk [1080p].mp4").touch()
    monkeypatch.chdir(folder)
    named = ["a.mp4", "b/a.mp4", "a_2.mp4", "talk [1080p].mp4", ".", "*.png", "b/*.png", "/", "http://c/d.mp4?e=1"]
    expected = ["a", "a_2", "a_2_2", "talk [1080p]", "clips", "clips_2", "b", "images", "d"]
    assert list(_bases(named, Path("out"))) == [Path("out") / name for name in expected]


def test_a_file_is_followed_live(capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path) -> None:
    code, out, err = call(capsys, "live", clip, "--record", tmp_path / "record.mp4")
    assert code == 0
    lines = [json.loads(line) for line in out.splitlines()]
    assert 1 <= len(lines) <= 6
    assert lines[-1]["frame"] == 5
    assert all(line["faces"][0]["track"] == 1 for line in lines)
    assert err.splitlines()[-1].startswith(f"darkpose: {len(lines)} frame")
    with open_clip(str(tmp_path / "record.mp4")) as record:
        assert len(list(record.frames())) == len(lines)


@pytest.mark.parametrize("record", ["folder", "nothing/a.mp4"])
def test_a_recording_that_cannot_be_written_is_refused_before_any_work(
    capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path, record: str
) -> None:
    (tmp_path / "folder").mkdir()
    code, out, err = call(capsys, "live", clip, "--record", tmp_path / record)
    assert (code, out) == (2, "")
    assert err.startswith(f"darkpose: {tmp_path / record}: cannot be written: ")
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_source_that_is_none_is_one_line(tmp_path: Path) -> None:
    done = run("live", "nothing.mp4", cwd=tmp_path)
    expected = "nothing.mp4: expected the number of a camera, the address of a stream, or a file"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"darkpose: {expected}\n")


def test_a_camera_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = run("live", "63", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith("darkpose: camera 63 cannot be opened")


def test_a_window_is_refused_where_opencv_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run("live", "0", "--window", cwd=tmp_path)
    assert done.returncode == 2
    assert "no windows (opencv-python-headless)" in done.stderr or "camera 0" in done.stderr


def test_the_snippets_of_the_page_on_video_run(
    capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_clip(str(clip)) as frames, AnnotatedClip(tmp_path / "clip.mp4", frames.size) as written:
        for frame in frames.frames():
            assert frame.image is not None
            written.write(frame.image, frame.time)
    assert call(capsys, "video", "clip.mp4", "--draw", "off")[0] == 0
    rows = read_table(tmp_path / "darkpose-out" / "clip.csv")
    names: dict[str, object] = {"annotated": np.array([row.keypoints for row in rows], np.float64) + 1}
    blocks = re.findall(r"^```python video\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    printed = capsys.readouterr().out
    assert "0 1 [[" in printed
    _, jitter, _ = map(float, printed.splitlines()[-1].split())
    assert jitter < 1e-6  # of a constant shift
