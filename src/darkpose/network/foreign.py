"""Checkpoints of other projects (`.pth`): names of weights and layouts."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from darkpose.errors import DarkposeError
from darkpose.files.paths import check_regular
from darkpose.network.checkpoint import Checkpoint, load_strictly
from darkpose.network.safe_pickle import unpickle
from darkpose.schema import SCHEMAS, KeypointSchema
from darkpose.weights.checkpoint import CheckpointConfig, HRNetConfig, check_schema


@dataclass(frozen=True)
class Layout:
    """Names of the weights in a project.

    Attributes:
        name: of the project and, if it matters, its version.
        prefixes: (theirs, ours), the first that fits counts; names that fit none are the same.
        marks: a file has this layout if one of its names begins with one of these.
        sigma: of the target heatmaps in training, heatmap px.
    """

    name: str
    prefixes: tuple[tuple[str, str], ...]
    marks: tuple[str, ...]
    sigma: float = 2.0

    def ours(self, name: str) -> str:
        """Darkpose's name for one of theirs."""
        return _renamed(name, self.prefixes)

    def theirs(self, name: str) -> str:
        """Their name for one of darkpose's."""
        return _renamed(name, tuple((ours, theirs) for theirs, ours in self.prefixes))


def _renamed(name: str, prefixes: tuple[tuple[str, str], ...]) -> str:
    fits = ((old, new) for old, new in prefixes if name.startswith(old))
    old, new = next(fits, ("", ""))
    return new + name.removeprefix(old)


# The first whose marks occur counts. The last one's sigma: experiments/*/face_alignment_*_hrnet_w18.yaml.
LAYOUTS = (
    Layout("openmmlab-0.x", (("keypoint_head.final_layer.", "head."),), ("keypoint_head.",)),
    Layout(
        "openmmlab-1.x",
        (("head.final_layer.", "head.3."), ("head.conv_layers.", "head.")),
        ("head.final_layer.", "head.conv_layers."),
    ),
    Layout("darkpose", (), ("backbone.",)),
    Layout("hrnet-facial-landmark-detection", (("head.", "head."), ("", "backbone.")), ("conv1.",), sigma=1.5),
)
NOT_WEIGHTS = ("data_preprocessor.mean", "data_preprocessor.std")
WRAPPED = ("state_dict", "model_state_dict", "model", "net")  # keys of the weights in what training programs save
MAX_WRAPPINGS = 4  # of each other
PREFIXES = ("module.", "model.", "net.", "network.")  # of all names; of parallel training, Lightning, ...
COMPILED = "_orig_mod."  # in names of what torch.compile has wrapped
LAST = "head.3.weight"


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hex; a published name like `...-219606c0_20210125.pth` must hold its beginning.

    Raises:
        DarkposeError: the file cannot be read, or its name tells another hash.
    """
    try:
        check_regular(path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DarkposeError(f"{path}: cannot be read: {error.strerror or error}") from error
    told = re.search(r"-([0-9a-f]{8})(_\d{8})?\.pth$", path.name)
    if told and not digest.startswith(told[1]):
        raise DarkposeError(
            f"{path}: damaged; by its name its sha256 begins with {told[1]}, but it is {digest}; download it again"
        )
    return digest


def state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    """The weights in what a file holds, be they wrapped or bare.

    Prefixes that all names share, such as the `module.` of parallel training, the `model.` of Lightning and the
    `_orig_mod.` of torch.compile, are removed in any order, and so are the averages (`ema_...`) of OpenMMLab 0.x.
    Missing counters of batch norms, which nothing uses, are added.

    Raises:
        DarkposeError: there are none, or other things are among them.
    """
    weights = content if isinstance(content, dict) else None
    for _ in range(MAX_WRAPPINGS):  # a wrapping may hold itself
        weights = next((weights[key] for key in WRAPPED if _holds(weights, key)), weights) if weights else weights
    if not isinstance(weights, dict) or not weights:
        raise DarkposeError(f"{path}: expected a state_dict, alone or under that name, got {type(content).__name__}")
    others = [str(name) for name, value in weights.items() if not (isinstance(name, str) and isinstance(value, Tensor))]
    if others:
        few = ", ".join(others[:5])[:200]
        raise DarkposeError(f"{path}: expected a state_dict of named tensors alone, but it holds {few}")
    named = {name.replace(COMPILED, ""): value for name, value in weights.items() if name not in NOT_WEIGHTS}
    while prefix := next((each for each in PREFIXES if all(name.startswith(each) for name in named)), ""):
        named = {name.removeprefix(prefix): value for name, value in named.items() if name != prefix}
    averages = {f"ema_{name.replace('.', '_')}" for name in named}
    named = {name: value for name, value in named.items() if name not in averages and name not in NOT_WEIGHTS}
    norms = [name.removesuffix("running_mean") for name in named if name.endswith(".running_mean")]
    return {f"{norm}num_batches_tracked": torch.tensor(0) for norm in norms} | named


def _holds(content: dict[Any, Any], key: str) -> bool:
    """Whether weights are under this key."""
    return isinstance(content.get(key), dict) and bool(content[key])


def find_layout(names: Mapping[str, object], path: Path) -> Layout:
    """The layout these names have.

    Raises:
        DarkposeError: none that is known, or the names of two are mixed.
    """
    layout = next((each for each in LAYOUTS if any(name.startswith(each.marks) for name in names)), None)
    if layout is None:
        few = ", ".join(list(names)[:3])[:200]
        raise DarkposeError(f"{path}: not an HRNetV2 in a layout darkpose knows; its weights are called {few}, ...")
    if len({layout.ours(name) for name in names}) < len(names):
        raise DarkposeError(f"{path}: holds some weights twice, in the layout {layout.name} and in another")
    return layout


def schema_of(keypoints: int, path: Path) -> KeypointSchema:
    """The known schema with that many landmarks.

    Raises:
        DarkposeError: there is none.
    """
    known = {len(schema): schema for schema in SCHEMAS.values()}
    if keypoints not in known:
        raise DarkposeError(
            f"{path}: its network finds {keypoints} landmarks, and no known schema has as many; say what they "
            "are with schema=KeypointSchema(name, names, flip_pairs_from_names(names)), see darkpose.schema"
        )
    return known[keypoints]


def read_pth(path: Path, schema: KeypointSchema | None = None) -> Checkpoint:
    """Read a checkpoint of OpenMMLab (0.x, 1.x), of HRNet-Facial-Landmark-Detection, or a state_dict with our names.

    Args:
        path: of the file; if its name carries a hash, the file must have it.
        schema: of the landmarks; None: the known one with as many landmarks.

    Raises:
        DarkposeError: the file is damaged, would run code, or is not an HRNetV2-W18; every weight that is missing,
            superfluous or misshapen is listed by its name in the file.
    """
    digest, content = file_digest(path), unpickle(path)
    found = state_dict(content, path)
    layout = find_layout(found, path)
    names = {layout.ours(name): name for name in found}
    weights = {ours: found[theirs] for ours, theirs in names.items()}
    if LAST not in weights or weights[LAST].ndim != 4:
        raise DarkposeError(
            f"{path}: expected {layout.theirs(LAST)} of shape (landmarks, 270, 1, 1), found none; a backbone alone?"
        )
    try:
        network = HRNetConfig(len(weights[LAST]))
    except DarkposeError as error:
        raise DarkposeError(f"{path}: {error}") from error
    model = load_strictly(network, weights, str(path), lambda name: names.get(name, layout.theirs(name)))
    schema = schema or schema_of(network.keypoints, path)
    check_schema(schema, network.keypoints)
    meta = content.get("meta")
    told = {key: meta.get(key) for key in ("epoch", "mmpose_version")} if isinstance(meta, dict) else {}
    facts = {key: value for key, value in told.items() if isinstance(value, str | int | float)}
    provenance = {"layout": layout.name, "file": path.name, "sha256": digest, **facts}
    return Checkpoint(model, CheckpointConfig(network, sigma=layout.sigma), schema, provenance)
