"""Snippets of docs/decoding.md that need another package run where it is installed."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "decoding.md"
SNIPPETS = dict(re.findall(r"^```python (\w+)\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE))


def test_the_page_shows_the_codec_in_other_packages() -> None:
    assert set(SNIPPETS) == {"transformers", "mmpose"}


@pytest.mark.slow
@pytest.mark.parametrize("package", SNIPPETS)
@pytest.mark.filterwarnings("default")  # theirs
def test_a_snippet_runs_where_its_package_is_installed(package: str) -> None:
    pytest.importorskip(package, reason=f"needs {package}")
    exec(compile(SNIPPETS[package], f"{PAGE.name}, {package}", "exec"), {})
