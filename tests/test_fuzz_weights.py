"""Readers of weights, on damaged files: a result or one sentence."""

import hashlib
import io
import json
import re
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from dataclasses import asdict
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from safetensors.numpy import save

from darkpose.files.json_text import format_json
from darkpose.predict.shape_prior import ShapePrior, read_shape_prior, write_shape_prior
from darkpose.runtime.card import _CHECKSUM, _EMPTY, with_checksum
from darkpose.runtime.exported import open_exported
from darkpose.runtime.onnx_bytes import read_facts
from darkpose.schema import KeypointSchema
from darkpose.weights.checkpoint import CheckpointConfig, HRNetConfig, fingerprint, open_checkpoint
from darkpose.weights.face_detector import FaceDetectorConfig, open_face_detector
from fuzzing import check, damaged, fuzzed, seeds
from needed import needs

THREE = KeypointSchema("three", ("left_eye", "right_eye", "nose"), ((0, 1),))
NETWORK = HRNetConfig(3, widths=(1, 1, 1, 1), modules=(1, 1, 1), blocks=1, stem=1)
DETECTOR = FaceDetectorConfig((2, 2, 2, 2, 2), (1, 1, 1, 1), 2)
TYPES = ("F64", "F16", "BF16", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F4", "C64", "I64", "U16", "I8", "BOOL", "no type")
Damage = Callable[[bytes, int], bytes]


def with_damaged_head(whole: bytes, seed: int) -> bytes:
    """A safetensors file of which names, types, shapes or metadata are damaged; its length fits."""
    length = 8 + int.from_bytes(whole[:8], "little")
    head, kind = whole[8:length], TYPES[seed % len(TYPES)].encode()
    head = (
        damaged(head, seed) if seed % 3 else re.sub(rb'"dtype":"\w+"', b'"dtype":"' + kind + b'"', head, count=seed % 4)
    )
    return len(head).to_bytes(8, "little") + head + whole[length:]


def with_damaged_entry(whole: bytes, seed: int) -> bytes:
    """An archive of which an entry is damaged; the checksum of the entry fits."""
    data = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(data, "w") as new:
        names = [entry.filename for entry in old.infolist()]
        chosen = next(name for name in names if name.endswith("data.pkl")) if seed % 4 else names[seed % len(names)]
        for name in names:
            new.writestr(name, damaged(old.read(name), seed) if name == chosen else old.read(name))
    return data.getvalue()


def with_right_checksum(whole: bytes, seed: int) -> bytes:
    """An exported file that is damaged and sealed again, if a place for the checksum is left."""
    data = damaged(_CHECKSUM.sub(_EMPTY, whole), seed)
    return with_checksum(data) if data.count(_EMPTY) == 1 else data


def sealed_state(content: bytes) -> bytes:
    return b"darkpose state 1, sha256 " + hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def _arrays(**shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    return {name: np.ones(shape, np.float32) for name, shape in shapes.items()}


@cache
def _checkpoint() -> bytes:
    facts = {"config": asdict(CheckpointConfig(NETWORK, 64)), "schema": asdict(THREE), "provenance": {"on": "faces"}}
    metadata = {"darkpose": "1", **{name: format_json(values) for name, values in facts.items()}}
    return save({"head.3.weight": np.ones((3, 4, 1, 1), np.float32), "head.3.bias": np.ones(3, np.float16)}, metadata)


@cache
def _detector() -> bytes:
    metadata = {"darkpose_face_detector": "1", "config": format_json(asdict(DETECTOR)), "provenance": '{"on": "faces"}'}
    return save(_arrays(**{"stem.weight": (2, 3, 3, 3), "stem.bias": (2,)}), metadata)


@cache
def _prior() -> bytes:
    prior = ShapePrior("three", np.eye(3, 2), np.ones((2, 3, 2)), 0.1, "faces", ("a.jpg",))
    with tempfile.TemporaryDirectory() as folder:
        write_shape_prior(prior, Path(folder) / "a")
        return (Path(folder) / "a").read_bytes()


def _use_checkpoint(file: Path) -> None:
    found = open_checkpoint(file)
    json.dumps(dict(found.provenance))
    fingerprint(found.with_schema(None).arrays())


def _use_detector(file: Path) -> None:
    found = open_face_detector(file)
    json.dumps([dict(found.provenance), found.digest()])
    found.arrays()


@pytest.mark.parametrize("damage", [damaged, with_damaged_head])
@fuzzed
@seeds
def test_a_damaged_checkpoint_is_one_sentence(
    damage: Damage, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    check(_use_checkpoint, tmp_path_factory.getbasetemp() / "a.safetensors", damage(_checkpoint(), seed))


@pytest.mark.parametrize("damage", [damaged, with_damaged_head])
@fuzzed
@seeds
def test_a_damaged_face_detector_is_one_sentence(
    damage: Damage, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    check(_use_detector, tmp_path_factory.getbasetemp() / "a.safetensors", damage(_detector(), seed))


@fuzzed
@seeds
def test_a_shape_prior_with_a_damaged_head_is_one_sentence(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    file = tmp_path_factory.getbasetemp() / "a.prior.safetensors"
    check(read_shape_prior, file, with_damaged_head(_prior(), seed))


@fuzzed
@seeds
def test_the_bytes_of_a_damaged_graph_give_facts_or_a_value_error(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    def read(file: Path) -> None:
        with suppress(ValueError):
            read_facts(file.read_bytes())

    graph = open_face_detector().graph.read_bytes()
    check(read, tmp_path_factory.getbasetemp() / "a.onnx", damaged(graph, seed))


@cache
def _layers() -> Any:
    """The last layer of a network, which is built sooner than a whole one."""
    import torch

    with torch.device("cpu"):
        layers = torch.nn.ModuleDict({"head": torch.nn.Sequential(*(torch.nn.BatchNorm2d(2) for _ in range(3)))})
    return layers


@cache
def _torch_checkpoint() -> bytes:
    from darkpose.network.checkpoint import Checkpoint, save_checkpoint

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a.safetensors"
        save_checkpoint(Checkpoint(_layers(), CheckpointConfig(NETWORK, 64), THREE, {}), file)
        return file.read_bytes()


@needs("torch")
@pytest.mark.parametrize("damage", [damaged, with_damaged_head])
@fuzzed
@seeds
def test_a_damaged_checkpoint_is_no_network(
    damage: Damage, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    from darkpose.network import checkpoint

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "HRNet", lambda _: deepcopy(_layers()))
        file = tmp_path_factory.getbasetemp() / "b.safetensors"
        check(checkpoint.read_safetensors, file, damage(_torch_checkpoint(), seed))


@cache
def _torch_detector() -> bytes:
    import torch

    from darkpose.network.face_detector import FaceDetectorNetwork

    metadata = {"darkpose_face_detector": "1", "config": format_json(asdict(DETECTOR)), "provenance": "{}"}
    with torch.device("meta"):  # slow the first time
        FaceDetectorNetwork(DETECTOR)
    weights = FaceDetectorNetwork(DETECTOR).eval().state_dict()
    return save({name: values.numpy().copy("C") for name, values in weights.items()}, metadata)


@needs("torch")
@pytest.mark.parametrize("damage", [damaged, with_damaged_head])
@fuzzed
@seeds
def test_a_damaged_face_detector_is_no_network(
    damage: Damage, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    import torch

    from darkpose.network.face_detector import load_face_detector

    def use(file: Path) -> None:
        load_face_detector(open_face_detector(file))(torch.zeros(1, 3, 32, 32))

    check(use, tmp_path_factory.getbasetemp() / "b.safetensors", damage(_torch_detector(), seed))


@cache
def _pth() -> bytes:
    import torch

    weights = {f"module.{name}": torch.ones(2, 2) for name in ("backbone.conv1.weight", "keypoint_head.final.0.bias")}
    weights["module.backbone.bn1.running_mean"] = torch.ones(2, dtype=torch.float16)
    meta = {"epoch": 3, "lr": np.float64(0.5), "times": np.ones(3), "mmpose_version": "0.18"}
    data = io.BytesIO()
    torch.save({"meta": meta, "state_dict": weights, "optimizer": {"state": [1, None, (2.5, "a")]}}, data)
    return data.getvalue()


@needs("torch")
@pytest.mark.parametrize("damage", [damaged, with_damaged_entry])
@fuzzed
@seeds
def test_a_damaged_checkpoint_of_another_project_is_one_sentence(
    damage: Damage, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    from darkpose.network.foreign import file_digest, find_layout, state_dict
    from darkpose.network.safe_pickle import unpickle

    def use(file: Path) -> None:
        file_digest(file)
        find_layout(state_dict(unpickle(file), file), file)

    check(use, tmp_path_factory.getbasetemp() / "a-0123abc.pth", damage(_pth(), seed))


@cache
def _exported() -> bytes:
    from darkpose.deploy.export import ExportOptions, export_onnx
    from darkpose.network.checkpoint import Checkpoint
    from darkpose.network.hrnet import HRNet

    return export_onnx(Checkpoint(HRNet(NETWORK).eval(), CheckpointConfig(NETWORK, 64), THREE, {}), ExportOptions())


@needs("torch", "onnx")
@pytest.mark.parametrize("damage", [damaged, with_right_checksum])
@fuzzed
@seeds
def test_a_damaged_exported_file_is_one_sentence(
    damage: Damage, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    def use(file: Path) -> None:
        open_exported(file).with_heatmaps()

    check(use, tmp_path_factory.getbasetemp() / "a.onnx", damage(_exported(), seed))


def _run() -> Any:
    """A run with a network of one layer."""
    import torch

    from darkpose.training.run import Run

    torch.manual_seed(0)
    layer = torch.nn.Linear(2, 1)
    accelerator = SimpleNamespace(unwrap_model=lambda model: model, scaler=None)
    return Run(cast(Any, None), cast(Any, accelerator), layer, None, torch.optim.AdamW(layer.parameters()))


@cache
def _state() -> bytes:
    import torch

    data = io.BytesIO()
    torch.save({"config": "{}", "faces": "2 faces", "origin": "from nothing", **_run().state()}, data)
    return data.getvalue()


def with_damaged_state(whole: bytes, seed: int) -> bytes:
    return sealed_state(with_damaged_entry(whole, seed) if seed % 2 else damaged(whole, seed))


@needs("torch")
@pytest.mark.parametrize("damage", [lambda whole, seed: damaged(sealed_state(whole), seed), with_damaged_state])
@fuzzed
@seeds
def test_a_damaged_state_of_a_run_is_one_sentence(
    damage: Damage, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    from darkpose.training.state_file import StateFile

    def resume(file: Path) -> None:
        config = SimpleNamespace(to_json=lambda: "{}")
        assert StateFile(file, cast(Any, config), faces="2 faces", origin="from nothing", every=9).resume(_run())

    check(resume, tmp_path_factory.getbasetemp() / "state.pt", damage(_state(), seed))
