"""What training starts from: nothing, a network that learnt ImageNet's classes, or any checkpoint."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from darkpose.errors import DarkposeError
from darkpose.files.download import cache_folder, fetch
from darkpose.network.foreign import file_digest, state_dict
from darkpose.network.heads import nearest_rows, with_rows
from darkpose.network.hrnet import W18, HRNet, HRNetConfig
from darkpose.network.safe_pickle import unpickle
from darkpose.schema import KeypointSchema
from darkpose.weights.checkpoint import load_strictly
from darkpose.weights.zoo import load_checkpoint

NOTHING, IMAGENET = "nothing", "imagenet"
# HRNetV2-W18 of the HRNet authors, as OpenMMLab publishes it: what the published face recipes start from.
IMAGENET_URL = "https://download.openmmlab.com/pretrain/third_party/hrnetv2_w18-00eb2006.pth"
IMAGENET_SHA256 = "00eb2006"
_CLASSIFIER = ("incre_modules.", "downsamp_modules.", "final_layer.", "classifier.")


def start_from(start: str, schema: KeypointSchema, *, seed: int, network: HRNetConfig = W18) -> HRNet | None:
    """The network that training starts from.

    Args:
        start: "nothing" (None is returned); "imagenet" (downloaded once, hash checked; the head is drawn anew); the
            path of such a file; or a checkpoint, by path or name, whose heatmaps of other markups are carried over to
            the nearest landmarks.
        schema: what the network is to learn.
        seed: of a head that is drawn.
        network: shape of the network that a classifier's weights are for; it gets a heatmap for every landmark.

    Raises:
        DarkposeError: the file cannot be had or read, or its landmarks have nothing to do with the markup.
    """
    if start == NOTHING:
        return None
    if start == IMAGENET:
        target = cache_folder() / IMAGENET_URL.rpartition("/")[2]
        try:
            path = fetch(IMAGENET_URL, target, sha256_prefix=IMAGENET_SHA256)
        except DarkposeError as error:
            raise DarkposeError(f"{error}; name that file with --start, or --start {NOTHING}") from error
        return read_classifier(path, replace(network, keypoints=len(schema)), seed=seed)
    if Path(start).suffix == ".pth" and Path(start).is_file() and _is_classifier(Path(start)):
        return read_classifier(Path(start), replace(network, keypoints=len(schema)), seed=seed)
    known = load_checkpoint(start, whole=True)
    return with_rows(known.model, nearest_rows(known.schema, schema))


def images_learnt_by(start: str) -> set[str]:
    """Names of the test images that weights have learnt from, as far as they say: what starts from them has, too.

    Args:
        start: as of `start_from`, or "" for none.

    Raises:
        DarkposeError: the checkpoint cannot be had or read.
    """
    if start in ("", NOTHING, IMAGENET) or (Path(start).suffix == ".pth" and Path(start).is_file()):
        return set()  # other projects' files do not say
    return set(load_checkpoint(start, whole=True).provenance.get("test_images_learnt", ()))


def read_classifier(path: Path, config: HRNetConfig, *, seed: int) -> HRNet:
    """An HRNetV2 classifier's backbone below a new head: N(0, 0.001) convolutions without bias, as published.

    Args:
        path: a state_dict with the HRNet authors' names; what belongs to its classifier is left out.
        config: of the keypoint network.
        seed: of the head.

    Raises:
        DarkposeError: the file is damaged or is none; weights that are missing or superfluous are listed.
    """
    file_digest(path)
    found = state_dict(unpickle(path), path)
    backbone = {f"backbone.{name}": value for name, value in found.items() if not name.startswith(_CLASSIFIER)}
    weights = backbone | {f"head.{name}": value for name, value in _new_head(config, seed).items()}
    return load_strictly(config, weights, str(path), lambda name: name.removeprefix("backbone."))


def _is_classifier(path: Path) -> bool:
    return "classifier.weight" in state_dict(unpickle(path), path)


def _new_head(config: HRNetConfig, seed: int) -> dict[str, Tensor]:
    head, generator = HRNet(config).head, torch.Generator().manual_seed(seed)
    for layer in head:
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=0.001, generator=generator)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    return dict(head.state_dict())
