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
from darkpose.errors import DarkposeError
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

PATIENCE = 600.0  # seconds without a batch of the loader processes, after which they are given up


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

        Raises:
            DarkposeError: loader processes cannot start, are killed, or give no batch for `PATIENCE` seconds.
        """
        with _plain_errors():
            loading = iter(
                DataLoader(
                    self.faces,
                    batch_sampler=chain.from_iterable(epochs),
                    num_workers=workers,
                    pin_memory=self.device.type == "cuda",
                    worker_init_fn=ignore_signals,
                    timeout=PATIENCE if workers else 0,
                )
            )
        try:
            yield map(self.to_batch, _each(loading))
        finally:
            if hasattr(loading, "_shutdown_workers"):
                loading._shutdown_workers()
                for process in loading._workers:  # type: ignore[attr-defined]  # one that hangs ignores the signal by which torch ends it
                    process.kill()


def _each(loading: Iterator[Any]) -> Iterator[Any]:
    """What the loader processes read."""
    while True:
        try:
            with _plain_errors():
                batch = next(loading)
        except StopIteration:
            return
        yield batch


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Errors of loader processes, which torch raises as OSError or RuntimeError, as one sentence."""
    try:
        yield
    except DarkposeError:
        raise
    except (OSError, RuntimeError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        known = ("dataloader", "shared memory", "shm", "too many open files", "no space left", "cannot allocate")
        if not any(word in str(error).lower() for word in known) and not isinstance(error, OSError):
            raise
        raise DarkposeError(
            f"the processes that load images cannot go on ({lines[-1][:200]}); they need room in /dev/shm, memory and "
            "open files (ulimit -n); try fewer of them: --workers 0 loads in the process that trains"
        ) from error


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
