"""Models by name."""

import json
from pathlib import Path

import pytest

from darkpose.models import models
from darkpose.zoo import ZOO, downloaded_file


def test_the_shipped_model_comes_first_and_is_here() -> None:
    first, *others = models()
    assert first.name == "default"
    assert first.markups == {"300w-68": 68, "wflw-98": 98, "aflw-19": 19}
    assert Path(first.file).is_file()
    assert first.megabytes == pytest.approx(Path(first.file).stat().st_size / 1e6, abs=0.05)
    assert all(2 < value < 5 for value in first.error.values())
    assert [model.name for model in others] == list(ZOO)
    assert json.loads(json.dumps([model.to_dict() for model in models()]))[0]["name"] == "default"


def test_a_published_model_has_its_published_numbers_and_is_here_once_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DARKPOSE_CACHE", str(tmp_path))
    wflw = next(model for model in models() if model.name.startswith("wflw"))
    assert wflw.error["pose (published)"] == 6.99
    assert wflw.file == ""
    assert "not here; downloaded at its first use" in "\n".join(wflw.lines())
    downloaded_file(ZOO[wflw.name]).write_bytes(b"x" * 200_000)
    again = next(model for model in models() if model.name.startswith("wflw"))
    assert again.megabytes == 0.2
