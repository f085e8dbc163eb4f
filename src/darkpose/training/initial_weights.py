"""Initial weights of a training run: none, an ImageNet classifier, or a checkpoint."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from darkpose.derived.conversion import derivation
from darkpose.errors import DarkposeError
from darkpose.files.download import cache_folder, fetch
from darkpose.files.paths import is_file
from darkpose.network.checkpoint import Checkpoint, load_strictly
from darkpose.network.foreign import LAST, file_digest, find_layout, state_dict
from darkpose.network.heads import with_rows
from darkpose.network.hrnet import HRNet
from darkpose.network.load import load_checkpoint
from darkpose.network.safe_pickle import unpickle
from darkpose.schema import SCHEMAS, KeypointSchema
from darkpose.training.run_folder import first_process
from darkpose.weights.checkpoint import W18, HRNetConfig, open_checkpoint
from darkpose.weights.zoo import DEFAULT, PICKLED, SHIPPED, default_for, shipped_file

NOTHING, IMAGENET = "nothing", "imagenet"
HEAD_STD = 0.001  # of random weights of a head, as published
# HRNetV2-W18 by the HRNet authors, as published by OpenMMLab: the published face recipes start from it. The first 8
# digits of the hash are in the published name; projects that check their copy of the file have all.
IMAGENET_URL = "https://download.openmmlab.com/pretrain/third_party/hrnetv2_w18-00eb2006.pth"
IMAGENET_SHA256 = "00eb200687c1ed1fc1042767e5b965052f4c7338823ba4d36a790979a078b36b"
_CLASSIFIER = ("incre_modules.", "downsamp_modules.", "final_layer.", "classifier.")


def initial_model(start: str, schema: KeypointSchema, *, seed: int, network: HRNetConfig = W18) -> HRNet | None:
    """The network that training starts from.

    Args:
        start: "nothing" (None is returned); "imagenet" (downloaded once, checksum checked; the head is random); the
            path of such a file; or a checkpoint by path or name (see `named_start`). Heatmaps of another schema are
            copied from those of the nearest landmarks; if not all landmarks of a schema have one, its heatmaps start
            from random weights of the last layer, and a line on stderr says so.
        schema: landmarks to train on.
        seed: of a random head.
        network: shape of the network; it gets one heatmap per landmark.

    Raises:
        DarkposeError: the file is not available or cannot be read, or its network has another shape.
    """
    start, wanted = named_start(start, schema, network), replace(network, keypoints=len(schema))
    if start == NOTHING:
        return None
    if start == IMAGENET:
        return read_classifier(_download_imagenet(), wanted, seed=seed)
    told = None
    if Path(start).suffix in PICKLED and is_file(start):
        weights = state_dict(unpickle(Path(start)), Path(start))
        if "classifier.weight" in weights:
            return read_classifier(Path(start), wanted, seed=seed)
        told = _schema_of_pickle(weights, Path(start), schema)
    known = load_checkpoint(start, schema=told, whole=True)
    found = replace(known.config.network, keypoints=len(schema))
    if found != wanted:
        raise DarkposeError(
            f"{start}: its network is {found}, the recipe's is {wanted}; start from weights of that network, or set "
            "the recipe's `network` to that of the weights"
        )
    return _with_heatmaps_of(known, schema, start, seed)


def named_start(start: str, schema: KeypointSchema, network: HRNetConfig) -> str:
    """The start, with "default" replaced by the name of the shipped weights for a schema and a shape of the network.

    Raises:
        DarkposeError: no shipped weights have that shape.
    """
    if start != DEFAULT:
        return start
    for name in (default_for(schema.name), *SHIPPED):
        if replace(open_checkpoint(shipped_file(name)).config.network, keypoints=network.keypoints) == network:
            return name
    raise DarkposeError(f"no weights of the package have the recipe's network {network}; use --start {NOTHING}")


def _schema_of_pickle(weights: Mapping[str, Tensor], path: Path, schema: KeypointSchema) -> KeypointSchema | None:
    """The landmarks of a file of another project, which does not name them; None: the known ones of that number.

    As many as those to train on are taken for them.
    """
    last = weights.get(find_layout(weights, path).theirs(LAST))
    count = 0 if last is None or last.ndim != 4 else len(last)
    if not count or count in map(len, SCHEMAS.values()):
        return None
    names = tuple(f"landmark_{i}" for i in range(count))
    return schema if count == len(schema) else KeypointSchema("unknown", names, ())


def _with_heatmaps_of(known: Checkpoint, schema: KeypointSchema, start: str, seed: int) -> HRNet:
    """The network of a checkpoint with the heatmaps of another schema."""
    rows = nearest_rows(known.schema, schema)
    new = int((rows < 0).sum())
    if new and first_process():
        told = f"{new} of the {len(schema)} landmarks of {schema.name} are not among those of {start}"
        tqdm.write(f"{told}: their heatmaps start from random weights, all other layers from its", file=sys.stderr)
    return with_new_rows(known.model, rows, seed)


def with_new_rows(model: HRNet, rows: NDArray[np.intp], seed: int) -> HRNet:
    """The network with these of its heatmaps, as `with_rows`; row -1: a new heatmap with random weights."""
    changed, new = with_rows(model, np.maximum(rows, 0)), torch.from_numpy(rows < 0)
    last = cast(nn.Conv2d, changed.head[-1]).state_dict()
    drawn = torch.empty_like(last["weight"]).normal_(std=HEAD_STD, generator=torch.Generator().manual_seed(seed))
    last["weight"][new], last["bias"][new] = drawn[new], 0.0
    return changed


def seen_test_images(start: str) -> set[str]:
    """Names of the test images that a checkpoint was trained on, as far as it records them.

    Args:
        start: as in `initial_model`, or "" for none.

    Raises:
        DarkposeError: the checkpoint is not available or cannot be read.
    """
    if start in ("", NOTHING, IMAGENET) or Path(start).suffix in PICKLED:
        return set()  # files of other projects do not record them
    return set(load_checkpoint(start, whole=True).provenance.get("test_images_learnt", ()))


def read_classifier(path: Path, config: HRNetConfig, *, seed: int) -> HRNet:
    """The backbone of an HRNetV2 classifier with a new head: N(0, 0.001) convolutions and zero biases, as published.

    Args:
        path: a state_dict with the HRNet authors' names; the classifier's own layers are left out.
        config: of the keypoint network.
        seed: of the head.

    Raises:
        DarkposeError: the file is damaged or is not a state_dict, or weights are missing or unexpected.
    """
    file_digest(path)
    found = state_dict(unpickle(path), path)
    backbone = {f"backbone.{name}": value for name, value in found.items() if not name.startswith(_CLASSIFIER)}
    weights = backbone | {f"head.{name}": value for name, value in _random_head(config, seed).items()}
    return load_strictly(config, weights, str(path), lambda name: name.removeprefix("backbone."))


def nearest_rows(known: KeypointSchema, wanted: KeypointSchema) -> NDArray[np.intp]:
    """For every landmark of `wanted`, the nearest landmark of `known`, by derivation in either direction.

    Args:
        known: schema of the checkpoint, joined of several or not.
        wanted: schema to train on, joined of several or not.

    Returns:
        (len(wanted),) indices into `known`; -1 for a part of `wanted` where no part of `known` has a landmark near
        every one of its landmarks.
    """
    sources, targets = known.parts or (known,), wanted.parts or (wanted,)
    return np.concatenate([_rows_for(known, sources, target) for target in targets])


def _rows_for(known: KeypointSchema, sources: Sequence[KeypointSchema], target: KeypointSchema) -> NDArray[np.intp]:
    for source in sorted(sources, key=lambda source: source.names != target.names):
        near = _nearness(source, target)
        if near.any(axis=1).all():
            return np.asarray(known.rows(source.name).start + near.argmax(axis=1), np.intp)
    return np.full(len(target), -1, np.intp)


def _nearness(source: KeypointSchema, target: KeypointSchema) -> NDArray[np.float64]:
    """Weights (L, K) of each landmark of `source` in the derivation of each of `target`.

    Where a landmark has no derivation, its weights in the derivation of `source` are used.
    """
    near = np.zeros((len(target), len(source)))
    with suppress(DarkposeError):
        near = derivation(source, target)
    with suppress(DarkposeError):
        near = np.where(near.any(axis=1, keepdims=True), near, derivation(target, source).T)
    return near


def _download_imagenet() -> Path:
    target = cache_folder() / IMAGENET_URL.rpartition("/")[2]
    try:
        return fetch(IMAGENET_URL, target, sha256_prefix=IMAGENET_SHA256)
    except DarkposeError as error:
        raise DarkposeError(f"{error}; name a copy of that file with --start, or use --start {NOTHING}") from error


def _random_head(config: HRNetConfig, seed: int) -> dict[str, Tensor]:
    head, generator = HRNet(config).head, torch.Generator().manual_seed(seed)
    for layer in head:
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=HEAD_STD, generator=generator)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    return dict(head.state_dict())
