"""What a training run is made of, and its file `state.pt`: all that a killed run needs to go on, bit for bit."""

import io
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn
from tqdm import tqdm

from darkpose.errors import DarkposeError
from darkpose.files.atomic import write_atomically
from darkpose.network.hrnet import HRNet, compile_blocks, initialise
from darkpose.training.average import WeightAverage
from darkpose.training.config import TrainConfig
from darkpose.training.gpu.cuda_graphs import replay_passes
from darkpose.weights.checkpoint import HRNetConfig

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass
class Run:
    """A run between two steps.

    Attributes:
        accelerator: devices and processes.
        model: the network as it is trained (wrapped, over several processes).
        average: its average, if there is one.
        optimizer: of the network.
        teacher: a network whose heatmaps are learnt, too, if there is one; it does not change.
        epoch, step: where the run is: this many whole epochs, and steps of the next.
        best: lowest validation NME so far; inf if none.
        stale: epochs since then.
        unreadable: how many times an image could not be read.
    """

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
    def bare(self) -> nn.Module:
        """The network itself."""
        return cast(nn.Module, self.accelerator.unwrap_model(self.model))

    @property
    def kept(self) -> HRNet:
        """The network that is validated and kept: the averaged one, if there is one."""
        return cast(HRNet, self.average.module if self.average is not None else self.bare)

    def state(self) -> dict[str, Any]:
        """Everything that changes from step to step."""
        scaler = self.accelerator.scaler
        return {
            "model": self.bare.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
            "place": [self.epoch, self.step, self.stale, self.unreadable],
            "best": self.best,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.bare.load_state_dict(state["model"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.epoch, self.step, self.stale, self.unreadable = state["place"]
        self.best = state["best"]


def start_run(
    config: TrainConfig,
    network: HRNetConfig,
    accelerator: "Accelerator",
    start: HRNet | None,
    *,
    teacher: HRNet | None = None,
    compiled: bool = False,
    graphs: bool = False,
) -> Run:
    """A run before its first step: from `start`, or from He initialisation.

    Raises:
        DarkposeError: CUDA graphs are asked for without a GPU, of several processes, or of compiled blocks.
    """
    if graphs and compiled:
        raise DarkposeError("CUDA graphs of compiled blocks are not known to work; take one of the two")
    if graphs and (accelerator.device.type != "cuda" or accelerator.num_processes > 1):
        what = f"{accelerator.num_processes} on {accelerator.device.type}"
        raise DarkposeError(f"CUDA graphs are for one process on a GPU, this is {what}; leave them out")
    model = HRNet(network)
    if start is None:
        initialise(model, seed=config.seed)
    else:
        model.load_state_dict(start.state_dict())
    model = model.to(accelerator.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = WeightAverage(model, config.ema) if config.ema else None
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, weight_decay=config.weight_decay, fused=True)
    if compiled:
        compile_blocks(model)
    prepared, optimizer = accelerator.prepare(model, optimizer)
    if graphs:
        replay_passes(prepared, summed=config.accumulate > 1)
    if teacher is not None:
        teacher = teacher.to(accelerator.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Run(accelerator, prepared, average, optimizer, teacher)


class StateFile:
    """The file that a run is saved to and resumed from.

    Attributes:
        path: of the file.
        every: seconds between two saves within an epoch.
        faces: what the run learns, in words: a state of other faces is not taken over.
        origin: what it starts from and is validated on, in words, likewise.
    """

    def __init__(self, path: Path, config: TrainConfig, faces: str, every: float, origin: str = "") -> None:
        self.path, self.every, self._config, self._faces = path, every, config.to_json(), faces
        self._origin = origin
        self._saved = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time to save."""
        return time.monotonic() - self._saved >= self.every

    def save(self, run: Run) -> None:
        """Replace the state in one rename: a kill leaves the old state or the new one, never half of one.

        Raises:
            DarkposeError: the file cannot be written, or the weights are not finite; the old state stays.
        """
        self._saved = time.monotonic()  # a failed save is tried again when the next is due
        self.check(run)
        state = {"config": self._config, "faces": self._faces, "origin": self._origin, **run.state()}
        data = io.BytesIO()  # torch's own writing to a file hides why the disk refuses
        torch.save(state, data)
        write_atomically(self.path, lambda temporary: temporary.write_bytes(data.getbuffer()))

    def check(self, run: Run) -> None:
        """Whether a run is worth keeping.

        Raises:
            DarkposeError: the weights are not finite.
        """
        tensors = (*run.bare.state_dict().values(), *run.kept.state_dict().values())
        if not _are_finite([tensor for tensor in tensors if tensor.is_floating_point()]):
            raise DarkposeError(f"the weights are no longer finite; {self.path} stays as it was before")

    def save_or_warn(self, run: Run) -> None:
        """Save in the middle of an epoch: on a full disk the run goes on with the old state, and tries again later."""
        try:
            self.save(run)
        except DarkposeError as error:
            if not isinstance(error.__cause__, OSError):
                raise
            tqdm.write(f"{error}; training goes on, the state before stays, saving is tried again", file=sys.stderr)

    def resume(self, run: Run) -> bool:
        """Take a saved state over, if there is one.

        Raises:
            DarkposeError: the file is damaged, or of another configuration or other faces.
        """
        if not self.path.exists():
            return False
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            same, faces = state["config"] == self._config, state["faces"]
            origin = state.get("origin", self._origin)  # the first states do not say
        except Exception as error:  # a damaged pickle can fail in any way
            raise DarkposeError(f"{self.path}: not the state of a run ({error}); remove it to start anew") from error
        if not same:
            folder = self.path.parent
            raise DarkposeError(f"{folder} holds a run of another configuration; choose another folder or remove it")
        if faces != self._faces:
            raise DarkposeError(f"{self.path} is of {faces}; this run is of {self._faces}; choose another folder")
        if origin != self._origin:
            raise DarkposeError(f"{self.path} is of a run {origin}; this one is {self._origin}; choose another folder")
        run.restore(state)
        return True


def _are_finite(tensors: Sequence[torch.Tensor]) -> bool:
    norms = torch.stack(torch._foreach_norm([tensor.detach() for tensor in tensors]))
    return bool(torch.isfinite(norms).all())
