"""Two processes train as one that accumulates."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from darkpose.train import train

sys.path.insert(0, str(Path(__file__).parent))
from test_train import DOTS, QUICK, dots

CONFIG = replace(QUICK, batch_size=2, accumulate=2, epochs=3)


def as_one_process(folder: Path) -> None:
    """What every process of the test runs, and the test itself: the folder holds nothing before."""
    torch.set_num_threads(1)
    rank = os.environ.get("RANK", "0")
    (folder / f"dots-{rank}").mkdir()
    trained = train(CONFIG, dots(folder / f"dots-{rank}", 8), DOTS, folder / "run", workers=0)
    torch.save(trained.model.state_dict(), folder / f"final-{rank}.pt")


def test_two_processes_give_the_losses_and_weights_of_one_that_accumulates_twice_as_much(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
    subprocess.run([sys.executable, __file__, str(one)], check=True)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run([*torchrun, __file__, str(two)], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    losses = [
        [json.loads(line)["loss"] for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
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


if __name__ == "__main__":
    as_one_process(Path(sys.argv[1]))
