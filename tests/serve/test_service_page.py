"""docs/service.md: its calls work as they are printed."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from darkpose.files.json_text import parse_json

PAGE = (Path(__file__).parents[2] / "docs" / "service.md").read_text()


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def photo(astronaut: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """photo.jpg in the working folder."""
    (tmp_path / "photo.jpg").write_bytes(astronaut.read_bytes())
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("photo")
def test_the_calls_from_python_print_a_face(served: Any, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    with served() as address:
        for block in blocks("py"):
            if "ray" not in block:
                exec(block.replace("127.0.0.1:8000", address.split("/")[2]), names)
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\[1\d\d\.\d+, .+\] 0\.\d+ \[.+\]", lines[0])
    assert lines[1] == "0 0 [1]"


@pytest.mark.usefixtures("photo")
def test_the_calls_from_a_shell_give_json(served: Any) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    (block,) = blocks("sh")
    with served() as address:
        for line in block.strip().splitlines():
            command = ["sh", "-c", f"{line.replace('127.0.0.1:8000', address.split('/')[2])} --silent"]
            values = parse_json(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            assert all(len(each["faces"]) == 1 for each in values.get("results", [values]))


def test_the_limits_on_the_page_are_those_of_the_settings() -> None:
    from darkpose.serve.settings import Settings

    settings = Settings()
    text = PAGE.replace("\n", " ")
    for limit in (
        f"{settings.max_bytes / 1e6:g} MB a request",
        f"{settings.max_pixels / 1e6:.0f} megapixels an image",
        f"{settings.max_waiting} waiting images",
        f"{settings.timeout:g} s for",
        f"{settings.max_images} images a batch",
        f"{settings.max_boxes} boxes an image",
        f"{settings.max_streams} WebSockets",
        f"{settings.max_held / 1e6:g} MB of bodies",
    ):
        assert limit in text
