"""From faces to batches on the device of a training run."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader

from darkpose.datasets.sample import Sample
from darkpose.schema import KeypointSchema
from darkpose.stopping import ignore_signals
from darkpose.training.config import TrainConfig
from darkpose.training.crop_cache import open_crop_cache
from darkpose.training.crops import AugmentedFaces, Batch
from darkpose.training.epoch_steps import EpochSteps
from darkpose.training.gpu.batches import CachedFaces, augment_on_device
from darkpose.training.gpu.resident_crops import SHARE, free_memory, load_crops

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True)
class Feed:
    """Where batches come from.

    Attributes:
        faces: what the loader's processes load.
        to_batch: from what they load to a batch on the device.
        device: of the run.
    """

    faces: AugmentedFaces | CachedFaces
    to_batch: Callable[[Any], Batch]
    device: torch.device

    @contextmanager
    def batches(self, epochs: Iterable[EpochSteps], workers: int) -> Iterator[Iterator[Batch]]:
        """The micro-batches that are left of a run; the loader's processes go on from one epoch to the next.

        They end with the context, whatever happens: a traceback would keep them, and they this process, alive.
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
    *,
    cache: Path | None = None,
    uncompressed: bool = False,
) -> Feed:
    """The feed of a run: from image files, or from crops cut once into the folder `cache`, as JPEGs or uncompressed.

    Raises:
        DarkposeError: the crops cannot be written.
    """
    size, draws, device = config.crop_size, (config.augment, config.seed), accelerator.device
    on_device = partial(to_device, device=device)
    if cache is None:
        return Feed(AugmentedFaces(samples, schema, size, *draws, padding=config.padding), on_device, device)
    with accelerator.main_process_first():
        crops = open_crop_cache(
            cache,
            samples,
            crop_size=size,
            augment=config.augment,
            padding=config.padding,
            uncompressed=uncompressed,
        )
    if device.type == "cuda":
        resident = load_crops(crops, device, SHARE * free_memory(device))
        places = None if resident is None else resident.places
        cached = CachedFaces(crops, schema, size, *draws, padding=config.padding, places=places)
        return Feed(cached, partial(augment_on_device, size=size, device=device, resident=resident), device)
    faces = AugmentedFaces(crops.samples, schema, size, *draws, padding=config.padding, pixels=crops.pixels)
    return Feed(faces, on_device, device)


def to_device(batch: Batch, device: torch.device) -> Batch:
    """A batch whose tensors are on a device; its indices stay on the host."""
    crops, keypoints, visible = (part.to(device, non_blocking=True) for part in batch[:3])
    return Batch(crops, keypoints, visible, batch.wanted, batch.taken)
