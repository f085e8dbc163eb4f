"""Names of weights: those in the package, the published ones, and paths of files."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from darkpose.errors import DarkposeError
from darkpose.files.download import cache_folder, fetch
from darkpose.files.paths import exists, is_file, is_folder
from darkpose.schema import AFLW_19, WFLW_98, KeypointSchema

DEFAULT = "default"
# The checkpoints in the package. Only the second was trained on faces of WFLW, too; the third is a smaller network,
# distilled from the first.
W300_ONLY, FACES, SMALL = "300w-hrnetv2-w18-dark", "faces-hrnetv2-w18-dark", "300w-small-dark"
SHIPPED = (W300_ONLY, FACES, SMALL)


@dataclass(frozen=True)
class ZooModel:
    """A published checkpoint.

    Attributes:
        name: in darkpose.
        url: of the published file.
        sha256_prefix: first hex digits of its SHA-256.
        schema: of its landmarks.
        terms: of use, and the training data.
        published: subset of its test set -> published NME in per cent; "full" and "test" are the whole set.
    """

    name: str
    url: str
    sha256_prefix: str
    schema: KeypointSchema
    terms: str
    published: Mapping[str, float]


# Sources: MMPose 0.x, configs/face/2d_kpt_sview_rgb_img/topdown_heatmap/{aflw,wflw}; the file names carry the hashes.
_FOLDER = "https://download.openmmlab.com/mmpose/face/darkpose/"
_TERMS = "published with MMPose (Apache-2.0); trained on {}, whose terms (research) may bind its users"
ZOO = {
    model.name: model
    for model in (
        ZooModel(
            "aflw-hrnetv2-w18-dark",
            _FOLDER + "hrnetv2_w18_aflw_256x256_dark-219606c0_20210125.pth",
            "219606c0",
            AFLW_19,
            _TERMS.format("AFLW"),
            # First printed as 1.41 / 1.27, the row of the network without DARK; corrected later for the same file.
            {"full": 1.34, "frontal": 1.20},
        ),
        ZooModel(
            "wflw-hrnetv2-w18-dark",
            _FOLDER + "hrnetv2_w18_wflw_256x256_dark-3f8e0c2c_20210125.pth",
            "3f8e0c2c",
            WFLW_98,
            _TERMS.format("WFLW"),
            {
                **{"test": 3.98, "pose": 6.99, "illumination": 3.96, "occlusion": 4.78},
                **{"blur": 4.57, "makeup": 3.87, "expression": 4.30},
            },
        ),
    )
}
PICKLED = (".pth", ".pt", ".ckpt", ".tar")
ENDINGS = (".safetensors", *PICKLED)
KEPT = "weights.safetensors"  # in the folder of a training run


def weights_file(path_or_name: str | Path, schema: str | None = None) -> Path:
    """The file of weights, downloaded if it is a published checkpoint that is not here yet.

    Args:
        path_or_name: a name in `SHIPPED` (in the package) or in `ZOO` (downloaded once); "default", the shipped weights
            with the lowest error for `schema`; or the path of a `.safetensors`, `.pth`, `.pt`, `.ckpt` or `.tar` file,
            or of the folder of a training run.
        schema: name of the schema asked for; None: the first one that the weights know.

    Raises:
        DarkposeError: there is no such file or name, or it cannot be downloaded.
    """
    name = resolve_name(path_or_name, schema)
    if name in SHIPPED:
        return shipped_file(name)
    if name in ZOO:
        return fetch(ZOO[name].url, downloaded_file(ZOO[name]), sha256_prefix=ZOO[name].sha256_prefix)
    path = Path(path_or_name)
    if is_folder(path):
        kept = path / KEPT
        if not is_file(kept):
            raise DarkposeError(f"{path}: expected a checkpoint file, or the folder of a training run with {KEPT}")
        return kept
    if not exists(path):
        names = ", ".join((DEFAULT, *SHIPPED, *ZOO))
        raise DarkposeError(f"{path}: there is no such file, and no model with that name; the names are {names}")
    if path.suffix not in ENDINGS:
        raise DarkposeError(
            f"{path}: expected a checkpoint that ends in one of {', '.join(ENDINGS)}, got {path.suffix!r}"
        )
    return path


def resolve_name(path_or_name: str | Path, schema: str | None) -> str:
    """A path or name as text; "default" becomes the name of the shipped weights for `schema`."""
    return default_for(schema) if str(path_or_name) == DEFAULT else str(path_or_name)


def default_for(schema: str | None) -> str:
    """Name of the shipped weights with the lowest error for a schema."""
    return FACES if schema == WFLW_98.name else W300_ONLY


def downloaded_file(model: ZooModel) -> Path:
    """Path of a published checkpoint in the cache folder, downloaded or not."""
    return cache_folder() / model.url.rpartition("/")[2]


def shipped_file(name: str) -> Path:
    """Path of a checkpoint in the package.

    Raises:
        DarkposeError: the file is missing.
    """
    file = Path(str(files("darkpose") / "weights" / "shipped" / f"{name}.safetensors"))
    if not file.is_file():
        raise DarkposeError(f"{file}: a file of the package is missing; install darkpose again, or name a checkpoint")
    return file


def is_shipped(file: Path) -> bool:
    """Whether a file is a checkpoint in the package; the graphs of its networks are there, too."""
    return file.stem in SHIPPED and file == shipped_file(file.stem)
