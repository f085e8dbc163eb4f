"""`darkpose info` and `models`."""

import json
from pathlib import Path

import pytest

from command_line import call


def test_info_tells_versions_weights_and_detector(capsys: pytest.CaptureFixture[str], small_weights: Path) -> None:
    code, out, _ = call(capsys, "info", "--weights", small_weights, "--json")
    facts = json.loads(out)
    assert code == 0
    assert facts["markup"] == "300w-68, 68 landmarks"
    assert {"darkpose", "numpy", "runtime", "device", "detector", "provenance"} <= set(facts)
    code, out, _ = call(capsys, "info", "--weights", small_weights)
    assert code == 0
    assert "300w-68" in out
    assert "provenance" not in out
    code, out, _ = call(capsys, "info", "--weights", small_weights, "--verbose")
    assert code == 0
    assert "provenance" in out
