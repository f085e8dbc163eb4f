"""The folder of a training run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from darkpose.errors import DarkposeError
from darkpose.training.run_folder import own_folder


@pytest.mark.skipif(sys.platform == "win32", reason="locks files by flock")
def test_a_second_run_in_the_same_folder_is_refused_while_the_first_is_running(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom darkpose.training.run_folder import own_folder\n"
        "with own_folder(Path(sys.argv[1])):\n    print('mine')"
    )
    second = [sys.executable, "-c", code, str(tmp_path / "run")]
    with own_folder(tmp_path / "run"):
        refused = subprocess.run(second, capture_output=True, text=True, check=False)
    assert "another run uses this folder" in refused.stderr
    assert subprocess.run(second, capture_output=True, text=True, check=True).stdout == "mine\n"


def test_half_written_files_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".darkpose-0123456789ab.partial").write_bytes(b"half")
    with own_folder(tmp_path):
        assert sorted(file.name for file in tmp_path.iterdir()) == [".lock"]


def test_weights_and_validations_without_a_state_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text(json.dumps({"mode": "train", "epoch": 1, "iter": 0}) + "\n")
    with own_folder(tmp_path):  # killed before its first state: nothing to lose
        pass
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write(json.dumps({"mode": "val", "epoch": 1, "NME": 0.1}) + "\n")
    with pytest.raises(DarkposeError, match=r"holds log\.jsonl .* not its state\.pt"):  # noqa: SIM117
        with own_folder(tmp_path):
            pass
    (tmp_path / "weights.safetensors").touch()
    with pytest.raises(DarkposeError, match=r"holds weights\.safetensors and log\.jsonl"):  # noqa: SIM117
        with own_folder(tmp_path):
            pass
    (tmp_path / "state.pt").touch()
    with own_folder(tmp_path):
        pass


def test_a_process_that_does_not_write_locks_nothing(tmp_path: Path) -> None:
    with own_folder(tmp_path / "run", first=False):
        assert not list((tmp_path / "run").iterdir())
