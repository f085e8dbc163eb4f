"""`darkpose serve`, as a user types it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from command_line import call, run

needs_fastapi = pytest.mark.skipif(find_spec("fastapi") is None, reason="needs fastapi")


@contextmanager
def serving(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """The command on a free port: its process, the address, and its lines until it is ready."""
    command = [sys.executable, "-m", "darkpose", "serve", "--port", "0", "--runtime", "onnxruntime", *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment})
    try:
        assert process.stderr is not None
        lines = []
        while not (
            found := re.fullmatch(r"darkpose: (http://\S+/) \(Ctrl-C ends\)\n", line := process.stderr.readline())
        ):
            assert line
            lines.append(line)
        yield process, found[1], lines
    finally:
        process.kill()
        process.communicate()


@needs_fastapi
@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGTERM])
def test_it_answers_as_predict_does_until_it_is_asked_to_end(astronaut: Path, way: signal.Signals) -> None:
    with serving() as (process, address, lines):
        assert re.fullmatch(r"darkpose: runtime: onnxruntime \S+ \(.+\)\n", "".join(lines))
        with urllib.request.urlopen(f"{address}v1/landmarks?covariance=true", astronaut.read_bytes()) as answer:
            found = json.loads(answer.read())
        process.send_signal(way)
        _, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "darkpose: ended\n")
    printed = run("predict", astronaut, "--json", "--covariance", "--runtime", "onnxruntime").stdout
    assert found == {**json.loads(printed), "image": ""}


@needs_fastapi
def test_other_machines_without_a_token_are_warned_of_and_the_token_may_come_from_the_environment() -> None:
    with serving("--host", "0.0.0.0") as (_, address, lines):
        assert "warning: other machines can use this service" in lines[0]
        assert address.startswith("http://127.0.0.1:")
    with serving("--host", "0.0.0.0", DARKPOSE_TOKEN="a.b") as (_, address, lines):
        assert not any("warning" in line for line in lines)
        with urllib.request.urlopen(f"{address}v1/model") as answer:
            assert json.loads(answer.read())["has_token"] is True


@needs_fastapi
def test_the_page_is_opened_with_the_token(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr("uvicorn.Server.run", lambda *_, **__: None)
    code, _, _ = call(capsys, "serve", "--open", "--port", 0, "--token", "a.b", "--runtime", "onnxruntime")
    assert code == 0
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/#token=a\.b", opened[0])


@needs_fastapi
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "no.such.host.invalid"], "cannot listen there"),
        (["--port", "70000"], "expected 0 to 65535, got 70000"),
        (["--token", "two words"], "a token has"),
        (["--max-megabytes", "0"], "max_bytes must be above 0"),
        (["--port", "0", "--weights", "nothing.pth"], "there is no such file"),
        (["--port", "0", "--schema", "nothing"], "nothing"),
    ],
)
def test_a_mistake_is_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    code, out, err = call(capsys, "serve", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


@needs_fastapi
def test_a_port_in_use_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = call(capsys, "serve", "--port", port)
    assert code == 2
    assert re.fullmatch(rf"darkpose: 127\.0\.0\.1, port {port}: cannot listen there: .+ in use.*\n", err)


def test_the_extra_that_is_missing_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fastapi", None)
    code, _, err = call(capsys, "serve")
    assert code == 2
    assert "pip install 'darkpose[serve]'" in err
