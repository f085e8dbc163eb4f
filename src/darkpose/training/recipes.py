"""Training recipes: training set, settings of the run, and the benchmark that they are for."""

from dataclasses import dataclass, replace
from pathlib import Path

from darkpose.datasets.catalogue import DATA_SETS, DataSet
from darkpose.errors import DarkposeError
from darkpose.evaluation.benchmarks import BENCHMARKS, Benchmark, read_recipe_file
from darkpose.training.augment import AugmentConfig
from darkpose.training.config import TrainConfig
from darkpose.training.initial_weights import IMAGENET, NOTHING
from darkpose.training.schedule import Cosine, Schedule, Steps
from darkpose.weights.checkpoint import HRNetConfig


@dataclass(frozen=True)
class Recipe:
    """One experiment.

    Attributes:
        name: name on the command line.
        train_set: faces to train on.
        benchmark: test set and protocol of the validation; the published recipes select on their test set, as their
            authors did.
        train: settings of the run.
        start: initial weights, see `initial_weights.initial_model`.
        teacher: name or path of the teacher's checkpoint, if `train.teaching` needs one.

    Raises:
        DarkposeError: a part is of another type.
    """

    name: str
    train_set: DataSet
    benchmark: Benchmark
    train: TrainConfig
    start: str = NOTHING
    teacher: str = ""

    def __post_init__(self) -> None:
        parts = {"train_set": DataSet, "benchmark": Benchmark, "train": TrainConfig}
        for name, kind in parts.items():
            value = getattr(self, name)
            if not isinstance(value, kind):
                expected, got = kind.__name__, type(value).__name__
                raise DarkposeError(f"recipe {self.name}: {name} must be a {expected}, got a {got}")


# HRNetV2-W18 and DARK for faces as published: 60 epochs of Adam at 2e-3, a tenth from epoch 40 and again from 55,
# linear warm-up over 500 iterations, 8 times 64 crops a step. With fewer than 8 processes, gradients of several batches
# of 64 are accumulated, so that steps, learning rates and batch norm (over 64 crops) are the same.
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

AFLW_DARK = Recipe("aflw-dark", DATA_SETS["aflw-train"], BENCHMARKS["aflw-dark"], PUBLISHED_TRAINING, IMAGENET)
WFLW_DARK = Recipe("wflw-dark", DATA_SETS["wflw-train"], BENCHMARKS["wflw-dark"], PUBLISHED_TRAINING, IMAGENET)
W300_DARK = Recipe("300w-dark", DATA_SETS["300w-train"], BENCHMARKS["300w-dark"], PUBLISHED_TRAINING, IMAGENET)
COFW_DARK = Recipe("cofw-dark", DATA_SETS["cofw-train"], BENCHMARKS["cofw-dark"], PUBLISHED_TRAINING, IMAGENET)

# darkpose's own, without initial weights, in two stages that are feasible on a CPU: small crops, then full size.
W300_128 = Recipe(
    "300w-128",
    DATA_SETS["300w-train"],
    BENCHMARKS["300w-128"],
    TrainConfig(
        crop_size=128,
        batch_size=16,
        epochs=24,
        schedule=Schedule(1e-3, Cosine(), warmup=200),
        augment=AugmentConfig(shift_std=0.05),
    ),
)
W300_256 = replace(
    W300_128,
    name="300w-256",
    benchmark=BENCHMARKS["300w-256"],
    train=replace(
        W300_128.train,
        crop_size=256,
        epochs=13,
        schedule=Schedule(8e-4, Cosine(), warmup=100),
        augment=AugmentConfig(shift_std=0.05, gamma_std=0.3, gain_std=0.12, grey=0.1),
    ),
)

# One network for three schemas, from the full-size one; missing landmarks of a data set are derived.
FACES_300W = Recipe(
    "faces-300w",
    DATA_SETS["faces-300w"],
    BENCHMARKS["faces-300w"],
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
)
FACES_300W_LONGER = replace(
    FACES_300W,
    name="faces-300w-longer",
    benchmark=BENCHMARKS["faces-300w-longer"],
    train=replace(FACES_300W.train, epochs=8, schedule=Schedule(4e-4, Cosine(), warmup=100)),
)
FACES_300W_WING = replace(
    FACES_300W,
    name="faces-300w-wing",
    benchmark=BENCHMARKS["faces-300w-wing"],
    train=replace(FACES_300W.train, loss="adaptive_wing", epochs=10, schedule=Schedule(4e-4, Cosine(), warmup=100)),
)
FACES = replace(
    FACES_300W,
    name="faces",
    benchmark=BENCHMARKS["faces"],
    train_set=DATA_SETS["faces"],
    train=replace(FACES_300W.train, loss="adaptive_wing", epochs=1),  # with WFLW's faces 24 times
)
# The same for a GPU, on which an epoch takes seconds: 64 crops a step, narrower targets.
FACES_300W_GPU = replace(
    FACES_300W_WING,
    name="faces-300w-gpu",
    benchmark=BENCHMARKS["faces-300w-gpu"],
    train=replace(
        FACES_300W_WING.train,
        sigma=1.5,
        batch_size=64,
        epochs=27,
        schedule=Schedule(1e-3, Cosine(), warmup=200),
        validate_every=10,
    ),
)
FACES_GPU = replace(
    FACES,
    name="faces-gpu",
    benchmark=BENCHMARKS["faces-gpu"],
    train=replace(FACES.train, sigma=1.5, batch_size=64, epochs=2, schedule=Schedule(7e-4, Cosine(), warmup=100)),
)

# The same for longer, which takes minutes with CUDA graphs.
FACES_300W_LONG = replace(
    FACES_300W_GPU,
    name="faces-300w-long",
    benchmark=BENCHMARKS["faces-300w-long"],
    train=replace(FACES_300W_GPU.train, epochs=66, ema=0.999, validate_every=100),
)

# With faces in large poses, from the weights of faces-300w-long; on a CPU.
POSES = replace(
    FACES_300W_WING,
    name="poses",
    benchmark=BENCHMARKS["poses"],
    train_set=DATA_SETS["poses"],
    train=replace(
        FACES_300W_WING.train,
        sigma=1.5,
        batch_size=32,
        epochs=3,
        schedule=Schedule(3e-4, Cosine(), warmup=60),
        ema=0.997,
    ),
)

# A network of 1.9 GMAC (W18: 4.8): fewer exchange modules and blocks, half the stem. It is trained on small crops, then
# at full size, half on the landmarks and half on the heatmaps of the large network.
SMALL_SHAPE = HRNetConfig(keypoints=1, modules=(1, 2, 2), blocks=2, stem=32)
SMALL_128 = replace(
    FACES_300W,
    name="small-128",
    benchmark=BENCHMARKS["small-128"],
    train=replace(
        FACES_300W.train,
        network=SMALL_SHAPE,
        crop_size=128,
        epochs=24,
        schedule=Schedule(1e-3, Cosine(), warmup=200),
        augment=W300_128.train.augment,
    ),
)
SMALL = replace(
    FACES_300W,
    name="small",
    benchmark=BENCHMARKS["small"],
    train=replace(
        FACES_300W.train,
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
        *(W300_128, W300_256, FACES_300W, FACES_300W_LONGER),
        *(FACES_300W_WING, FACES, FACES_300W_GPU, FACES_GPU),
        *(FACES_300W_LONG, POSES, SMALL_128, SMALL),
    )
}


def on_test_faces(recipe: Recipe) -> Recipe:
    """A recipe with WFLW's test faces in place of its training faces.

    Raises:
        DarkposeError: it does not train on the data set `faces`.
    """
    test_faces = DATA_SETS.get(f"{recipe.train_set.name}-wflw-test")
    if test_faces is None:
        raise DarkposeError(f"the recipe {recipe.name} does not train on faces of WFLW")
    return replace(recipe, train_set=test_faces)


def find_recipe(name_or_path: str) -> Recipe:
    """A recipe by its name, or the value `recipe` of a Python file, which is run.

    Raises:
        DarkposeError: there is no such name or file, or the file has no such value.
    """
    if name_or_path in RECIPES:
        return RECIPES[name_or_path]
    path = Path(name_or_path)
    if path.suffix != ".py" or not path.is_file():
        raise DarkposeError(f"there is no recipe or Python file {name_or_path!r}; the recipes are {', '.join(RECIPES)}")
    recipe = read_recipe_file(path)
    if not isinstance(recipe, Recipe):
        raise DarkposeError(
            f"{path}: expected a value named recipe, a darkpose.training.recipes.Recipe, got {recipe!r}"
        )
    return recipe
