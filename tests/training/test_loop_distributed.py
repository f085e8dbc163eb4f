"""Two processes give the same result as one that accumulates."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from test_loop import QUICK, dots, train_dots

pytestmark = pytest.mark.slow
CONFIG = replace(QUICK, batch_size=2, accumulate=2, epochs=3)


def as_processes(folder: Path, max_time: float | None) -> None:
    """Run a test's process until it ends or is stopped; the state is saved at every step."""
    torch.set_num_threads(1)
    own = folder / f"dots-{os.environ.get('RANK', '0')}"
    own.mkdir(exist_ok=True)
    trained = train_dots(CONFIG, dots(own, 8), folder / "run", validate=lambda _: 0.5, save_every=0, max_time=max_time)
    assert (trained.stopped, trained.step) == ("", 0) if max_time is None else ("time", 2)
    assert trained.best_validation == (0.5 if max_time is None else float("inf"))
    torch.save(trained.model.state_dict(), folder / f"final-{own.name[-1]}.pt")


def test_two_processes_give_the_losses_and_weights_of_one_that_accumulates_twice_as_much(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
    subprocess.run([sys.executable, __file__, str(one)], check=True)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run([*torchrun, __file__, str(two)], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    losses = [
        [json.loads(line)["loss"] for line in (folder / "run" / "log.jsonl").read_text().splitlines() if "loss" in line]
        for folder in (one, two)
    ]
    assert len(losses[0]) == len(losses[1]) == 6  # eight faces, four a step, three epochs
    # Step for step the same sums in another order: float32 rounding, which training amplifies from step to step.
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
    np.testing.assert_allclose(losses[1][0], losses[0][0], rtol=1e-6)
    finals = [
        torch.load(file, weights_only=True) for file in (one / "final-0.pt", two / "final-0.pt", two / "final-1.pt")
    ]
    for name, value in finals[0].items():
        if "running" in name or "num_batches" in name:
            continue  # of batch norm: each process counts its own micro-batches
        assert torch.allclose(finals[1][name], value, rtol=1e-3, atol=1e-4), name
        assert torch.equal(finals[1][name], finals[2][name]), name


def test_two_processes_stop_together_and_end_with_the_same_weights(tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", __file__]
    for name, max_times in (("straight", [[]]), ("stopped", [["0"], []])):
        (tmp_path / name).mkdir()
        for max_time in max_times:
            command = [*torchrun, str(tmp_path / name), *max_time]
            subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=200)
    straight, stopped = (
        torch.load(tmp_path / name / "final-0.pt", weights_only=True) for name in ("straight", "stopped")
    )
    for key, value in straight.items():
        assert torch.equal(stopped[key], value), key


if __name__ == "__main__":
    as_processes(Path(sys.argv[1]), float(sys.argv[2]) if sys.argv[2:] else None)
