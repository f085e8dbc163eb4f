"""Exported files as networks: heatmaps without the decoder in the file."""

from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from darkpose.errors import DarkposeError
from darkpose.runtime.exported import open_exported
from darkpose.runtime.network import Runtime
from darkpose.runtime.open import Engine, open_weights

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
    with pytest.raises(DarkposeError, match=r"changed\.onnx: .*changed"):
        open_exported(tmp_path / "changed.onnx")


def test_a_file_of_another_program_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "other.onnx").write_bytes(b"\x08\x07 a model of another program")
    with pytest.raises(DarkposeError, match=r"other\.onnx: expected a file that `darkpose export` wrote"):
        open_exported(tmp_path / "other.onnx")
    with pytest.raises(DarkposeError, match=r"none\.onnx: cannot be read"):
        open_exported(tmp_path / "none.onnx")


@pytest.mark.parametrize(
    ("runtime", "provider", "message"),
    [
        ("onnxruntime", "AbacusProvider", "no provider 'AbacusProvider'; it has .*CPUExecutionProvider"),
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
