"""The load test of benchmarks/service.py, shortened: every answer is that of a direct call."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from needed import needs

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@needs("torch")  # for the head of the report
def test_many_clients_get_the_answers_of_direct_calls_in_steady_memory() -> None:
    command = [sys.executable, "benchmarks/service.py", "quick"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=os.environ).stdout
    found = json.loads(printed)
    assert (found["requests"], found["different"], found["refused"]) == (96, 0, {})
    assert found["faces"] >= 48  # the portraits
    assert found["memory_mb"][-1] < 1.2 * found["memory_mb"][0]
