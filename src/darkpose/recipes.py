"""Training runs as values."""

from dataclasses import replace

from darkpose.augment import AugmentConfig
from darkpose.schedule import Cosine, Schedule, Steps
from darkpose.train import TrainConfig

# The published set-up of DARK on HRNetV2-W18 for faces (8 processes of 64 crops, Adam, fixed steps, ImageNet weights).
PUBLISHED = TrainConfig(
    batch_size=64,
    epochs=60,
    schedule=Schedule(2e-3, Steps((40, 55), 0.1), warmup=500),
    weight_decay=0.0,
    ema=0.0,
    augment=AugmentConfig(),
    precision="no",
)

# darkpose's own, from nothing, in two stages that a CPU can bear: small crops first, then full size.
SMALL_FIRST = TrainConfig(
    crop_size=128,
    batch_size=16,
    epochs=24,
    schedule=Schedule(1e-3, Cosine(), warmup=200),
    augment=AugmentConfig(shift_std=0.05),
)
FULL_SIZE = replace(
    SMALL_FIRST,
    crop_size=256,
    epochs=13,
    schedule=Schedule(8e-4, Cosine(), warmup=100),
    augment=AugmentConfig(shift_std=0.05, gamma_std=0.3, gain_std=0.12, grey=0.1),
)


RECIPES = {"300w-published": PUBLISHED, "300w-128": SMALL_FIRST, "300w-256": FULL_SIZE}
