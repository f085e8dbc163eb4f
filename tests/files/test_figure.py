"""Figures in PNG files."""

import sys
from pathlib import Path
from typing import Any

import pytest

from darkpose.errors import DarkposeError
from darkpose.files.figure import check_matplotlib, write_figure

pytest.importorskip("matplotlib", reason="needs Matplotlib: pip install 'darkpose[report]'")


def draw_line(axes: Any) -> None:
    axes.plot([0, 1], [0, 1])


def test_a_figure_is_one_png(tmp_path: Path) -> None:
    write_figure(tmp_path / "a.png", (2, 1), draw_line)
    data = (tmp_path / "a.png").read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert (int.from_bytes(data[16:20]), int.from_bytes(data[20:24])) == (260, 130)
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


def test_columns_are_drawn_side_by_side(tmp_path: Path) -> None:
    def draw(axes: Any) -> None:
        assert axes.shape == (3,)
        draw_line(axes[2])

    write_figure(tmp_path / "a.png", (3, 1), draw, columns=3)
    assert (tmp_path / "a.png").exists()


def test_without_matplotlib_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(DarkposeError, match=r"a\.png: .*pip install 'darkpose\[report\]'"):
        write_figure(tmp_path / "a.png", (2, 1), draw_line)
    with pytest.raises(DarkposeError, match=r"report\]"):
        check_matplotlib("a report")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_missing_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match="cannot be written"):
        write_figure(tmp_path / "no" / "a.png", (2, 1), draw_line)
