"""`darkpose datasets`."""

import json
from pathlib import Path

import pytest

from command_line import call


def test_a_data_set_is_checked_and_shown(capsys: pytest.CaptureFixture[str], astronaut: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ibug"
    folder.mkdir()
    (folder / "a.png").write_bytes(astronaut.read_bytes())
    rows = "\n".join(f"{180 + k} {70 + k}" for k in range(68))
    (folder / "a.pts").write_text(f"version: 1\nn_points: 68\n{{\n{rows}\n}}\n")
    (folder / "b.pts").write_text("no points")
    sheet = tmp_path / "sheet.png"
    code, out, _ = call(capsys, "datasets", "check", "300w-challenge", "--root", tmp_path, "--sheet", sheet, "--json")
    report = json.loads(out)
    assert code == 1
    assert report["counts"]["faces"] == 1
    assert report["wrong_counts"] == ["faces: 1, published 135", "challenge: 1, published 135"]
    assert "b.pts" in report["broken"][0]
    assert sheet.exists()
    code, out, err = call(capsys, "datasets", "check", "300w-nonsense", "--root", tmp_path)
    assert (code, out) == (2, "")
    assert "wflw-train" in err
