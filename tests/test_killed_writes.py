"""A process that is killed at a write: the same command then gives what it always gives."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from needed import needs
from test_interrupted_writes import JOBS, NEEDED, begun, check_what_is_left, files_in, inputs

__all__ = ["inputs"]
DRIVER = """
import os, signal, sys
from pathlib import Path
from darkpose.cli.app import main
from faults import Faults
faults = Faults(Path(sys.argv[1]), int(sys.argv[2]), "kill", lambda: os.kill(os.getpid(), signal.SIGKILL))
try:
    with faults.watched():
        main(sys.argv[3:])
finally:
    print(faults.count, file=sys.stderr)
"""


def run(out: Path, at: int, arguments: list[str]) -> tuple[int, str]:
    """Run a command that is killed at a change of a folder, 0: not at all; exit code and standard error."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", DRIVER, str(out), str(at), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    return done.returncode, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(name, marks=needs(*NEEDED.get(name, "").split())) for name in JOBS])
def test_a_command_that_is_killed_gives_what_it_always_gives_when_it_is_run_again(
    name: str, inputs: Path, small_weights: Path, tmp_path: Path
) -> None:
    job, out = JOBS[name], tmp_path / "out"
    before = files_in(begun(job, out))
    arguments = [str(argument) for argument in job.arguments(inputs, small_weights, out)]
    code, told = run(out, 0, arguments)
    assert code in (0, 1), told  # 1: some images have no face, or the like
    whole, count = files_in(out), int(told.split()[-1])
    for at in (count // 3, count // 2, count - 2):
        assert run(begun(job, out), at, arguments)[0] == -signal.SIGKILL
        check_what_is_left(job, files_in(out), before, whole, "kill", f"kill at change {at}")
        again, told = run(out, 0, arguments)
        assert again == code, told
        assert files_in(out) == whole
