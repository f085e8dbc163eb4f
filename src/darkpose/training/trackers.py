"""Trackers in addition to the log of a run: TensorBoard and Weights & Biases, through Accelerate."""

from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from typing import TYPE_CHECKING

from darkpose.errors import DarkposeError
from darkpose.training.config import TrainConfig

if TYPE_CHECKING:
    from accelerate import Accelerator

TRACKERS = ("tensorboard", "wandb")


def check_trackers(names: Sequence[str]) -> None:
    """Refuse trackers that cannot be used.

    Raises:
        DarkposeError: one is unknown or not installed.
    """
    for name in names:
        if name not in TRACKERS:
            raise DarkposeError(f"there is no tracker {name!r}; the trackers are {', '.join(TRACKERS)}")
        if find_spec(name) is None:
            raise DarkposeError(f"the tracker {name} is not installed: pip install {name}")


def start_trackers(accelerator: "Accelerator", names: Sequence[str], config: TrainConfig) -> None:
    """Start to track a run: its settings as text, then the values passed to `accelerator.log`."""
    if names:
        accelerator.init_trackers("darkpose", {name: str(value) for name, value in asdict(config).items()})
