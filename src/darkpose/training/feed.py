"""Batches of faces on the device of a training run."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader

from darkpose.datasets.sample import Sample
from darkpose.schema import KeypointSchema
from darkpose.stopping import ignore_signals
from darkpose.training.config import DEFAULT_OPTIONS, RunOptions, TrainConfig
from darkpose.training.crop_cache import open_crop_cache
from darkpose.training.crops import AugmentedFaces, Batch
from darkpose.training.epoch_steps import EpochSteps
from darkpose.training.gpu.batches import CachedFaces, augment_on_device
from darkpose.training.gpu.resident_crops import SHARE, free_memory, load_crops

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True)
class Feed:
    """A source of batches.

    Attributes:
        faces: data set that the loader processes read.
        to_batch: converts what they read to a batch on the device.
        device: of the run.
    """

    faces: AugmentedFaces | CachedFaces
    to_batch: Callable[[Any], Batch]
    device: torch.device

    @contextmanager
    def batches(self, epochs: Iterable[EpochSteps], workers: int) -> Iterator[Iterator[Batch]]:
        """The micro-batches of some epochs, all from the same loader processes.

        The loader processes end with the context: otherwise a traceback would keep them, and they this process, alive.
        """
        loading = iter(
            DataLoader(
                self.faces,
                batch_sampler=chain.from_iterable(epochs),
                num_workers=workers,
                pin_memory=self.device.type == "cuda",
                worker_init_fn=ignore_signals,
            )
        )
        try:
            yield map(self.to_batch, loading)
        finally:
            if hasattr(loading, "_shutdown_workers"):
                loading._shutdown_workers()


def make_feed(
    config: TrainConfig,
    samples: Sequence[Sample],
    schema: KeypointSchema,
    accelerator: "Accelerator",
    options: RunOptions = DEFAULT_OPTIONS,
) -> Feed:
    """The feed of a run: from image files, or from the crop cache `options.cache`.

    Raises:
        DarkposeError: the crops cannot be written.
    """
    size, draws, device = config.crop_size, (config.augment, config.seed), accelerator.device
    on_device = partial(Batch.to, device=device)
    if options.cache is None:
        return Feed(AugmentedFaces(samples, schema, size, *draws, padding=config.padding), on_device, device)
    with accelerator.main_process_first():
        crops = open_crop_cache(
            options.cache,
            samples,
            crop_size=size,
            augment=config.augment,
            padding=config.padding,
            uncompressed=options.uncompressed,
        )
    if device.type == "cuda":
        resident = load_crops(crops, device, SHARE * free_memory(device))
        index = None if resident is None else resident.index
        cached = CachedFaces(crops, schema, size, *draws, padding=config.padding, resident=index)
        return Feed(cached, partial(augment_on_device, size=size, device=device, resident=resident), device)
    faces = AugmentedFaces(crops.samples, schema, size, *draws, padding=config.padding, pixels=crops.pixels)
    return Feed(faces, on_device, device)
