"""Machine code that is kept on disk is used again, but never after a file of the codec has changed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import darkpose
from darkpose.errors import DarkposeError

pytest.importorskip("numba", reason='needs Numba, the extra "fast"')
from darkpose.codec.compiled import array, compile_for

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


def _tripled(values: Any) -> None:
    values[0] *= 3


def _run_compiled() -> tuple[float, int]:
    """The result of a function compiled for this test, and how often its code came from the disk."""
    compiled: Any = compile_for(_tripled, array("float64", 1, written=True))
    values = np.ones(1)
    compiled(values)
    return values[0], len(compiled.stats.cache_hits)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the code of a function that a process has kept."""
    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path))
    assert _run_compiled() == (3, 0)
    assert _run_compiled() == (3, 1)
    (record,) = tmp_path.rglob("*.sha256")
    return record.parent


@pytest.mark.parametrize("ending", [".nbi", ".nbc", ".sha256"])
def test_damaged_code_is_compiled_again(kept: Path, ending: str) -> None:
    (file,) = (each for each in kept.iterdir() if each.suffix == ending)
    whole = file.read_bytes()
    flipped = [whole[:at] + bytes([whole[at] ^ 16]) + whole[at + 1 :] for at in (0, len(whole) // 2, len(whole) - 1)]
    for damaged in (*flipped, whole[:-5], b""):
        file.write_bytes(damaged)
        assert _run_compiled() == (3, 0)
        assert _run_compiled() == (3, 1)


def test_code_without_its_record_or_index_is_compiled_again(kept: Path) -> None:
    for ending in (".sha256", ".nbi", ".nbc"):
        for file in [each for each in kept.iterdir() if each.suffix == ending]:
            file.unlink()
        assert _run_compiled() == (3, 0)
        assert _run_compiled() == (3, 1)


def test_code_is_compiled_where_nothing_can_be_kept(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise DarkposeError("No space left on device")

    monkeypatch.setattr("darkpose.codec.compiled.write_atomically", full)
    for file in kept.iterdir():
        file.unlink()
    assert _run_compiled() == (3, 0)
    assert _run_compiled() == (3, 0)
    shutil.rmtree(kept)
    kept.write_text("a file in place of the folder")
    assert _run_compiled()[0] == 3


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
