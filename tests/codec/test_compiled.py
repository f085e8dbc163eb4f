"""Machine code that is kept on disk is used again, but never after a file of the codec has changed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import darkpose

pytest.importorskip("numba", reason='needs Numba, the extra "fast"')

# A kernel that compiles in a moment, with a constant of another module.
KERNEL = """
import sys
import numpy as np
from darkpose.codec.compiled import array, compile_for
from darkpose.codec.dark import FLOOR

def fill(out):
    out[0] = FLOOR

def run():
    out = np.zeros(1)
    compiled = compile_for(fill, array("float64", 1, written=True))
    compiled(out)
    print(out[0], len(compiled.stats.cache_hits))
"""

DECODE = """
import numpy as np
from darkpose import decode
maps = np.zeros((1, 1, 40, 40), np.float32)
maps[..., 20, 20], maps[..., 21, 20] = 1e-6, 0.9e-6
print(decode(maps, kernel_size=17).points[0, 0, 1])
"""


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of the package, without weights and machine code, whose files may be changed."""
    ignored = shutil.ignore_patterns("shipped", "__pycache__")
    shutil.copytree(Path(darkpose.__file__).parent, tmp_path / "darkpose", ignore=ignored)
    (tmp_path / "kernel.py").write_text(KERNEL)
    return tmp_path


def run(sources: Path, script: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    return subprocess.run(
        [sys.executable, "-c", script],
        env=environment | {"PYTHONPATH": str(sources)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def change_floor(sources: Path) -> None:
    """Another constant in a file that holds no compiled function."""
    path = sources / "darkpose" / "codec" / "dark.py"
    text = path.read_text()
    assert "FLOOR = 1e-10" in text
    path.write_text(text.replace("FLOOR = 1e-10", "FLOOR = 1e-3"))


@pytest.mark.slow
def test_a_changed_constant_of_another_file_is_compiled_in(sources: Path) -> None:
    script = "from kernel import run; run()"
    assert run(sources, script) == "1e-10 0"
    assert run(sources, script) == "1e-10 1"  # kept
    change_floor(sources)
    assert run(sources, script) == "0.001 0"
    assert run(sources, script) == "0.001 1"


@pytest.mark.slow
def test_the_decoder_follows_a_changed_constant(sources: Path) -> None:
    before = float(run(sources, DECODE))
    assert 20.1 < before < 21
    change_floor(sources)
    assert float(run(sources, DECODE)) == 20  # all is clipped: no step
