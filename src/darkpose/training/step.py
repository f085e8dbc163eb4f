"""One optimizer step: crops and keypoints -> targets, loss, gradient, weights, average."""

from collections.abc import Sequence
from contextlib import nullcontext
from functools import lru_cache

import torch
from torch import Tensor

from darkpose.codec.heatmap import encode
from darkpose.image.geometry import STRIDE, crop_to_heatmap
from darkpose.image.pixels import Normalisation
from darkpose.training.adaptive_wing import adaptive_wing
from darkpose.training.config import TrainConfig
from darkpose.training.crops import Batch
from darkpose.training.losses import heatmap_mse
from darkpose.training.run import Run


def take_step(run: Run, config: TrainConfig, rate: float, batches: Sequence[Batch], faces: int) -> Tensor:
    """One step over some batches, each weighted by its share of the crops.

    Args:
        run: the run, which is changed.
        config: of the run.
        rate: learning rate.
        batches: those of this process, on its device.
        faces: how many crops there are in the batches of all processes.

    Returns:
        This process's share of the loss, a scalar on its device; the shares of all processes add up to the loss.
    """
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    run.optimizer.zero_grad(set_to_none=config.accumulate == 1)  # sums need memory of their own, see `graphed_passes`
    total = torch.zeros((), device=run.accelerator.device)
    for number, batch in enumerate(batches, 1):
        with nullcontext() if number == len(batches) else run.accelerator.no_sync(run.model):
            share = _loss(run, config, batch) * (len(batch.crops) / faces)
            run.accelerator.backward(share * run.accelerator.num_processes)  # whose gradients are averaged
        total += share.detach()
    run.optimizer.step()
    if run.average is not None:
        run.average.update(run.bare)
    return total


def _loss(run: Run, config: TrainConfig, batch: Batch) -> Tensor:
    size = config.crop_size // STRIDE
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
    # What is not annotated can be taught, too.
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
