import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from darkpose.errors import DarkposeError
from darkpose.image.face_crops import drawn_crops
from darkpose.network.load import load_checkpoint
from darkpose.runtime.exported import RUNTIMES, GraphRunner, Runtime, installed, open_graph
from darkpose.runtime.locator import matrices_of

pytest.importorskip("onnxruntime")
HERE = installed()


@pytest.mark.parametrize("runtime", HERE)
def test_every_runtime_gives_the_same_landmarks_one_by_one_and_together(
    exported_default: Path, runtime: Runtime
) -> None:
    faces = drawn_crops(3, load_checkpoint("default").config)
    matrices = matrices_of(faces.center, faces.sides, 256)
    expected = open_graph(exported_default, runtime="onnxruntime", threads=1)(faces.crops, matrices)
    runner = open_graph(exported_default, runtime=runtime, threads=1)
    assert runtime in runner.name
    assert "1 thread)" in runner.name
    together = runner(faces.crops, matrices)
    assert list(together) == ["keypoints", "scores", "covariance", "heatmaps"]
    for name, tolerance in (("keypoints", 2e-3), ("scores", 1e-4), ("heatmaps", 1e-4)):
        np.testing.assert_allclose(together[name], expected[name], rtol=0, atol=tolerance)
    np.testing.assert_allclose(together["covariance"], expected["covariance"], rtol=0.02, atol=0.02)
    alone = [runner(faces.crops[i : i + 1], matrices[i : i + 1])["keypoints"][0] for i in range(3)]
    np.testing.assert_allclose(np.stack(alone), together["keypoints"], rtol=0, atol=2e-3)


@pytest.mark.skipif("openvino" not in HERE, reason="needs OpenVINO")
def test_bfloat16_is_for_the_network_and_not_for_coordinates(exported_default: Path) -> None:
    faces = drawn_crops(2, load_checkpoint("default").config)
    far = matrices_of(faces.center + 3000.25, faces.sides, 256)  # where bfloat16 would go in steps of 16 px
    runners = [open_graph(exported_default, runtime="openvino", numbers=numbers) for numbers in ("fp32", "bf16")]
    full, rounded = (runner(faces.crops, far) for runner in runners)
    sides = faces.sides[:, :1] / 256
    assert np.quantile(np.abs(full["keypoints"] - rounded["keypoints"]).max(-1) / sides, 0.9) < 1.0
    assert np.isfinite(rounded["covariance"]).all()


@pytest.mark.skipif("openvino" not in HERE, reason="needs OpenVINO")
def test_ctrl_c_is_caught_after_files_were_opened_and_dropped(exported_default: Path) -> None:
    program = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from darkpose.runtime.exported import open_graph\n"
        f"opened = [open_graph(Path({str(exported_default)!r}), runtime='openvino') for _ in range(2)]\n"
        "while opened: opened.pop(0)\n"
        "signal.signal(signal.SIGINT, lambda *_: print('caught'))\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "caught\n"), done.stderr


def test_a_program_without_darkpose_gets_the_landmarks(exported_default: Path, tmp_path: Path) -> None:
    faces = drawn_crops(2, load_checkpoint("default").config)
    matrices = matrices_of(faces.center, faces.sides, 256).astype(np.float32)
    np.savez(tmp_path / "faces.npz", crops=faces.crops, matrices=matrices)
    program = (
        "import sys; sys.modules['darkpose'] = None; sys.modules['torch'] = None\n"
        "import json, numpy as np, onnxruntime\n"
        f"faces = np.load({str(tmp_path / 'faces.npz')!r})\n"
        f"session = onnxruntime.InferenceSession({str(exported_default)!r})\n"
        "inputs = {'crops': faces['crops'], 'matrices': faces['matrices']}\n"
        "keypoints, scores = session.run(['keypoints', 'scores'], inputs)\n"
        "names = json.loads(session.get_modelmeta().custom_metadata_map['darkpose'])['schema']['names']\n"
        "assert len(names) == keypoints.shape[1] == 68\n"
        f"np.save({str(tmp_path / 'found.npy')!r}, keypoints)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
    expected = open_graph(exported_default, runtime="onnxruntime")(faces.crops, matrices)["keypoints"]
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), expected, rtol=0, atol=1e-3)


@pytest.fixture(scope="module")
def runner(exported_default: Path) -> GraphRunner:
    return open_graph(exported_default, runtime="onnxruntime")


@pytest.mark.parametrize(
    ("crops", "matrices", "message"),
    [
        (np.zeros((1, 128, 128, 3), np.uint8), 1, r"expected crops \(N, 256, 256, 3\) uint8, RGB, got \(1, 128"),
        (np.zeros((1, 256, 256, 3), np.float32), 1, "got .* float32"),
        (np.zeros((256, 256, 3), np.uint8), 1, r"got \(256, 256, 3\)"),
        (np.zeros((1, 3, 256, 256), np.uint8), 1, r"got \(1, 3, 256, 256\)"),
        (np.zeros((1, 256, 256, 3), np.uint8), 2, "a matrix .* for each of 1 crops"),
    ],
)
def test_crops_of_another_size_or_type_are_refused(
    runner: GraphRunner, crops: np.ndarray, matrices: int, message: str
) -> None:
    with pytest.raises(DarkposeError, match=message):
        runner(crops, np.zeros((matrices, 2, 3)))


def test_a_matrix_that_is_not_finite_is_refused_by_its_crop(runner: GraphRunner) -> None:
    matrices = np.zeros((3, 2, 3))
    matrices[1, 0, 2] = np.nan
    with pytest.raises(DarkposeError, match="finite numbers in every matrix; that of crop 1 has others"):
        runner(np.zeros((3, 256, 256, 3), np.uint8), matrices)


@pytest.mark.parametrize("runtime", HERE)
def test_a_runner_may_be_called_from_several_threads(exported_default: Path, runtime: Runtime) -> None:
    runner = open_graph(exported_default, runtime=runtime, threads=1)
    crops = np.random.default_rng(0).integers(0, 256, (6, 256, 256, 3), np.uint8)
    matrices = np.tile(np.eye(2, 3, dtype=np.float32), (6, 1, 1))
    expected = [runner(crops[n : n + 1], matrices[:1])["keypoints"] for n in range(6)]
    with ThreadPoolExecutor(3) as pool:
        found = pool.map(lambda n: runner(crops[n : n + 1], matrices[:1])["keypoints"], range(6))
        for one, other in zip(expected, found, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_file_that_was_changed_is_refused(exported_default: Path, tmp_path: Path) -> None:
    data = bytearray(exported_default.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "changed.onnx").write_bytes(data)
    with pytest.raises(DarkposeError, match=r"changed\.onnx: it is damaged or has been changed"):
        open_graph(tmp_path / "changed.onnx")


def test_a_file_of_another_make_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.onnx").write_bytes(b"\x08\x07 no model of ours")
    with pytest.raises(DarkposeError, match=r"other\.onnx: expected a file that `darkpose export` wrote"):
        open_graph(tmp_path / "other.onnx")


def test_a_missing_runtime_and_a_missing_provider_are_named(
    exported_default: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DarkposeError, match=r"has no provider 'AbacusProvider'; it has .*CPUExecutionProvider"):
        open_graph(exported_default, runtime="onnxruntime", providers=("AbacusProvider",))
    if "openvino" in HERE:
        with pytest.raises(DarkposeError, match=r"has no device 'ABACUS'; it has .*CPU"):
            open_graph(exported_default, runtime="openvino", providers=("ABACUS",))
        with pytest.raises(DarkposeError, match=r"openvino cannot run it: (?!Exception from)\S+"):
            open_graph(exported_default, runtime="openvino", providers=("CPU.3",))
        chosen = open_graph(exported_default, runtime="openvino", providers=("CPU", "CPU"))
        assert "CPU" in chosen.name
        assert "fp32" in chosen.name
        assert len(chosen(np.zeros((2, 256, 256, 3), np.uint8), np.zeros((2, 2, 3)))["keypoints"]) == 2
    with pytest.raises(DarkposeError, match="expected a sequence of providers, got the text 'CPU"):
        open_graph(exported_default, providers="CPUExecutionProvider")
    with pytest.raises(DarkposeError, match="onnxruntime does not calculate in bf16"):
        open_graph(exported_default, runtime="onnxruntime", numbers="bf16")
    with pytest.raises(DarkposeError, match="threads must be a whole number of at least 1, got 0"):
        open_graph(exported_default, threads=0)
    with pytest.raises(DarkposeError, match="an exported file runs by openvino or onnxruntime, not by 'torch'"):
        open_graph(exported_default, runtime="torch")
    monkeypatch.setattr("darkpose.runtime.exported.installed", lambda: [])
    with pytest.raises(DarkposeError, match=r"pip install 'darkpose\[openvino\]' or 'darkpose\[onnxruntime\]'"):
        open_graph(exported_default)
    for name in RUNTIMES:
        with pytest.raises(DarkposeError, match=rf"pip install 'darkpose\[{name}\]'"):
            open_graph(exported_default, runtime=name)
