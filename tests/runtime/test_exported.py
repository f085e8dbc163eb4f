"""Exported files as networks: heatmaps without the decoder in the file."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from darkpose.errors import DarkposeError
from darkpose.runtime.card import CHECKSUM_KEY, KEY, empty_checksum, with_checksum
from darkpose.runtime.exported import open_exported
from darkpose.runtime.network import Runtime
from darkpose.runtime.open import Engine, open_weights

if TYPE_CHECKING:
    from onnx import ModelProto

pytest.importorskip("onnxruntime")
RUNTIMES: tuple[Runtime, ...] = ("onnxruntime", "openvino")
HERE = [name for name in RUNTIMES if find_spec(name) is not None]


@pytest.fixture(scope="module")
def small_files(small_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """The same network with and without the heatmaps among the outputs of the file."""
    pytest.importorskip("onnx")
    from darkpose.deploy.export import ExportOptions, export_onnx
    from darkpose.network.load import load_checkpoint

    folder, checkpoint = tmp_path_factory.mktemp("files"), load_checkpoint(small_weights)
    files = {heatmaps: folder / f"heatmaps-{heatmaps}.onnx" for heatmaps in (True, False)}
    for heatmaps, file in files.items():
        file.write_bytes(export_onnx(checkpoint, ExportOptions(heatmaps=heatmaps)))
    return files


@pytest.fixture
def crops() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), np.uint8)


@pytest.mark.parametrize("runtime", HERE)
def test_heatmaps_come_out_of_a_file_that_does_not_give_them(
    small_files: dict[bool, Path], crops: np.ndarray, runtime: Runtime
) -> None:
    given, hidden = (open_weights(small_files[each], None, Engine(runtime)).network(crops) for each in (True, False))
    assert given.shape == (6, 68, 16, 16)
    np.testing.assert_array_equal(hidden, given)
    assert open_exported(small_files[False]).card.outputs == ("keypoints", "scores")


@pytest.mark.parametrize("runtime", HERE)
def test_a_network_may_be_called_from_several_threads(
    small_files: dict[bool, Path], crops: np.ndarray, runtime: Runtime
) -> None:
    network = open_weights(small_files[True], None, Engine(runtime, threads=1)).network
    assert "1 thread)" in network.name
    expected = [network(crops[n : n + 1]) for n in range(6)]
    with ThreadPoolExecutor(3) as pool:
        for one, other in zip(expected, pool.map(lambda n: network(crops[n : n + 1]), range(6)), strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_file_that_was_changed_is_refused(small_files: dict[bool, Path], tmp_path: Path) -> None:
    data = bytearray(small_files[True].read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "changed.onnx").write_bytes(data)
    with pytest.raises(DarkposeError, match=r"changed\.onnx: its checksum does not match"):
        open_exported(tmp_path / "changed.onnx")


def test_a_file_of_another_program_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "other.onnx").write_bytes(b"\x08\x07 a model of another program")
    with pytest.raises(DarkposeError, match=r"other\.onnx: .*expected a file that `darkpose export` wrote"):
        open_exported(tmp_path / "other.onnx")
    with pytest.raises(DarkposeError, match=r"none\.onnx: cannot be read"):
        open_exported(tmp_path / "none.onnx")


Change = Callable[["ModelProto", dict[str, Any]], object]  # changes a model or the values of its card


def changed(file: Path, target: Path, change: Change) -> Path:
    """A file with its checksum and another graph or another card."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load(file)
    entries = {entry.key: entry for entry in model.metadata_props}
    card = json.loads(entries[KEY].value)
    change(model, card)
    entries[KEY].value, entries[CHECKSUM_KEY].value = json.dumps(card), empty_checksum()
    target.write_bytes(with_checksum(model.SerializeToString()))
    return target


def _rename(model: "ModelProto", name: str) -> None:
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [f"other {each}" if each == name else each for each in names]
    for each in (*model.graph.input, *model.graph.output):
        each.name = f"other {name}" if each.name == name else each.name


def _fewer_landmarks(_: "ModelProto", card: dict[str, Any]) -> None:
    names = card["schema"]["names"][:5]
    card["schema"] |= {"names": names, "flip_pairs": [], "outlines": [], "nme_pair": None, "left_eye": []}
    card["schema"]["right_eye"] = []
    card["config"]["network"]["keypoints"] = 5


def _set(**values: Any) -> Change:
    return lambda _, card: card.update(values)


MISFITS: dict[str, Change] = {
    "another size of the crops": lambda _, card: card["config"].update(crop_size=96),
    "another type of the crops": _set(crops="float32"),
    "another number of landmarks": _fewer_landmarks,
    "no input crops": lambda model, _: _rename(model, "crops"),
    "no heatmaps": lambda model, _: _rename(model, "heatmaps"),
    "one more input": lambda model, _: model.graph.input.add().CopyFrom(_named(model.graph.input[1], "more")),
    "heatmaps among the outputs": _set(outputs=["keypoints", "scores"]),
    "another opset": _set(opset=18),
    "another precision": _set(precision="fp16"),
}


def _named(value: Any, name: str) -> Any:
    copy = type(value)()
    copy.CopyFrom(value)
    copy.name = name
    return copy


@pytest.mark.parametrize("runtime", HERE)
@pytest.mark.parametrize("what", MISFITS)
def test_a_file_whose_metadata_does_not_fit_its_graph_is_refused_in_one_line(
    small_files: dict[bool, Path], tmp_path: Path, what: str, runtime: Runtime
) -> None:
    file = changed(small_files[True], tmp_path / "x.onnx", MISFITS[what])
    with pytest.raises(DarkposeError, match=r"^\S+x\.onnx: ") as refused:
        _ = open_weights(file, None, Engine(runtime)).network
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("inside", [False, True], ids=["initializer", "attribute"])
def test_weights_in_another_file_are_refused(small_files: dict[bool, Path], tmp_path: Path, inside: bool) -> None:
    def move(model: "ModelProto", _: object) -> None:
        tensor = model.graph.initializer[0]
        if inside:
            attribute = model.graph.node[0].attribute.add(name="value", type=4)
            attribute.t.CopyFrom(tensor)
            tensor = attribute.t
        tensor.ClearField("raw_data")
        tensor.data_location = 1
        tensor.external_data.add(key="location", value="weights.bin")

    file = changed(small_files[True], tmp_path / "x.onnx", move)
    with pytest.raises(DarkposeError, match=r"x\.onnx: expected all weights in the file itself"):
        open_exported(file)


def test_a_file_with_a_checksum_that_is_no_model_is_refused(tmp_path: Path) -> None:
    for content in (b"\x3a\xff\xff\x7f", b"\xff" * 11, b"\x0b", b"\x3a", b"\x38\x01"):
        (tmp_path / "x.onnx").write_bytes(with_checksum(content + empty_checksum().encode()))
        with pytest.raises(DarkposeError, match=r"x\.onnx: (not a readable ONNX file|expected a file that)"):
            open_exported(tmp_path / "x.onnx")


@pytest.mark.parametrize("runtime", HERE)
def test_crops_of_another_size_are_refused_in_one_line(
    small_files: dict[bool, Path], runtime: Runtime, capfd: pytest.CaptureFixture[str]
) -> None:
    network = open_weights(small_files[True], None, Engine(runtime)).network
    told = rf"^{runtime} cannot run it on crops of shape \(1, 32, 32, 3\): .+"
    with pytest.raises(DarkposeError, match=told) as refused:
        network(np.zeros((1, 32, 32, 3), np.uint8))
    assert "\n" not in str(refused.value)
    assert not capfd.readouterr().err  # the runtime itself says nothing


@pytest.mark.parametrize(
    ("runtime", "provider", "message"),
    [
        (
            "onnxruntime",
            "AbacusExecutionProvider",
            "no provider .Abacus.*; it has .*CPUExecutionProvider",
        ),
        ("openvino", "ABACUS", "no device 'ABACUS'; it has .*CPU"),
        ("openvino", "CPU.3", r"openvino cannot run it: (?!Exception from)\S+"),
    ],
)
def test_a_provider_that_is_missing_is_named(
    small_files: dict[bool, Path], runtime: Runtime, provider: str, message: str
) -> None:
    if runtime not in HERE:
        pytest.skip(f"needs {runtime}")
    with pytest.raises(DarkposeError, match=message):
        _ = open_weights(small_files[True], None, Engine(runtime, providers=(provider,))).network


def test_openvino_chooses_among_several_devices(small_files: dict[bool, Path], crops: np.ndarray) -> None:
    pytest.importorskip("openvino")
    network = open_weights(small_files[True], None, Engine("openvino", providers=("CPU", "CPU"))).network
    assert "CPU" in network.name
    assert "fp32" in network.name
    assert len(network(crops[:2])) == 2
