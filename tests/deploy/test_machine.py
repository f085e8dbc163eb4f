"""Commit and machine of a measurement."""

import subprocess
from pathlib import Path

import pytest

from darkpose.deploy import machine


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit, from which darkpose seems to run."""
    folder = tmp_path / "src" / "darkpose" / "deploy"
    folder.mkdir(parents=True)
    for file in ("machine.py", "weights.safetensors"):
        (folder / file).write_text("1\n")
    (tmp_path / "result.json").write_text("1\n")
    who = ["-c", "user.name=n", "-c", "user.email=e"]
    for call in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "first"]):
        subprocess.run(["git", "-C", str(tmp_path), *call], check=True)
    monkeypatch.setattr(machine, "__file__", str(folder / "machine.py"))
    return tmp_path


def test_a_commit_is_dirty_when_code_or_weights_have_changed_and_not_for_results(checkout: Path) -> None:
    name = machine.commit()
    assert len(name) >= 7
    (checkout / "result.json").write_text("2\n")
    (checkout / "new.json").write_text("2\n")
    assert machine.commit() == name
    for changed in ("src/darkpose/deploy/machine.py", "src/darkpose/deploy/weights.safetensors"):
        (checkout / changed).write_text("2\n")
        assert machine.commit() == f"{name}-dirty"
        (checkout / changed).write_text("1\n")
    assert machine.commit() == name


def test_where_there_is_no_checkout_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "__file__", str(tmp_path / "machine.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert machine.commit() == ""
    monkeypatch.setenv("PATH", "")
    assert machine.commit() == ""
