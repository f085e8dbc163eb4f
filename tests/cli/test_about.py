"""What an installation says of itself."""

from pathlib import Path

import pytest

from darkpose.cli.about import about


@pytest.mark.usefixtures("offline")
def test_about_names_what_is_used_and_why(small_weights: Path) -> None:
    facts = about(str(small_weights))
    assert facts["markup"] == "300w-68, 68 landmarks"
    assert facts["weights"] == str(small_weights)
    assert str(facts["detector"]).startswith("haar (")
    assert "offline" in facts["detector"]
    assert facts["codec"].startswith("fused, by Numba ")


def test_about_says_which_codec_there_is_without_numba(small_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("darkpose.cli.about.AVAILABLE", False)
    assert about(str(small_weights))["codec"] == "NumPy (pip install 'darkpose[fast]': a faster one)"
