"""Checkpoints by path or by name: darkpose's own, published ones, and files of other projects."""

from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from darkpose.errors import DarkposeError
from darkpose.files.download import cache_folder, fetch
from darkpose.network.foreign import read_pth
from darkpose.network.heads import with_rows
from darkpose.schema import AFLW_19, WFLW_98, KeypointSchema
from darkpose.weights.checkpoint import Checkpoint, check_markup, read_safetensors, save_checkpoint

DEFAULT = "default"
# The checkpoints in the package, by the file's name. Only the second has learnt from faces of WFLW; the third is a
# smaller network, taught by the first.
W300_ONLY, FACES, SMALL = "300w-hrnetv2-w18-dark", "faces-hrnetv2-w18-dark", "300w-small-dark"
SHIPPED = (W300_ONLY, FACES, SMALL)


@dataclass(frozen=True)
class ZooModel:
    """A published checkpoint.

    Attributes:
        name: what darkpose calls it.
        url: where it is published.
        sha256_prefix: hex digits with which its SHA-256 begins.
        schema: its markup.
        terms: under which terms it is published, and what it learnt from.
    """

    name: str
    url: str
    sha256_prefix: str
    schema: KeypointSchema
    terms: str


# Sources: MMPose 0.x, configs/face/2d_kpt_sview_rgb_img/topdown_heatmap/{aflw,wflw}; the file names carry the hashes.
_FOLDER = "https://download.openmmlab.com/mmpose/face/darkpose/"
_TERMS = "published with MMPose (Apache-2.0); learnt from {}, whose own terms (research) may bind its users"
ZOO = {
    model.name: model
    for model in (
        ZooModel(
            "aflw-hrnetv2-w18-dark",
            _FOLDER + "hrnetv2_w18_aflw_256x256_dark-219606c0_20210125.pth",
            "219606c0",
            AFLW_19,
            _TERMS.format("AFLW"),
        ),
        ZooModel(
            "wflw-hrnetv2-w18-dark",
            _FOLDER + "hrnetv2_w18_wflw_256x256_dark-3f8e0c2c_20210125.pth",
            "3f8e0c2c",
            WFLW_98,
            _TERMS.format("WFLW"),
        ),
    )
}
PICKLED = (".pth", ".pt", ".tar")


def load_checkpoint(
    path_or_name: str | Path, *, schema: KeypointSchema | str | None = None, whole: bool = False
) -> Checkpoint:
    """Read a checkpoint.

    Args:
        path_or_name: a name in `SHIPPED` (in the package) or in `ZOO` (downloaded once); "default", the shipped weights
            that are best at the markup asked for; or a path: one of darkpose's `.safetensors`, or a `.pth`, `.pt` or
            `.tar` of another project.
        schema: which markup, by its name, of weights that know several (None: their first one); or a markup of the
            caller's own, instead of the file's or the known one with as many landmarks.
        whole: give weights that know several markups as they are, with the joined markup.

    Raises:
        DarkposeError: there is no such file or name, it cannot be downloaded or read, or the markup does not fit.
    """
    name = meant(path_or_name, schema if isinstance(schema, str) else None)
    if name in SHIPPED:
        checkpoint = read_safetensors(shipped_file(name))
    elif name in ZOO:
        model = ZOO[name]
        file = fetch(model.url, downloaded_file(model), sha256_prefix=model.sha256_prefix)
        checkpoint = read_pth(file, model.schema)
    else:
        checkpoint = _read_file(Path(path_or_name), None if isinstance(schema, str) else schema)
    return checkpoint if whole and schema is None else _with_schema(checkpoint, schema)


def convert(source: Path, target: Path, schema: KeypointSchema | None = None) -> Checkpoint:
    """Read any checkpoint (a name will do, too) and write it as one of darkpose's; an existing target is replaced.

    Raises:
        DarkposeError: the target does not end in `.safetensors` or cannot be written, or the source cannot be read.
    """
    if target.suffix != ".safetensors":
        raise DarkposeError(f"{target}: darkpose's own checkpoints end in .safetensors, got {target.suffix!r}")
    checkpoint = load_checkpoint(source, schema=schema, whole=True)
    save_checkpoint(checkpoint, target)
    return checkpoint


def _read_file(path: Path, schema: KeypointSchema | None) -> Checkpoint:
    try:
        folder, there = path.is_dir(), path.exists()
    except OSError as error:
        raise DarkposeError(f"{path}: cannot be read: {error.strerror or error}") from error
    if folder:
        raise DarkposeError(f"{path}: expected a checkpoint file, got a folder")
    if not there:
        names = ", ".join((DEFAULT, *SHIPPED, *ZOO))
        raise DarkposeError(f"{path}: there is no such file, and no model of that name; the names are {names}")
    if path.suffix in PICKLED:
        return read_pth(path, schema)
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    endings = ", ".join((".safetensors", *PICKLED))
    raise DarkposeError(f"{path}: expected a checkpoint that ends in one of {endings}, got {path.suffix!r}")


def _with_schema(checkpoint: Checkpoint, schema: KeypointSchema | str | None) -> Checkpoint:
    known = checkpoint.schema
    if known.parts and not isinstance(schema, KeypointSchema):
        return part_of(checkpoint, schema or known.parts[0].name)
    if schema is None:
        return checkpoint
    if isinstance(schema, str):
        known.rows(schema)
        return checkpoint
    same = next((part.name for part in known.parts if part.names == schema.names), None)
    if same is not None:
        return replace(part_of(checkpoint, same), schema=schema)
    check_markup(schema, checkpoint.config.network.keypoints)
    return replace(checkpoint, schema=schema)


def part_of(checkpoint: Checkpoint, name: str) -> Checkpoint:
    """The checkpoint for one of the markups that it knows.

    Raises:
        DarkposeError: it knows no such markup.
    """
    rows = checkpoint.schema.rows(name)
    if name == checkpoint.schema.name:
        return checkpoint
    part = next(part for part in checkpoint.schema.parts if part.name == name)
    model = with_rows(checkpoint.model, range(len(checkpoint.schema))[rows])
    return replace(checkpoint, model=model, schema=part, config=replace(checkpoint.config, network=model.config))


def downloaded_file(model: ZooModel) -> Path:
    """Where a published checkpoint is once it has been downloaded."""
    return cache_folder() / model.url.rpartition("/")[2]


def weights_file(path_or_name: str | Path, schema: str | None = None) -> Path:
    """Where the weights lie that `load_checkpoint` takes by this path or name, asked for a markup.

    Raises:
        DarkposeError: shipped weights are not there.
    """
    name = meant(path_or_name, schema)
    if name in SHIPPED:
        return shipped_file(name)
    return downloaded_file(ZOO[name]) if name in ZOO else Path(name)


def meant(path_or_name: str | Path, markup: str | None) -> str:
    """A path or name, "default" replaced by the name of the shipped weights that it stands for."""
    return default_for(markup) if str(path_or_name) == DEFAULT else str(path_or_name)


def default_for(markup: str | None) -> str:
    """The shipped weights that are best at a markup: WFLW's needs what only WFLW's faces teach."""
    return FACES if markup == WFLW_98.name else W300_ONLY


def shipped_file(name: str) -> Path:
    """A checkpoint in the package's `weights` folder.

    Raises:
        DarkposeError: it is not there.
    """
    file = Path(str(files("darkpose") / "weights" / "shipped" / f"{name}.safetensors"))
    if not file.is_file():
        raise DarkposeError(f"{file}: darkpose comes with this file; install darkpose again, or name a checkpoint")
    return file
