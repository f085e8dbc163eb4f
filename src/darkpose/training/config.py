"""Settings of a training run: those that checkpoints and states record, and how the run is executed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from darkpose.errors import DarkposeError
from darkpose.files.json_text import format_json
from darkpose.image.geometry import PADDING
from darkpose.schema import KeypointSchema
from darkpose.training.augment import AugmentConfig
from darkpose.training.schedule import Cosine, Schedule
from darkpose.weights.checkpoint import W18, HRNetConfig

Select = Literal["last", "best", "best-on-test-set"]


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training run. The defaults are darkpose's; `recipes` has the published ones.

    Attributes:
        network: shape of the network; the number of heatmaps is that of the schema, whatever is set here.
        crop_size: side of the crop in crop px, a multiple of 32.
        sigma, unbiased: of the target heatmaps, in heatmap px.
        loss: "mse" or "adaptive_wing", see `losses`.
        teaching: share of the loss that is the mean squared error against a teacher's heatmaps of the same crops
            (Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015); 0: no teacher.
        batch_size: crops per forward pass and process; batch norm sees these.
        accumulate: forward passes per optimizer step, shared among the processes; the gradient is that of all their
            crops together.
        epochs: passes over the data.
        schedule: learning rate by iteration.
        weight_decay: decoupled (AdamW); 0 is plain Adam.
        ema: decay of the averaged weights that are validated and kept (reached after a warm-up); 0: no average.
        augment: random crops.
        padding: side of the crop divided by the longer side of the box.
        precision: "no", "bf16" or (on a GPU) "fp16" autocast.
        select: the epoch whose weights are kept: "last"; "best", with the lowest NME on held-out training faces; or, as
            in the published recipes, "best-on-test-set", whose NME is then no longer the error on unseen faces.
        held_out: share of the training images that is validated on instead of trained on; 0: the test set is validated
            on.
        patience: epochs without a lower NME on held-out faces after which training ends; 0: never.
        frozen: steps at the start in which only the last layer of the head learns.
        validate_every: epochs from one validation to the next; the last epoch is always validated.
        seed: of initial weights, order and random draws.

    Raises:
        DarkposeError: a value is out of range, "best" or `patience` is used without held-out faces, or
            "best-on-test-set" with them.
    """

    network: HRNetConfig = W18
    crop_size: int = 256
    sigma: float = 2.0
    unbiased: bool = True
    loss: Literal["mse", "adaptive_wing"] = "mse"
    teaching: float = 0.0
    batch_size: int = 16
    accumulate: int = 1
    epochs: int = 60
    schedule: Schedule = field(default_factory=lambda: Schedule(1e-3, Cosine(), warmup=200))
    weight_decay: float = 1e-4
    ema: float = 0.999
    augment: AugmentConfig = field(default_factory=lambda: AugmentConfig(shift_std=0.05))
    padding: float = PADDING
    precision: Literal["no", "bf16", "fp16"] = "bf16"
    select: Select = "last"
    held_out: float = 0.0
    patience: int = 0
    frozen: int = 0
    validate_every: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.crop_size < 32 or self.crop_size % 32:
            raise DarkposeError(f"crop_size must be a positive multiple of 32, got {self.crop_size}")
        numbers = (self.batch_size, self.accumulate, self.epochs, self.validate_every)
        if min(numbers) < 1:
            raise DarkposeError(f"batch_size, accumulate, epochs, validate_every must be at least 1, got {numbers}")
        if not 0 <= self.teaching <= 1:
            raise DarkposeError(f"teaching must be a share of the loss from 0 to 1, got {self.teaching}")
        if self.patience < 0 or self.frozen < 0:
            raise DarkposeError(f"patience and frozen must be at least 0, got {self.patience} and {self.frozen}")
        if not 0 <= self.held_out < 1:
            raise DarkposeError(
                f"held_out must be a share of the training images from 0 to below 1, got {self.held_out}"
            )
        if self.held_out and self.select == "best-on-test-set":
            raise DarkposeError(
                f'select="best-on-test-set" needs the test set, but held_out is {self.held_out}; '
                'select="best" keeps the epoch that is best on held-out faces'
            )
        if not self.held_out and (self.select == "best" or self.patience):
            what = f"stopping after {self.patience} epochs" if self.patience else 'select="best"'
            raise DarkposeError(
                f'{what} needs held-out training images (held_out above 0); only select="best-on-test-set" uses the '
                "test set"
            )

    def validates_after(self, epoch: int) -> bool:
        """Whether a validation follows this many epochs."""
        return epoch % self.validate_every == 0 or epoch == self.epochs

    def network_for(self, schema: KeypointSchema) -> HRNetConfig:
        """The network for a schema."""
        return replace(self.network, keypoints=len(schema))

    def to_json(self) -> str:
        """The settings as text; equal settings give equal text."""
        values = asdict(self)
        if not self.frozen:
            del values["frozen"]  # as the states of runs before there was the setting
        return format_json(values, sort_keys=True)


@dataclass(frozen=True)
class RunOptions:
    """How a run is executed. Steps and faces are the same whatever these are.

    Attributes:
        cache: folder for the faces' crops, cut once (see `crop_cache`); on a GPU, augmentation then runs there, with
            crops that stay in its memory if they fit. None: image files are read for every crop.
        uncompressed: store those crops as pixels instead of JPEGs: more space, no decoding.
        workers: loader processes.
        save_every: seconds between two saves of the state within an epoch.
        max_time: seconds after which the run stops; None: no limit.
        track: trackers in addition to the log: "tensorboard", "wandb".
        compiled: compile the network's blocks with torch.
        graphs: replay the network's passes as CUDA graphs; needs one process on a GPU, without `compiled`.
    """

    cache: Path | None = None
    uncompressed: bool = False
    workers: int = 1
    save_every: float = 300.0
    max_time: float | None = None
    track: Sequence[str] = ()
    compiled: bool = False
    graphs: bool = False


DEFAULT_OPTIONS = RunOptions()
