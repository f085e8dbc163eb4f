"""Initial weights of a training run: none, an ImageNet classifier, or a checkpoint."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from darkpose.datasets.derive import derivation
from darkpose.errors import DarkposeError
from darkpose.files.download import cache_folder, fetch
from darkpose.network.checkpoint import load_strictly
from darkpose.network.foreign import file_digest, state_dict
from darkpose.network.heads import with_rows
from darkpose.network.hrnet import HRNet
from darkpose.network.load import load_checkpoint
from darkpose.network.safe_pickle import unpickle
from darkpose.schema import KeypointSchema
from darkpose.weights.checkpoint import W18, HRNetConfig

NOTHING, IMAGENET = "nothing", "imagenet"
# HRNetV2-W18 by the HRNet authors, as published by OpenMMLab: the published face recipes start from it.
IMAGENET_URL = "https://download.openmmlab.com/pretrain/third_party/hrnetv2_w18-00eb2006.pth"
IMAGENET_SHA256 = "00eb2006"
_CLASSIFIER = ("incre_modules.", "downsamp_modules.", "final_layer.", "classifier.")


def initial_model(start: str, schema: KeypointSchema, *, seed: int, network: HRNetConfig = W18) -> HRNet | None:
    """The network that training starts from.

    Args:
        start: "nothing" (None is returned); "imagenet" (downloaded once, checksum checked; the head is random); the
            path of such a file; or a checkpoint by path or name. Heatmaps of another schema are copied from those of
            the nearest landmarks.
        schema: landmarks to train on.
        seed: of a random head.
        network: shape of the network for a classifier's weights; it gets one heatmap per landmark.

    Raises:
        DarkposeError: the file is not available or cannot be read, or its landmarks do not correspond to the schema.
    """
    if start == NOTHING:
        return None
    if start == IMAGENET:
        return read_classifier(_download_imagenet(), replace(network, keypoints=len(schema)), seed=seed)
    if _is_pickle(start) and "classifier.weight" in state_dict(unpickle(Path(start)), Path(start)):
        return read_classifier(Path(start), replace(network, keypoints=len(schema)), seed=seed)
    known = load_checkpoint(start, whole=True)
    return with_rows(known.model, nearest_rows(known.schema, schema))


def seen_test_images(start: str) -> set[str]:
    """Names of the test images that a checkpoint was trained on, as far as it records them.

    Args:
        start: as in `initial_model`, or "" for none.

    Raises:
        DarkposeError: the checkpoint is not available or cannot be read.
    """
    if start in ("", NOTHING, IMAGENET) or _is_pickle(start):
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
        (len(wanted),) indices into `known`.

    Raises:
        DarkposeError: for a part of `wanted`, no part of `known` has a landmark near every one of its landmarks.
    """
    sources, targets = known.parts or (known,), wanted.parts or (wanted,)
    return np.concatenate([_rows_for(known, sources, target) for target in targets])


def _rows_for(known: KeypointSchema, sources: Sequence[KeypointSchema], target: KeypointSchema) -> NDArray[np.intp]:
    for source in sorted(sources, key=lambda source: source.names != target.names):
        near = _nearness(source, target)
        if near.any(axis=1).all():
            return np.asarray(known.rows(source.name).start + near.argmax(axis=1), np.intp)
    raise DarkposeError(
        f"weights for {known.name} cannot be the start of training for {target.name}: not all landmarks correspond"
    )


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


def _is_pickle(start: str) -> bool:
    return Path(start).suffix == ".pth" and Path(start).is_file()


def _random_head(config: HRNetConfig, seed: int) -> dict[str, Tensor]:
    head, generator = HRNet(config).head, torch.Generator().manual_seed(seed)
    for layer in head:
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=0.001, generator=generator)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    return dict(head.state_dict())
