"""A training run: devices, network, average, optimizer and progress."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from darkpose.errors import DarkposeError
from darkpose.network.hrnet import HRNet, compile_blocks, initialise
from darkpose.schema import KeypointSchema
from darkpose.training.average import WeightAverage
from darkpose.training.config import DEFAULT_OPTIONS, RunOptions, TrainConfig
from darkpose.training.epoch_steps import EpochSteps
from darkpose.training.gpu.cuda_graphs import replay_passes

if TYPE_CHECKING:
    from accelerate import Accelerator

COARSEST_STRIDE = 32  # crop px per px of the coarsest maps of the network
_PROCESS_TIMEOUT = timedelta(hours=3)  # of processes that wait while the main one validates or cuts crops


@dataclass
class Run:
    """A run between two steps.

    Attributes:
        config: the run's settings.
        accelerator: devices and processes.
        model: the network in training (wrapped, if there are several processes).
        average: its average, if there is one.
        optimizer: of the network.
        teacher: a network whose heatmaps are also trained on, if there is one; it does not change.
        epoch, step: progress: whole epochs, and steps of the next.
        best: lowest validation NME so far; inf if none.
        stale: epochs since then.
        unreadable: how many times an image could not be read.
    """

    config: TrainConfig
    accelerator: "Accelerator"
    model: nn.Module
    average: WeightAverage | None
    optimizer: torch.optim.Optimizer
    teacher: HRNet | None = None
    epoch: int = 0
    step: int = 0
    best: float = float("inf")
    stale: int = 0
    unreadable: int = 0

    @property
    def network(self) -> nn.Module:
        """The network in training, without a wrapper."""
        return cast(nn.Module, self.accelerator.unwrap_model(self.model))

    @property
    def result(self) -> HRNet:
        """The network that is validated and kept: the average, if there is one."""
        return cast(HRNet, self.average.module if self.average is not None else self.network)

    def epoch_steps(self, faces: int, ahead: int = 0) -> EpochSteps:
        """The remaining steps of the current epoch (`ahead` = 0), or the steps of a later one.

        Raises:
            DarkposeError: a batch of crops of 32 px would have one face.
        """
        order = EpochSteps(
            faces,
            self.config.batch_size,
            self.config.accumulate,
            seed=self.config.seed,
            epoch=self.epoch + ahead,
            first=0 if ahead else self.step,
            process=self.accelerator.process_index,
            processes=self.accelerator.num_processes,
        )
        _check_batches(order, faces, self.config)
        return order

    def state(self) -> dict[str, Any]:
        """Everything that changes from step to step."""
        scaler = self.accelerator.scaler
        return {
            "model": self.network.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
            "place": [self.epoch, self.step, self.stale, self.unreadable],
            "best": self.best,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a state."""
        self.network.load_state_dict(state["model"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.epoch, self.step, self.stale, self.unreadable = state["place"]
        self.best = state["best"]


def _check_batches(order: EpochSteps, faces: int, config: TrainConfig) -> None:
    """Refuse a batch of one face whose crop is a single pixel in the coarsest maps: batch norm needs two values.

    Batches are not made larger instead: the faces of every step would no longer be those of other crop sizes.

    Raises:
        DarkposeError: there is one.
    """
    smallest = min(len(batch) for step in {0, order.steps - 1} for batch in order.micro_batches(step))
    if smallest == 1 and config.crop_size == COARSEST_STRIDE:
        raise DarkposeError(
            f"crops of {config.crop_size} px need at least two faces in every batch, but {faces} faces in batches of "
            f"{config.batch_size} leave one alone; choose another batch_size, or crops of {2 * COARSEST_STRIDE} px"
        )


def start_run(
    config: TrainConfig,
    schema: KeypointSchema,
    folder: Path | None = None,
    *,
    initial: HRNet | None = None,
    teacher: HRNet | None = None,
    options: RunOptions = DEFAULT_OPTIONS,
) -> Run:
    """A run before its first step; this also seeds the random numbers of the process.

    Args:
        config: the run's settings.
        schema: landmarks to train on.
        folder: of the run, for trackers.
        initial: initial weights; None: He initialisation.
        teacher: the network whose heatmaps are also trained on.
        options: `compiled`, `graphs` and `track` are used.

    Raises:
        DarkposeError: accelerate is missing, the device does not support the precision, or CUDA graphs are not
            possible: they need a GPU, one process, and blocks that are not compiled.
    """
    accelerator = _make_accelerator(config, folder, options.track)
    if options.graphs and options.compiled:
        raise DarkposeError("CUDA graphs of compiled blocks are not supported; choose one of the two")
    if options.graphs and (accelerator.device.type != "cuda" or accelerator.num_processes > 1):
        found = f"{accelerator.num_processes} on {accelerator.device.type}"
        raise DarkposeError(f"CUDA graphs need one process on a GPU, got {found}; leave them out")
    model = HRNet(config.network_for(schema))
    if initial is None:
        initialise(model, seed=config.seed)
    else:
        model.load_state_dict(initial.state_dict())
    model = model.to(accelerator.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = WeightAverage(model, config.ema) if config.ema else None
    optimizer = torch.optim.AdamW(_parameters(model, config), lr=0.0, weight_decay=config.weight_decay, fused=True)
    if options.compiled:
        compile_blocks(model)
    prepared, optimizer = accelerator.prepare(model, optimizer)
    if options.graphs:
        replay_passes(prepared, accumulates=config.accumulate > 1)
    if teacher is not None:
        teacher = teacher.to(accelerator.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Run(config, accelerator, prepared, average, optimizer, teacher)


def _parameters(model: HRNet, config: TrainConfig) -> list[dict[str, Any]]:
    """The parameters of a network; with `config.frozen` in two groups, those of the head's last layer first."""
    if not config.frozen:
        return [{"params": list(model.parameters())}]
    last = list(model.head[-1].parameters())
    own = {id(parameter) for parameter in last}
    return [{"params": last}, {"params": [each for each in model.parameters() if id(each) not in own]}]


def _make_accelerator(config: TrainConfig, folder: Path | None, track: Sequence[str]) -> "Accelerator":
    """Devices, processes and precision of a run."""
    try:  # not at the top: recipes and checkpoints can be read without accelerate
        from accelerate import Accelerator
        from accelerate.utils import InitProcessGroupKwargs, set_seed
    except ModuleNotFoundError as error:
        raise DarkposeError("training needs accelerate: pip install 'darkpose[train]'") from error
    if config.precision == "fp16" and not torch.cuda.is_available():
        raise DarkposeError('precision "fp16" needs a GPU; "bf16" and "no" do not')
    accelerator = Accelerator(
        mixed_precision=config.precision,
        cpu=not torch.cuda.is_available(),
        log_with=list(track) or None,
        project_dir=folder,
        kwargs_handlers=[InitProcessGroupKwargs(timeout=_PROCESS_TIMEOUT)],
    )
    set_seed(config.seed)
    return accelerator
