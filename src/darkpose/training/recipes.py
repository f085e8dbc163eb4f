"""Experiments as values: data, training, test protocol and the published row that they should give."""

import runpy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from darkpose.codec.heatmap import Method
from darkpose.datasets.catalogue import DATA_SETS, DataSet
from darkpose.errors import DarkposeError
from darkpose.network.hrnet import HRNetConfig
from darkpose.runtime.flip import FlipTest
from darkpose.training.augment import AugmentConfig
from darkpose.training.config import TrainConfig
from darkpose.training.initial_weights import IMAGENET, NOTHING
from darkpose.training.schedule import Cosine, Schedule, Steps


@dataclass(frozen=True)
class Protocol:
    """How a network is tested; the defaults are the published ones.

    Attributes:
        flip_test: "published": the mean with the mirrored crop, moved by one heatmap px.
        method: decoder of the heatmaps.
        kernel_size: of DARK's blur.
        batch_size: crops per forward pass.
    """

    flip_test: FlipTest = "published"
    method: Method = "dark"
    kernel_size: int = 11
    batch_size: int = 32


@dataclass(frozen=True)
class Recipe:
    """One experiment.

    Attributes:
        name: what the command line calls it.
        train_set: faces to train on.
        test_set: faces to validate on; the published recipes select on their test set, as their authors did.
        train: the run.
        test: the protocol.
        published: subset -> NME in per cent, as published with this set-up; "full" and "test" are the whole test set.
        checkpoint: name of the published weights, where there are any.
        start: what training starts from, see `start.start_from`.
        teacher: name or path of the checkpoint that teaches, where `train.teaching` asks for one.
    """

    name: str
    train_set: DataSet
    test_set: DataSet
    train: TrainConfig
    test: Protocol = Protocol()
    published: Mapping[str, float] = field(default_factory=dict)
    checkpoint: str = ""
    start: str = NOTHING
    teacher: str = ""


# HRNetV2-W18 and DARK for faces as published: 60 epochs of Adam at 2e-3, a tenth from epoch 40 and again from 55,
# linear warm-up over 500 iterations, 8 times 64 crops a step. Where there are fewer than 8 processes, gradients of
# several batches of 64 are accumulated, so that steps, rates and batch norm (over 64 crops) stay as they were.
PUBLISHED_TRAINING = TrainConfig(
    crop_size=256,
    sigma=2.0,
    unbiased=True,
    padding=1.25,
    batch_size=64,
    accumulate=8,
    epochs=60,
    schedule=Schedule(peak=2e-3, decay=Steps(epochs=(40, 55), factor=0.1), warmup=500, warmup_ratio=0.001),
    weight_decay=0.0,
    ema=0.0,
    augment=AugmentConfig(
        flip=0.5,
        scale_std=0.25,
        scale_limit=0.25,
        rotation_std=30.0,
        rotation_limit=60.0,
        rotation_probability=0.6,
        shift_std=0.0,
    ),
    precision="no",
    select="best-on-test-set",
)
PUBLISHED_TEST = Protocol(flip_test="published", method="dark", kernel_size=11, batch_size=32)

AFLW_DARK = Recipe(
    "aflw-dark",
    DATA_SETS["aflw-train"],
    DATA_SETS["aflw-full"],
    PUBLISHED_TRAINING,
    PUBLISHED_TEST,
    # First printed as 1.41 / 1.27, the row of the network without DARK; corrected later for the same file.
    published={"full": 1.34, "frontal": 1.20},
    checkpoint="aflw-hrnetv2-w18-dark",
    start=IMAGENET,
)
WFLW_DARK = Recipe(
    "wflw-dark",
    DATA_SETS["wflw-train"],
    DATA_SETS["wflw-test"],
    PUBLISHED_TRAINING,
    PUBLISHED_TEST,
    published={
        **{"test": 3.98, "pose": 6.99, "illumination": 3.96, "occlusion": 4.78},
        **{"blur": 4.57, "makeup": 3.87, "expression": 4.30},
    },
    checkpoint="wflw-hrnetv2-w18-dark",
    start=IMAGENET,
)
W300_DARK = replace(
    WFLW_DARK,
    name="300w-dark",
    train_set=DATA_SETS["300w-train"],
    test_set=DATA_SETS["300w-full"],
    published={},
    checkpoint="",
)
COFW_DARK = replace(W300_DARK, name="cofw-dark", train_set=DATA_SETS["cofw-train"], test_set=DATA_SETS["cofw-test"])

# darkpose's own, from nothing, in two stages that a CPU can bear: small crops first, then full size.
SMALL_FIRST = Recipe(
    "300w-128",
    DATA_SETS["300w-train"],
    DATA_SETS["300w-lfpw"],
    TrainConfig(
        crop_size=128,
        batch_size=16,
        epochs=24,
        schedule=Schedule(1e-3, Cosine(), warmup=200),
        augment=AugmentConfig(shift_std=0.05),
    ),
    Protocol(flip_test="off", batch_size=16),
)
FULL_SIZE = replace(
    SMALL_FIRST,
    name="300w-256",
    train=replace(
        SMALL_FIRST.train,
        crop_size=256,
        epochs=13,
        schedule=Schedule(8e-4, Cosine(), warmup=100),
        augment=AugmentConfig(shift_std=0.05, gamma_std=0.3, gain_std=0.12, grey=0.1),
    ),
)

# One network for three markups, from the full-size one: derived landmarks where a set has no annotated ones.
SEVERAL_MARKUPS = Recipe(
    "faces-300w",
    DATA_SETS["faces-300w"],
    DATA_SETS["faces-lfpw"],
    TrainConfig(
        crop_size=256,
        batch_size=16,
        epochs=12,
        schedule=Schedule(5e-4, Cosine(), warmup=100),
        ema=0.998,
        augment=AugmentConfig(
            rotation_std=35.0,
            rotation_limit=75.0,
            shift_std=0.05,
            gamma_std=0.3,
            gain_std=0.12,
            grey=0.1,
            patch=0.3,
            blur=0.2,
            noise=0.15,
            compress=0.15,
        ),
    ),
    Protocol(flip_test="off", batch_size=16),
)
SEVERAL_MARKUPS_LONGER = replace(
    SEVERAL_MARKUPS,
    name="faces-300w-longer",
    train=replace(SEVERAL_MARKUPS.train, epochs=8, schedule=Schedule(4e-4, Cosine(), warmup=100)),
)
SEVERAL_MARKUPS_WING = replace(
    SEVERAL_MARKUPS,
    name="faces-300w-wing",
    train=replace(
        SEVERAL_MARKUPS.train, loss="adaptive_wing", epochs=10, schedule=Schedule(4e-4, Cosine(), warmup=100)
    ),
)
SEVERAL_SETS = replace(
    SEVERAL_MARKUPS,
    name="faces",
    train_set=DATA_SETS["faces"],
    train=replace(SEVERAL_MARKUPS.train, loss="adaptive_wing", epochs=1),  # in which WFLW's faces come 24 times
)
# The same for a GPU, on which an epoch takes seconds: 64 crops a step, narrower targets.
SEVERAL_MARKUPS_GPU = replace(
    SEVERAL_MARKUPS_WING,
    name="faces-300w-gpu",
    train=replace(
        SEVERAL_MARKUPS_WING.train,
        sigma=1.5,
        batch_size=64,
        epochs=27,
        schedule=Schedule(1e-3, Cosine(), warmup=200),
        validate_every=10,
    ),
)
SEVERAL_SETS_GPU = replace(
    SEVERAL_SETS,
    name="faces-gpu",
    train=replace(
        SEVERAL_SETS.train, sigma=1.5, batch_size=64, epochs=2, schedule=Schedule(7e-4, Cosine(), warmup=100)
    ),
)

# And longer, which CUDA graphs (`--graphs`) make a matter of minutes.
SEVERAL_MARKUPS_LONG = replace(
    SEVERAL_MARKUPS_GPU,
    name="faces-300w-long",
    train=replace(SEVERAL_MARKUPS_GPU.train, epochs=66, ema=0.999, validate_every=100),
)

# A network of 1.9 GMAC (W18: 4.8): fewer exchange modules and blocks, half the stem. It learns small crops first, then
# at full size, half from the landmarks, half from the heatmaps of the large network.
SMALL_SHAPE = HRNetConfig(keypoints=1, modules=(1, 2, 2), blocks=2, stem=32)
SMALL_NETWORK_FIRST = replace(
    SEVERAL_MARKUPS,
    name="small-128",
    train=replace(
        SEVERAL_MARKUPS.train,
        network=SMALL_SHAPE,
        crop_size=128,
        epochs=24,
        schedule=Schedule(1e-3, Cosine(), warmup=200),
        augment=SMALL_FIRST.train.augment,
    ),
)
SMALL_NETWORK = replace(
    SEVERAL_MARKUPS,
    name="small",
    train=replace(
        SEVERAL_MARKUPS.train,
        network=SMALL_SHAPE,
        epochs=16,
        schedule=Schedule(8e-4, Cosine(), warmup=100),
        teaching=0.5,
    ),
    teacher="300w-hrnetv2-w18-dark",
)

RECIPES = {
    recipe.name: recipe
    for recipe in (
        *(AFLW_DARK, WFLW_DARK, W300_DARK, COFW_DARK),
        *(SMALL_FIRST, FULL_SIZE, SEVERAL_MARKUPS, SEVERAL_MARKUPS_LONGER),
        *(SEVERAL_MARKUPS_WING, SEVERAL_SETS, SEVERAL_MARKUPS_GPU, SEVERAL_SETS_GPU),
        *(SEVERAL_MARKUPS_LONG, SMALL_NETWORK_FIRST, SMALL_NETWORK),
    )
}


def find_recipe(name_or_path: str) -> Recipe:
    """A recipe by its name, or the value `recipe` of a Python file, which is run to have it.

    Raises:
        DarkposeError: there is no such name or file, or the file has no such value.
    """
    if name_or_path in RECIPES:
        return RECIPES[name_or_path]
    path = Path(name_or_path)
    if path.suffix != ".py" or not path.is_file():
        raise DarkposeError(f"there is no recipe or Python file {name_or_path!r}; the recipes are {', '.join(RECIPES)}")
    try:
        recipe = runpy.run_path(str(path)).get("recipe")
    except (Exception, SystemExit) as error:  # whatever is wrong with the user's file
        raise DarkposeError(f"{path}: cannot be run ({type(error).__name__}: {error})") from error
    if not isinstance(recipe, Recipe):
        raise DarkposeError(
            f"{path}: expected a value named recipe, a darkpose.training.recipes.Recipe, got {recipe!r}"
        )
    return recipe


def find_test(name_or_path: str) -> Recipe:
    """What to evaluate: a recipe, as `find_recipe` finds it, or a data set by its name, tested as published.

    Raises:
        DarkposeError: there is no such recipe, data set or file.
    """
    if name_or_path in DATA_SETS and name_or_path not in RECIPES:
        data_set = DATA_SETS[name_or_path]
        return Recipe(name_or_path, data_set, data_set, PUBLISHED_TRAINING, PUBLISHED_TEST, _published(data_set))
    if name_or_path not in RECIPES and not name_or_path.endswith(".py"):
        known = ", ".join((*RECIPES, *DATA_SETS))
        raise DarkposeError(f"there is no recipe, data set or Python file {name_or_path!r}; the names are {known}")
    return find_recipe(name_or_path)


def _published(data_set: DataSet) -> dict[str, float]:
    """The published numbers of a whole test set, or the one of a data set that is itself a published subset."""
    for recipe in (AFLW_DARK, WFLW_DARK):
        if recipe.test_set.name == data_set.name:
            return dict(recipe.published)
    subset = data_set.name.rpartition("-")[2]
    known = [r.published for r in (AFLW_DARK, WFLW_DARK) if r.test_set.schema is data_set.schema]
    numbers = [row[subset] for row in known if subset in row and subset in data_set.published]
    return {subset: numbers[0]} if numbers else {}


def recipe_of_test_set(data_set: str) -> Recipe:
    """The recipe whose published row is of a data set, or else the data set itself, tested as published.

    Raises:
        DarkposeError: there is no such data set.
    """
    for recipe in RECIPES.values():
        if recipe.test_set.name == data_set and recipe.published:
            return recipe
    if data_set not in DATA_SETS:
        raise DarkposeError(f"there is no data set {data_set!r}; the names are {', '.join(DATA_SETS)}")
    return find_test(data_set)
