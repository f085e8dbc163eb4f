"""The training loop. Accelerate carries devices, processes and mixed precision; the loop stays ours.

A run lives in a folder: `log.jsonl` (one JSON line per log step and per validation), `state.pt` (all that a killed run
needs to go on, replaced in one rename) and whatever the caller keeps of the best validation. Draws depend on (seed,
epoch, index) alone, so a run resumed from an epoch's start equals one that was never killed.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader
from tqdm import tqdm

from darkpose.atomic import make_folder, write_atomically
from darkpose.augment import AugmentConfig
from darkpose.batches import AugmentedFaces, ShuffledEpoch
from darkpose.errors import DarkposeError
from darkpose.geometry import PADDING, crop_to_heatmap
from darkpose.heatmap import encode
from darkpose.hrnet import STRIDE, HRNet, HRNetConfig, initialise
from darkpose.image import Normalisation, use_one_thread
from darkpose.inference import batched
from darkpose.loss import heatmap_mse
from darkpose.runlog import RunLog
from darkpose.sample import Sample
from darkpose.schedule import Cosine, Schedule
from darkpose.schema import KeypointSchema

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True)
class TrainConfig:
    """One training run; the defaults are darkpose's, `recipes` holds the published ones.

    Attributes:
        crop_size: side of the crop in crop px, a multiple of 32.
        sigma, unbiased: of the target heatmaps, in heatmap px.
        batch_size: crops per forward pass and process; batch norm sees these.
        accumulate: forward passes per optimizer step, shared among the processes; the gradient is that of all their
            crops together.
        epochs: passes over the data.
        schedule: learning rate by iteration.
        weight_decay: decoupled (AdamW); 0 is plain Adam.
        ema: decay of the averaged weights that are validated and kept (reached by a warm-up); 0: no average.
        augment: random crops.
        padding: side of the crop over side of the box.
        precision: "no" or "bf16" autocast.
        select: which epoch's weights are kept: "last", or "best", the one with the lowest validation NME, which is then
            no longer the error on unseen faces (the published recipes select so, on their test sets).
        seed: of initialisation, order and draws.
    """

    crop_size: int = 256
    sigma: float = 2.0
    unbiased: bool = True
    batch_size: int = 16
    accumulate: int = 1
    epochs: int = 60
    schedule: Schedule = field(default_factory=lambda: Schedule(1e-3, Cosine(), warmup=200))
    weight_decay: float = 1e-4
    ema: float = 0.999
    augment: AugmentConfig = field(default_factory=lambda: AugmentConfig(shift_std=0.05))
    padding: float = PADDING
    precision: Literal["no", "bf16"] = "bf16"
    select: Literal["last", "best"] = "last"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.crop_size < 32 or self.crop_size % 32:
            raise DarkposeError(f"crop_size must be a positive multiple of 32, got {self.crop_size}")


Batch = tuple[Tensor, Tensor, Tensor]  # crops (N, 3, size, size) uint8, keypoints (N, K, 2) crop px, visible (N, K)
Validate = Callable[[HRNet], float]
Keep = Callable[[HRNet, dict[str, Any]], None]


class Trained(NamedTuple):
    """The model after the last epoch (the averaged one, if there is one) and the lowest validation NME, inf if none."""

    model: HRNet
    best_validation: float


@dataclass
class _Run:
    """What a run is made of, and what has to be restored to go on with it."""

    accelerator: "Accelerator"
    model: nn.Module
    average: AveragedModel | None
    optimizer: torch.optim.Optimizer
    epoch: int = 0
    best: float = float("inf")

    @property
    def bare(self) -> nn.Module:
        return cast(nn.Module, self.accelerator.unwrap_model(self.model))

    @property
    def kept(self) -> HRNet:
        """The model that is validated and kept: the averaged one, if there is one."""
        return cast(HRNet, self.average.module if self.average is not None else self.bare)

    def state(self) -> dict[str, Any]:
        average = None if self.average is None else self.average.state_dict()
        return {
            "model": self.bare.state_dict(),
            "average": average,
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
            "best": self.best,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.bare.load_state_dict(state["model"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.best = state["epoch"], state["best"]


def train(
    config: TrainConfig,
    samples: Sequence[Sample],
    schema: KeypointSchema,
    folder: Path,
    *,
    start: HRNet | None = None,
    validate: Validate | None = None,
    keep: Keep | None = None,
    workers: int = 1,
    log_every: int = 20,
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
        workers: loader processes.
        log_every: steps between log lines.

    Returns:
        The model, on the CPU and in evaluation mode, and its validation.

    Raises:
        DarkposeError: accelerate is missing, there is nothing to train on, the folder holds another run, or the loss is
            not finite.
    """
    if not samples:
        raise DarkposeError("there are no training samples")
    if start is not None and start.config != HRNetConfig(len(schema)):
        got = f"{start.config}, the markup {schema.name} needs {HRNetConfig(len(schema))}"
        raise DarkposeError(f"the weights to start from are of {got}")
    try:  # here, so that reading a recipe or a checkpoint does not need it
        from accelerate import Accelerator, DataLoaderConfiguration
        from accelerate.utils import set_seed
    except ModuleNotFoundError as error:
        raise DarkposeError("training needs accelerate: pip install 'darkpose[train]'") from error
    use_one_thread()  # loaders and the network share the cores
    accelerator = Accelerator(
        mixed_precision=config.precision,
        cpu=not torch.cuda.is_available(),
        dataloader_config=DataLoaderConfiguration(non_blocking=True),
    )
    set_seed(config.seed)
    run = _prepare(config, len(schema), accelerator, start)
    make_folder(folder)
    log = RunLog(folder / "log.jsonl", writes=accelerator.is_main_process)
    _resume(run, folder, config, log)
    faces = AugmentedFaces(samples, schema, config.crop_size, config.augment, config.seed, padding=config.padding)
    for epoch in range(run.epoch, config.epochs):
        loader = DataLoader(
            faces,
            config.batch_size,
            sampler=ShuffledEpoch(len(samples), config.seed, epoch),
            num_workers=workers,
            pin_memory=accelerator.device.type == "cuda",
        )
        _train_epoch(run, config, accelerator.prepare(loader), epoch, log, log_every)
        run.epoch = epoch + 1
        if validate is not None and accelerator.is_main_process:
            _validate(run, config, validate, keep, log)
        if accelerator.is_main_process:
            _save(run, folder, config)
        accelerator.wait_for_everyone()
    return Trained(run.kept.cpu().eval(), run.best)


def _prepare(config: TrainConfig, keypoints: int, accelerator: "Accelerator", start: HRNet | None) -> _Run:
    model = HRNet(HRNetConfig(keypoints))
    if start is None:
        initialise(model, seed=config.seed)
    else:
        model.load_state_dict(start.state_dict())
    model = model.to(accelerator.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = None
    if config.ema:
        average = AveragedModel(model, multi_avg_fn=_warmed_up_ema(config.ema), use_buffers=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, weight_decay=config.weight_decay, fused=True)
    model, optimizer = accelerator.prepare(model, optimizer)
    return _Run(accelerator, model, average, optimizer)


def _warmed_up_ema(decay: float) -> Callable[[Any, Any, Any], None]:
    """Exponential average whose decay grows as (1 + n) / (10 + n) up to `decay`: first weights are soon forgotten."""

    def update(averaged: Any, current: Any, count: Any) -> None:
        average = get_ema_multi_avg_fn(min(decay, (1 + int(count)) / (10 + int(count))))  # type: ignore[no-untyped-call]
        average(averaged, current, count)

    return update


def _train_epoch(
    run: _Run, config: TrainConfig, loader: DataLoader[Any], epoch: int, log: RunLog, log_every: int
) -> None:
    run.model.train()
    accumulate = max(1, config.accumulate // run.accelerator.num_processes)
    per_epoch = -(-len(loader) // accumulate)
    bar = tqdm(
        batched(_timed(loader), accumulate),
        f"epoch {epoch + 1}/{config.epochs}",
        per_epoch,
        disable=None if run.accelerator.is_main_process else True,
    )
    started = time.perf_counter()
    for step, group in enumerate(bar):
        iteration = epoch * per_epoch + step
        rate = config.schedule(iteration, per_epoch, config.epochs * per_epoch)
        loss = _step(run, config, rate, [batch for batch, _ in group])
        if step % log_every == 0:
            value = float(loss)
            if not isfinite(value):
                raise DarkposeError(
                    f"the loss is {value} at epoch {epoch + 1}, iteration {iteration}; training stopped"
                )
            bar.set_postfix(loss=f"{value:.2e}", lr=f"{rate:.1e}")
            log.write(
                mode="train", epoch=epoch + 1, iter=iteration, lr=rate, loss=value,
                data_time=sum(waited for _, waited in group), time=(time.perf_counter() - started) / (step + 1),
            )  # fmt: skip


def _step(run: _Run, config: TrainConfig, rate: float, batches: list[Batch]) -> Tensor:
    """One optimizer step over some batches, each weighted by its share of the crops; returns the loss of all."""
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    run.optimizer.zero_grad()
    count = sum(len(crops) for crops, _, _ in batches)
    total = torch.zeros((), device=run.accelerator.device)
    for number, batch in enumerate(batches, 1):
        last = number == len(batches)
        with nullcontext() if last else run.accelerator.no_sync(run.model):
            loss = _loss(run, config, *batch) * (len(batch[0]) / count)
            run.accelerator.backward(loss)
        total += loss.detach()
    run.optimizer.step()
    if run.average is not None:
        run.average.update_parameters(run.bare)
    return total


def _loss(run: _Run, config: TrainConfig, crops: Tensor, keypoints: Tensor, visible: Tensor) -> Tensor:
    size = config.crop_size // STRIDE
    target, weights = encode(
        crop_to_heatmap(keypoints, stride=STRIDE),
        visible,
        size=(size, size),
        sigma=config.sigma,
        unbiased=config.unbiased,
    )
    inputs = normalise_on_device(crops, Normalisation()).contiguous(memory_format=torch.channels_last)
    with run.accelerator.autocast():
        output = run.model(inputs)
    return heatmap_mse(output.float(), target, weights)


def normalise_on_device(crops: Tensor, normalisation: Normalisation) -> Tensor:
    """(N, 3, H, W) uint8 RGB -> float32, on the crops' device."""
    mean, std = (
        torch.tensor(values, device=crops.device)[:, None, None] for values in (normalisation.mean, normalisation.std)
    )
    return (crops / 255 - mean) / std


def _timed(batches: Iterable[Batch]) -> Iterator[tuple[Batch, float]]:
    """Every batch with the seconds it was waited for."""
    asked = time.perf_counter()
    for batch in batches:
        yield batch, time.perf_counter() - asked
        asked = time.perf_counter()


def _validate(run: _Run, config: TrainConfig, validate: Validate, keep: Keep | None, log: RunLog) -> None:
    model = run.kept
    model.eval()
    value = validate(model)
    log.write(mode="val", epoch=run.epoch, NME=value)
    tqdm.write(f"epoch {run.epoch}: validation NME {100 * value:.3f} %")
    better = value < run.best
    run.best = min(value, run.best)
    if keep is not None and (better or config.select == "last"):
        keep(model, {"epoch": run.epoch, "validation_nme": value})


def _save(run: _Run, folder: Path, config: TrainConfig) -> None:
    """Replace the state in one rename: a kill leaves the old state or the new one, never half of one."""
    state = {"config": _as_json(config), **run.state()}
    write_atomically(folder / "state.pt", lambda temporary: torch.save(state, temporary))


def _resume(run: _Run, folder: Path, config: TrainConfig, log: RunLog) -> None:
    path = folder / "state.pt"
    if not path.exists():
        log.forget_after(0)
        return
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        same = state["config"] == _as_json(config)
    except Exception as error:  # a damaged pickle can fail in any way
        raise DarkposeError(f"{path}: not the state of a run ({error}); remove it to start anew") from error
    if not same:
        raise DarkposeError(f"{folder} holds a run of another configuration; choose another folder or remove it")
    run.restore(state)
    log.forget_after(run.epoch)
    tqdm.write(f"going on after epoch {run.epoch} of {config.epochs}")


def _as_json(config: TrainConfig) -> str:
    return json.dumps(asdict(config), sort_keys=True)
