"""What a training run is made of, as a value: a checkpoint carries it."""

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from darkpose.errors import DarkposeError
from darkpose.image.geometry import PADDING
from darkpose.schema import KeypointSchema
from darkpose.training.augment import AugmentConfig
from darkpose.training.schedule import Cosine, Schedule
from darkpose.weights.checkpoint import W18, HRNetConfig

Select = Literal["last", "best", "best-on-test-set"]


@dataclass(frozen=True)
class TrainConfig:
    """One training run; the defaults are darkpose's, `recipes` holds the published ones.

    Attributes:
        network: shape of the network; it has as many heatmaps as the markup has landmarks, whatever is written here.
        crop_size: side of the crop in crop px, a multiple of 32.
        sigma, unbiased: of the target heatmaps, in heatmap px.
        loss: "mse", or "adaptive_wing" (see `adaptive_wing`).
        teaching: share of the loss that is the mean squared error against a teacher's heatmaps of the same crops
            (Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015); 0: there is no teacher.
        batch_size: crops per forward pass and process; batch norm sees these.
        accumulate: forward passes per optimizer step, shared among the processes; the gradient is that of all their
            crops together.
        epochs: passes over the data.
        schedule: learning rate by iteration.
        weight_decay: decoupled (AdamW); 0 is plain Adam.
        ema: decay of the averaged weights that are validated and kept (reached by a warm-up); 0: no average.
        augment: random crops.
        padding: side of the crop over side of the box.
        precision: "no", "bf16" or (on a GPU) "fp16" autocast.
        select: which epoch's weights are kept: "last"; "best", with the lowest NME on held-out training faces; or, as
            the published recipes do, "best-on-test-set", whose NME is then no longer the error on unseen faces.
        held_out: share of the training images that is not trained on but validated on; 0: the test set is validated on.
        patience: epochs without a lower NME on held-out faces after which training ends; 0: never.
        validate_every: epochs from one validation to the next; the last is always validated.
        seed: of initialisation, order and draws.

    Raises:
        DarkposeError: a value is out of range, "best" or `patience` lack held-out faces, "best-on-test-set" has some.
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
    validate_every: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.crop_size < 32 or self.crop_size % 32:
            raise DarkposeError(f"crop_size must be a positive multiple of 32, got {self.crop_size}")
        numbers = (self.batch_size, self.accumulate, self.epochs, self.validate_every)
        if min(numbers) < 1:
            raise DarkposeError(f"batch_size, accumulate, epochs, validate_every must be at least 1, got {numbers}")
        if not 0 <= self.teaching <= 1:
            raise DarkposeError(f"teaching is a share of the loss, from 0 to 1, got {self.teaching}")
        if self.patience < 0:
            raise DarkposeError(f"patience is a number of epochs, at least 0, got {self.patience}")
        if not 0 <= self.held_out < 1:
            raise DarkposeError(f"held_out is a share of the training images, from 0 to below 1, got {self.held_out}")
        if self.held_out and self.select == "best-on-test-set":
            raise DarkposeError(
                f'select="best-on-test-set" needs the test set, but held_out is {self.held_out}; '
                'select="best" keeps the epoch that is best on held-out faces'
            )
        if not self.held_out and (self.select == "best" or self.patience):
            what = f"stopping after {self.patience} epochs" if self.patience else 'select="best"'
            raise DarkposeError(
                f"{what} needs held-out training images (held_out above 0): the test set is not selected on, unless "
                'select="best-on-test-set" says so'
            )

    def validates_after(self, epoch: int) -> bool:
        """Whether so many epochs are followed by a validation."""
        return epoch % self.validate_every == 0 or epoch == self.epochs

    def network_for(self, schema: KeypointSchema) -> HRNetConfig:
        """The network that learns a markup."""
        return replace(self.network, keypoints=len(schema))

    def to_json(self) -> str:
        """The values as text: equal for equal runs."""
        return json.dumps(asdict(self), sort_keys=True)
