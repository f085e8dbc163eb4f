"""One optimizer step: targets, loss, gradient and update; its loss is read when the next step has been sent."""

import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor
from tqdm import tqdm

from darkpose.codec.heatmap import encode
from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError, shown
from darkpose.files.atomic import write_atomically
from darkpose.image.geometry import STRIDE, crop_to_heatmap
from darkpose.image.pixels import Normalisation
from darkpose.training.crops import ATTEMPTS, Batch
from darkpose.training.log import RunLog
from darkpose.training.losses import adaptive_wing, heatmap_mse
from darkpose.training.memory import peak_memory
from darkpose.training.run import Run


def take_step(run: Run, rate: float, batches: Sequence[Batch], faces: int, *, frozen: bool = False) -> Tensor:
    """Take one step over some batches, each weighted by its share of the crops.

    Args:
        run: the run; its weights change.
        rate: learning rate.
        batches: those of this process, on its device.
        faces: number of crops in the batches of all processes.
        frozen: change the head's last layer only; for runs with `TrainConfig.frozen`.

    Returns:
        This process's share of the loss, a scalar on its device; the shares of all processes add up to the loss.
    """
    for number, group in enumerate(run.optimizer.param_groups):
        group["lr"] = 0.0 if frozen and number else rate
    # Sums over several batches need gradients that are not None, see `gpu.cuda_graphs`.
    run.optimizer.zero_grad(set_to_none=run.config.accumulate == 1)
    total = torch.zeros((), device=run.accelerator.device)
    for number, batch in enumerate(batches, 1):
        with nullcontext() if number == len(batches) else run.accelerator.no_sync(run.model):
            share = _loss(run, batch) * (len(batch.crops) / faces)
            run.accelerator.backward(share * run.accelerator.num_processes)  # gradients are averaged over processes
        total += share.detach()
    run.optimizer.step()
    if run.average is not None:
        run.average.update(run.network)
    return total


def _loss(run: Run, batch: Batch) -> Tensor:
    config, size = run.config, run.config.crop_size // STRIDE
    target, weights = encode(
        crop_to_heatmap(batch.keypoints, stride=STRIDE),
        batch.visible,
        size=(size, size),
        sigma=config.sigma,
        unbiased=config.unbiased,
    )
    inputs = normalise_on_device(batch.crops, Normalisation()).contiguous(memory_format=torch.channels_last)
    with run.accelerator.autocast():
        output = run.model(inputs)
    measure = adaptive_wing if config.loss == "adaptive_wing" else heatmap_mse
    loss = measure(output.float(), target, weights)
    if run.teacher is None:
        return loss
    with torch.no_grad(), run.accelerator.autocast():
        taught = run.teacher(inputs)
    # The teacher also knows landmarks that are not annotated.
    taught_loss = heatmap_mse(output.float(), taught.float(), torch.ones_like(weights))
    return (1 - config.teaching) * loss + config.teaching * taught_loss


def normalise_on_device(crops: Tensor, normalisation: Normalisation) -> Tensor:
    """(N, 3, H, W) uint8 RGB -> float32, on the crops' device."""
    mean, factor = _on_device(normalisation, crops.device)
    return crops.float().sub_(mean).mul_(factor)  # in place: new memory for every step takes ten times as long


@lru_cache  # a new tensor on a GPU would make the host wait
def _on_device(normalisation: Normalisation, device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and reciprocal deviation of pixel values from 0 to 255, (3, 1, 1)."""
    mean, std = (255 * torch.tensor(values)[:, None, None] for values in (normalisation.mean, normalisation.std))
    return mean.to(device), (1 / std).to(device)


@dataclass(frozen=True, eq=False)
class SentStep:
    """A step that has been sent to the device and whose loss has not been read.

    Attributes:
        facts: (4,) on the host, valid once `ready`: the loss; then over all processes the number of requests to stop,
            of unreadable images, and of faces without a replacement.
        ready: set when `facts` has arrived from a GPU; None on a CPU.
        batches: those of this process.
        line: its line of the log, as far as it is known.
        began: start time, by `time.perf_counter`.
    """

    facts: Tensor
    ready: torch.cuda.Event | None
    batches: Sequence[Batch]
    line: dict[str, Any]
    began: float


def send_step(
    run: Run, share: Tensor, batches: Sequence[Batch], line: dict[str, Any], began: float, *, stop: bool
) -> SentStep:
    """Request the facts of a step from all processes, without waiting for them.

    Args:
        run: the run.
        share: this process's share of the loss.
        batches, line, began: as in `SentStep`.
        stop: whether this process is asked to stop.
    """
    pairs = [(wanted, taken) for batch in batches for wanted, taken in _wanted_and_taken(batch)]
    counts = (stop, sum(wanted != taken for wanted, taken in pairs), sum(taken < 0 for _, taken in pairs))
    own = torch.stack([share, *(torch.full_like(share, float(count)) for count in counts)])
    facts, ready = run.accelerator.reduce(own, "sum").to("cpu", non_blocking=True), None
    if run.accelerator.device.type == "cuda":
        ready = torch.cuda.Event()  # type: ignore[no-untyped-call]
        ready.record()
    return SentStep(facts, ready, batches, line, began)


def finish_step(
    run: Run, step: SentStep, samples: Sequence[Sample], log: RunLog, bar: "tqdm[int]", *, ended: float | None = None
) -> bool:
    """Wait for a step's facts and log them.

    Args:
        run: the run.
        step: the step.
        samples: training faces.
        log, bar: to write to.
        ended: end time, by `time.perf_counter`; None: when the facts have arrived.

    Returns:
        Whether any process is asked to stop.

    Raises:
        DarkposeError: the loss is not finite (the step's batches are written next to the log), or no image can be
            read; in all processes.
    """
    if step.ready is not None:
        step.ready.synchronize()
    loss, asked, unreadable, missing = step.facts.tolist()
    run.unreadable += int(unreadable)
    _warn_of_unreadable(step.batches, samples)
    if missing:
        raise DarkposeError(
            f"{ATTEMPTS} images in a row cannot be read, {_first_missing(step.batches, samples)}; check the data folder"
        )
    if not isfinite(loss):
        place = f"epoch {step.line['epoch']}, iteration {step.line['iter']}"
        raise DarkposeError(f"the loss is {loss} at {place}; training stopped, {_write_batches(run, step, log)}")
    seconds = (time.perf_counter() if ended is None else ended) - step.began
    line = {"time": seconds, **step.line, "loss": loss, "memory": peak_memory(run.accelerator.device)}
    if run.unreadable:
        line["unreadable"] = run.unreadable
    bar.set_postfix(loss=f"{loss:.2e}", lr=f"{line['lr']:.1e}")
    log.write(**line)
    run.accelerator.log({name: line[name] for name in ("loss", "lr", "time", "data_time")}, step=line["iter"])
    return bool(asked)


def _wanted_and_taken(batch: Batch) -> list[tuple[int, int]]:
    """Indices of the faces that were asked for and of those in the batch."""
    wanted, taken = (torch.as_tensor(each).tolist() for each in (batch.wanted, batch.taken))
    return list(zip(wanted, taken, strict=True))


def _warn_of_unreadable(batches: Sequence[Batch], samples: Sequence[Sample]) -> None:
    for batch in batches:
        for wanted, taken in _wanted_and_taken(batch):
            if 0 <= taken != wanted:
                told = f"{samples[wanted].image}: cannot be read; another face replaces it"
                tqdm.write(shown(told), file=sys.stderr)


def _first_missing(batches: Sequence[Batch], samples: Sequence[Sample]) -> str:
    missing = [wanted for batch in batches for wanted, taken in _wanted_and_taken(batch) if taken < 0]
    return f"the first is {samples[missing[0]].image}" if missing else "in another process"


def _write_batches(run: Run, step: SentStep, log: RunLog) -> str:
    """Write this process's batches of a step; returns a text that names the file."""
    file = log.path.parent / f"not-finite-{run.accelerator.process_index}.safetensors"
    parts = [torch.cat([torch.as_tensor(batch[i]).cpu() for batch in step.batches]).contiguous() for i in range(5)]
    data = save(dict(zip(Batch._fields, parts, strict=True)))
    try:
        write_atomically(file, lambda temporary: temporary.write_bytes(data))
    except DarkposeError as error:
        return f"and its crops and keypoints are lost ({error})"
    return f"its crops and keypoints are in {file}"
