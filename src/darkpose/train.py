"""The training loop. Accelerate carries devices, processes and mixed precision; the loop stays ours.

A run lives in a folder: `log.jsonl` (one JSON line per step and per validation), `state.pt` (all that a killed run
needs to go on, replaced in one rename) and whatever the caller keeps of a validation. Draws depend on (seed, epoch,
index) alone and the state holds the rest, so a run that is resumed equals one that was never stopped.

What goes wrong, and what becomes of it:

* killed: the same call goes on from the state, at most `save_every` seconds old;
* Ctrl-C, a terminating signal, the time limit: the step is finished and the state saved;
* an image that cannot be read: another face takes its place; the log counts it. Ten in a row end the run;
* a full disk: the run goes on, with the old state and the log's lines in memory, and tries again; only the end of an
  epoch, whose weights are to be kept, insists;
* a loss that is not finite: the run ends, its batch lies in `not-finite-N.safetensors` (N: the process), the state is
  one from before.
"""

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from darkpose.atomic import make_folder
from darkpose.batches import AugmentedFaces, Batch
from darkpose.crop_cache import open_crop_cache
from darkpose.device_batches import CachedFaces, augment_on_device
from darkpose.epoch_steps import EpochSteps
from darkpose.errors import DarkposeError
from darkpose.hrnet import HRNet
from darkpose.image import use_one_thread
from darkpose.run_state import Run, StateFile, start_run
from darkpose.runlog import RunLog
from darkpose.sample import Sample
from darkpose.schema import KeypointSchema
from darkpose.sent_step import SentStep, look_at
from darkpose.stopping import Stopping, leave_signals_to_the_parent
from darkpose.trackers import check_trackers, start_trackers
from darkpose.train_config import TrainConfig
from darkpose.training_step import take_step

if TYPE_CHECKING:
    from accelerate import Accelerator

Validate = Callable[[HRNet], float]
Keep = Callable[[HRNet, dict[str, Any]], None]


class Trained(NamedTuple):
    """How a run ended.

    Attributes:
        model: after the last step (the averaged one, if there is one), on the CPU and in evaluation mode.
        best_validation: lowest validation NME; inf if none.
        stopped: why it ended before its last epoch: "signal", "time" (the same call goes on) or "patience"; else empty.
        epoch, step: where it ended: whole epochs, and steps of the next.
    """

    model: HRNet
    best_validation: float
    stopped: Literal["", "signal", "time", "patience"] = ""
    epoch: int = 0
    step: int = 0


def train(
    config: TrainConfig,
    samples: Sequence[Sample],
    schema: KeypointSchema,
    folder: Path,
    *,
    start: HRNet | None = None,
    validate: Validate | None = None,
    keep: Keep | None = None,
    cache: Path | None = None,
    workers: int = 1,
    save_every: float = 300.0,
    max_time: float | None = None,
    track: Sequence[str] = (),
    compiled: bool = False,
) -> Trained:
    """Train a network, resuming from `folder` if an interrupted run lies there.

    Args:
        config: the run.
        samples: training faces.
        schema: their markup.
        folder: of the run; made if needed.
        start: weights to start from; None: He initialisation.
        validate: called after every epoch with the model to keep, on the main process; returns its NME.
        keep: called after a validation with the model and facts about it, if `config.select` takes this epoch so far.
        cache: folder for the faces' crops, cut once (see `crop_cache`), to draw from; on a GPU, augmentation is made
            there. None: image files are read anew for every crop.
        workers: loader processes.
        save_every: seconds between two savings of the state within an epoch.
        max_time: seconds after which to stop; None: never.
        track: trackers besides the log: "tensorboard", "wandb".
        compiled: let torch compile the network.

    Raises:
        DarkposeError: accelerate or a tracker is missing, there is nothing to train on, the folder holds another run,
            the loss is not finite, or no image can be read any more.
    """
    if not samples:
        raise DarkposeError("there are no training samples")
    network = config.network_for(schema)
    if start is not None and start.config != network:
        got = f"{start.config}, the markup {schema.name} needs {network}"
        raise DarkposeError(f"the weights to start from are of {got}")
    check_trackers(track)
    accelerator = make_accelerator(config, folder, track)
    run = start_run(config, network, accelerator, start, compiled=compiled)
    main = accelerator.is_main_process
    make_folder(folder)
    log, state = RunLog(folder / "log.jsonl", writes=main), StateFile(folder / "state.pt", config, save_every)
    if state.resume(run) and main:
        tqdm.write(f"going on after epoch {run.epoch} of {config.epochs}, step {run.step}", file=sys.stderr)
    log.forget_after(run.epoch, run.epoch * _order(run, config, len(samples)).steps + run.step)
    start_trackers(accelerator, track, config)
    feed = _feed(config, samples, schema, cache, accelerator)
    stopped: Literal["", "signal", "time", "patience"] = ""
    with Stopping(max_time) as stopping:
        while run.epoch < config.epochs and not stopped:
            if config.patience and run.stale >= config.patience:
                stopped = "patience"
                break
            stopped = _train_epoch(run, config, feed, stopping, log, state, workers)
            if not stopped:
                run.epoch, run.step = run.epoch + 1, 0
                if validate is not None and main:
                    _validate(run, config, validate, keep, log)
                _share_staleness(run)
            if main:
                state.save(run)
            accelerator.wait_for_everyone()
    accelerator.end_training()
    return Trained(run.kept.cpu().eval(), run.best, stopped, run.epoch, run.step)


def make_accelerator(config: TrainConfig, folder: Path | None = None, track: Sequence[str] = ()) -> "Accelerator":
    """Devices, processes and precision of a run, and its random numbers.

    Raises:
        DarkposeError: accelerate is missing, or the precision is of no use on this device.
    """
    try:  # here, so that reading a recipe or a checkpoint does not need it
        from accelerate import Accelerator
        from accelerate.utils import set_seed
    except ModuleNotFoundError as error:
        raise DarkposeError("training needs accelerate: pip install 'darkpose[train]'") from error
    if config.precision == "fp16" and not torch.cuda.is_available():
        raise DarkposeError('precision "fp16" needs a GPU; "bf16" and "no" do not')
    use_one_thread()  # loaders and the network share the cores
    accelerator = Accelerator(
        mixed_precision=config.precision,
        cpu=not torch.cuda.is_available(),
        log_with=list(track) or None,
        project_dir=folder,
    )
    set_seed(config.seed)
    return accelerator


class _Feed(NamedTuple):
    """Where batches come from: a data set for the loader, and how what it loads becomes a batch on the device."""

    faces: AugmentedFaces | CachedFaces
    to_batch: Callable[[Any], Batch]


def _feed(
    config: TrainConfig,
    samples: Sequence[Sample],
    schema: KeypointSchema,
    folder: Path | None,
    accelerator: "Accelerator",
) -> _Feed:
    size, draws, device = config.crop_size, (config.augment, config.seed), accelerator.device
    on_device = partial(to_device, device=device)
    if folder is None:
        return _Feed(AugmentedFaces(samples, schema, size, *draws, padding=config.padding), on_device)
    with accelerator.main_process_first():
        cache = open_crop_cache(folder, samples, crop_size=size, augment=config.augment, padding=config.padding)
    if device.type == "cuda":
        cached = CachedFaces(cache, schema, size, *draws, padding=config.padding)
        return _Feed(cached, partial(augment_on_device, size=size, device=device))
    faces = AugmentedFaces(cache.samples, schema, size, *draws, padding=config.padding, pixels=cache.pixels)
    return _Feed(faces, on_device)


def _order(run: Run, config: TrainConfig, faces: int) -> EpochSteps:
    """What is left of the run's epoch."""
    return EpochSteps(
        faces,
        config.batch_size,
        config.accumulate,
        seed=config.seed,
        epoch=run.epoch,
        first=run.step,
        process=run.accelerator.process_index,
        processes=run.accelerator.num_processes,
    )


def _train_epoch(
    run: Run,
    config: TrainConfig,
    feed: _Feed,
    stopping: Stopping,
    log: RunLog,
    state: StateFile,
    workers: int,
) -> Literal["", "signal", "time"]:
    """The steps that are left of an epoch; says why, if it is to be stopped.

    A step's loss is looked at when the next step has been sent to the device, which so never waits for the host.
    """
    order, main = _order(run, config, len(feed.faces.samples)), run.accelerator.is_main_process
    cuda = run.accelerator.device.type == "cuda"
    loader = DataLoader(
        feed.faces,
        batch_sampler=order,
        num_workers=workers,
        pin_memory=cuda,
        worker_init_fn=leave_signals_to_the_parent,
    )
    batches = map(feed.to_batch, loader)
    run.model.train()
    left = range(run.step, order.steps)
    title = f"epoch {run.epoch + 1}/{config.epochs}"
    bar = tqdm(left, title, order.steps, initial=run.step, disable=None if main else True)
    before: SentStep | None = None
    asked = False
    with bar:
        for step in bar:
            began = time.perf_counter()
            if before is not None:
                before.line["time"] = began - before.began
            group = list(islice(batches, order.own_in(step)))
            waited, iteration = time.perf_counter() - began, run.epoch * order.steps + step
            rate = config.schedule(iteration, order.steps, config.epochs * order.steps)
            line = {"mode": "train", "epoch": run.epoch + 1, "iter": iteration, "lr": rate, "data_time": waited}
            share = take_step(run, config, rate, group, order.faces_in(step))
            facts = run.accelerator.reduce(torch.stack([share, torch.full_like(share, bool(stopping.why))]), "sum")
            if before is not None:
                asked = look_at(run, before, feed.faces, log, bar)
            before, run.step = SentStep(facts, group, line, began), step + 1
            if asked or (main and state.due):
                asked = look_at(run, before, feed.faces, log, bar) or asked
                before = None
            if asked:
                break
            if main and state.due:
                state.save_or_warn(run)
        if before is not None:
            asked = look_at(run, before, feed.faces, log, bar)
    return (stopping.why or "signal") if asked else ""


def to_device(batch: Batch, device: torch.device) -> Batch:
    """A batch whose tensors are on a device; its indices stay on the host."""
    crops, keypoints, visible = (part.to(device, non_blocking=True) for part in batch[:3])
    return Batch(crops, keypoints, visible, batch.wanted, batch.taken)


def _validate(run: Run, config: TrainConfig, validate: Validate, keep: Keep | None, log: RunLog) -> None:
    model = run.kept
    model.eval()
    value = validate(model)
    log.write(mode="val", epoch=run.epoch, NME=value)
    run.accelerator.log({"NME": value, "epoch": run.epoch})
    tqdm.write(f"epoch {run.epoch}: validation NME {100 * value:.3f} %", file=sys.stderr)
    better = value < run.best
    run.stale = 0 if better else run.stale + 1
    run.best = min(value, run.best)
    if keep is not None and (better or config.select == "last"):
        keep(model, {"epoch": run.epoch, "validation_nme": value})


def _share_staleness(run: Run) -> None:
    """Every process has to know when patience ends; only the main one validates."""
    if run.accelerator.num_processes > 1:
        mine = run.stale if run.accelerator.is_main_process else 0
        shared = run.accelerator.reduce(torch.tensor(mine, device=run.accelerator.device), "sum")
        run.stale = int(shared)
