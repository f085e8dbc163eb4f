"""The tables of docs/decoding.md are those of the numbers that are kept."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def page_script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    monkeypatch.chdir(ROOT)
    yield import_module("decoding_page")
    sys.modules.pop("decoding_page", None)


def test_the_page_is_that_of_the_numbers_kept(page_script: Any) -> None:
    text = (ROOT / "docs" / "decoding.md").read_text()
    assert page_script.filled(text) == text


def test_a_page_without_a_place_for_a_table_is_refused(page_script: Any) -> None:
    with pytest.raises(ValueError, match="expected a place for decoders"):
        page_script.filled("# Decoding\n")
