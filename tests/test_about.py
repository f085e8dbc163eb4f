"""What an installation says of itself."""

from pathlib import Path

import pytest

from darkpose.about import about


@pytest.mark.usefixtures("offline")
def test_about_names_what_is_used_and_why(small_weights: Path) -> None:
    facts = about(str(small_weights))
    assert facts["markup"] == "300w-68, 68 landmarks"
    assert facts["weights"] == str(small_weights)
    assert str(facts["detector"]).startswith("haar (")
    assert "offline" in facts["detector"]
