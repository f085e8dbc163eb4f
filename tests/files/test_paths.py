"""Names of files below the folder that all are in."""

from pathlib import Path

import pytest

from darkpose.files.paths import name_below, shared_folder


def test_files_are_named_below_the_folder_that_all_are_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files: list[str | Path] = ["a/x.png", tmp_path / "a" / "b" / "y.png", "a/c/../z.png"]
    folder = shared_folder(files)
    assert folder == (tmp_path / "a").parts
    assert [name_below(folder, file) for file in files] == ["x.png", "b/y.png", "z.png"]
    assert shared_folder(["/a/b/c.png", "/x/c.png"]) == ("/",)
    assert shared_folder([]) == ()
