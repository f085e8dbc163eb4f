"""The command line, as a user types it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from darkpose.cli.app import main

BOX = "178,65,270,190"
RUNTIME = re.compile(r"darkpose: runtime: (onnxruntime|openvino|torch) \S+ \(.+\)\n")


def run(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, without a terminal."""
    command = [sys.executable, "-m", "darkpose", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, check=False)


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """The command in this process: exit code, standard output, standard error."""
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    code = left.value.code
    assert isinstance(code, int)
    out, err = capsys.readouterr()
    return code, out, err
