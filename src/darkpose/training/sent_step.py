"""A step that has been sent to the device, and what its loss says when it is looked at."""

import resource
import sys
import time
from collections.abc import Sequence
from math import isfinite
from typing import Any, NamedTuple

import torch
from safetensors.torch import save
from torch import Tensor
from tqdm import tqdm

from darkpose.errors import DarkposeError
from darkpose.files.atomic import write_atomically
from darkpose.training.crops import ATTEMPTS, AugmentedFaces, Batch
from darkpose.training.gpu.batches import CachedFaces
from darkpose.training.log import RunLog
from darkpose.training.run import Run


class SentStep(NamedTuple):
    """A step whose loss has not been looked at.

    Attributes:
        facts: (4,) on the host, once `ready`: the loss, then over all processes how many are asked to stop, how many
            images could not be read, and how many faces had none in their place.
        ready: when `facts` has come from a GPU; None: it is there.
        batches: what this process gave it.
        line: of the log, as far as it is known.
        began: when, by `time.perf_counter`.
    """

    facts: Tensor
    ready: torch.cuda.Event | None
    batches: Sequence[Batch]
    line: dict[str, Any]
    began: float


def send_step(
    run: Run, share: Tensor, stop: bool, batches: Sequence[Batch], line: dict[str, Any], began: float
) -> SentStep:
    """Send for the facts of a step that was taken, over all processes, without waiting for them.

    Args:
        run: the run.
        share: this process's share of the loss.
        stop: whether this process is asked to stop.
        batches, line, began: as in `SentStep`.
    """
    pairs = [(wanted, taken) for batch in batches for wanted, taken in zip(*_indices(batch), strict=True)]
    counts = (stop, sum(wanted != taken for wanted, taken in pairs), sum(taken < 0 for _, taken in pairs))
    own = torch.stack([share, *(torch.full_like(share, float(count)) for count in counts)])
    facts, ready = run.accelerator.reduce(own, "sum").to("cpu", non_blocking=True), None
    if run.accelerator.device.type == "cuda":
        ready = torch.cuda.Event()  # type: ignore[no-untyped-call]
        ready.record()
    return SentStep(facts, ready, batches, line, began)


def look_at(run: Run, step: SentStep, faces: AugmentedFaces | CachedFaces, log: RunLog, bar: "tqdm[int]") -> bool:
    """Wait for a step's facts and log them; says whether some process is asked to stop.

    Raises:
        DarkposeError: the loss is not finite (the step's batches are written beside the log), or no image can be read;
            in all processes alike.
    """
    if step.ready is not None:
        step.ready.synchronize()
    loss, asked, unreadable, gone = step.facts.tolist()
    run.unreadable += int(unreadable)
    _tell_unreadable(step.batches, faces)
    if gone:
        attempts = f"{ATTEMPTS} images one after another"
        raise DarkposeError(f"{attempts} cannot be read, {_first_missing(step.batches, faces)}: is the data there?")
    if not isfinite(loss):
        where = f"epoch {step.line['epoch']}, iteration {step.line['iter']}"
        raise DarkposeError(f"the loss is {loss} at {where}; training stopped, {_keep_batches(run, step, log)}")
    line = {"time": time.perf_counter() - step.began, **step.line, "loss": loss}
    line["memory"] = memory_in_use(run.accelerator.device)
    if run.unreadable:
        line["unreadable"] = run.unreadable
    bar.set_postfix(loss=f"{loss:.2e}", lr=f"{line['lr']:.1e}")
    log.write(**line)
    run.accelerator.log({name: line[name] for name in ("loss", "lr", "time", "data_time")}, step=line["iter"])
    return bool(asked)


def _indices(batch: Batch) -> tuple[list[int], list[int]]:
    return torch.as_tensor(batch.wanted).tolist(), torch.as_tensor(batch.taken).tolist()


def _tell_unreadable(batches: Sequence[Batch], faces: AugmentedFaces | CachedFaces) -> None:
    for batch in batches:
        for wanted, taken in zip(*_indices(batch), strict=True):
            if 0 <= taken != wanted:
                image = faces.samples[wanted].image
                tqdm.write(f"{image}: cannot be read; another face takes its place", file=sys.stderr)


def _first_missing(batches: Sequence[Batch], faces: AugmentedFaces | CachedFaces) -> str:
    lost = [wanted for batch in batches for wanted, taken in zip(*_indices(batch), strict=True) if taken < 0]
    return f"the first {faces.samples[lost[0]].image}" if lost else "in another process"


def _keep_batches(run: Run, step: SentStep, log: RunLog) -> str:
    """Write what this process gave a step; says where it is."""
    file = log.path.parent / f"not-finite-{run.accelerator.process_index}.safetensors"
    parts = [torch.cat([torch.as_tensor(batch[i]).cpu() for batch in step.batches]).contiguous() for i in range(5)]
    data = save(dict(zip(Batch._fields, parts, strict=True)))
    try:
        write_atomically(file, lambda temporary: temporary.write_bytes(data))
    except DarkposeError as error:
        return f"and its crops and keypoints are lost ({error})"
    return f"its crops and keypoints are in {file}"


def memory_in_use(device: torch.device) -> int:
    """Peak of the memory in MiB: of the GPU if that is the device, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) // 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (2**20 if sys.platform == "darwin" else 2**10)
