"""One process at a time."""

import subprocess
import sys
from pathlib import Path

import pytest

from darkpose.lock import alone


@pytest.mark.skipif(sys.platform == "win32", reason="locks files by flock")
def test_who_does_not_wait_is_refused_until_the_holder_lets_go(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    code = (
        f"from pathlib import Path\nfrom darkpose.lock import alone\nwith alone(Path({str(lock)!r}), wait=False): pass"
    )
    with alone(lock):
        refused = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "BlockingIOError" in refused.stderr
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="locks files by flock")
def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    code = (
        "import os, signal\nfrom pathlib import Path\nfrom darkpose.lock import alone\n"
        f"with alone(Path({str(lock)!r})): os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with alone(lock, wait=False):
        pass
