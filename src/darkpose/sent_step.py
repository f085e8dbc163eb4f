"""A step that has been sent to the device, and what its loss says when it is looked at."""

import resource
import sys
import time
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from darkpose.atomic import write_atomically
from darkpose.batches import AugmentedFaces, Batch
from darkpose.device_batches import CachedFaces
from darkpose.errors import DarkposeError
from darkpose.run_state import Run
from darkpose.runlog import RunLog


class SentStep(NamedTuple):
    """A step whose loss has not been looked at.

    Attributes:
        facts: (2,) on the device: the loss, and how many processes are asked to stop.
        batches: what this process gave it.
        line: of the log, as far as it is known.
        began: when, by `time.perf_counter`.
    """

    facts: Tensor
    batches: Sequence[Batch]
    line: dict[str, Any]
    began: float


def look_at(run: Run, step: SentStep, faces: AugmentedFaces | CachedFaces, log: RunLog, bar: "tqdm[int]") -> bool:
    """Wait for a step's loss and log it; says whether some process is asked to stop.

    Raises:
        DarkposeError: the loss is not finite (the step's batches are written beside the log), or no image can be read.
    """
    loss, asked = step.facts.tolist()
    _count_unreadable(run, step.batches, faces)
    if not isfinite(loss):
        file = log.path.parent / f"not-finite-{run.accelerator.process_index}.safetensors"
        _save_batches(file, step.batches)
        where = f"epoch {step.line['epoch']}, iteration {step.line['iter']}"
        raise DarkposeError(f"the loss is {loss} at {where}; training stopped, its crops and keypoints are in {file}")
    line = {"time": time.perf_counter() - step.began, **step.line, "loss": loss}
    line["memory"] = memory_in_use(run.accelerator.device)
    if run.unreadable:
        line["unreadable"] = run.unreadable
    bar.set_postfix(loss=f"{loss:.2e}", lr=f"{line['lr']:.1e}")
    log.write(**line)
    run.accelerator.log({name: line[name] for name in ("loss", "lr", "time", "data_time")}, step=line["iter"])
    return bool(asked)


def _count_unreadable(run: Run, batches: Sequence[Batch], faces: AugmentedFaces | CachedFaces) -> None:
    for batch in batches:
        for wanted, taken in zip(torch.as_tensor(batch.wanted).tolist(), torch.as_tensor(batch.taken), strict=True):
            if int(taken) == wanted:
                continue
            run.unreadable += 1
            image = faces.samples[wanted].image
            if int(taken) < 0:
                raise DarkposeError(
                    f"{image} and the {faces.ATTEMPTS - 1} images after it cannot be read: is it there?"
                )
            tqdm.write(f"{image}: cannot be read; another face takes its place", file=sys.stderr)


def _save_batches(file: Path, batches: Sequence[Batch]) -> None:
    parts = [torch.cat([torch.as_tensor(batch[i]).cpu() for batch in batches]).contiguous() for i in range(5)]
    tensors = dict(zip(Batch._fields, parts, strict=True))
    write_atomically(file, lambda temporary: save_file(tensors, temporary))


def memory_in_use(device: torch.device) -> int:
    """Peak of the memory in MiB: of the GPU if that is the device, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) // 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (2**20 if sys.platform == "darwin" else 2**10)
