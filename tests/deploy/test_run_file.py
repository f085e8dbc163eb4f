import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from darkpose.deploy.export import ExportOptions, export_program
from darkpose.deploy.face_crops import FaceCrops, drawn_crops
from darkpose.deploy.run_file import FileRunner, crop_matrices, file_runtimes, open_file, open_program
from darkpose.errors import DarkposeError
from darkpose.image.geometry import crop_to_image
from darkpose.network.load import load_checkpoint
from darkpose.runtime.network import Runtime
from darkpose.weights.calibrations import Calibration

pytest.importorskip("onnxruntime")
HERE = file_runtimes()


@pytest.fixture(scope="module")
def faces() -> FaceCrops:
    return drawn_crops(3, load_checkpoint("300w-small-dark").config)


@pytest.fixture(scope="module")
def runner(exported_small: Path) -> FileRunner:
    return open_file(exported_small, "onnxruntime")


def test_crop_matrices_take_crop_px_to_image_px() -> None:
    center, sides = np.array([[10.0, 20.0], [3.5, 4.5]]), np.array([[64.0, 64.0], [7.0, 7.0]])
    found = crop_matrices(center, sides, 64)
    for matrix, middle, side in zip(found, center, sides, strict=True):
        np.testing.assert_array_equal(matrix, crop_to_image(middle, side[0], (64, 64)))
    assert crop_matrices(center[:0], sides[:0], 64).shape == (0, 2, 3)


@pytest.mark.parametrize("runtime", HERE)
def test_every_runtime_gives_the_same_landmarks_one_by_one_and_together(
    exported_small: Path, runner: FileRunner, faces: FaceCrops, runtime: Runtime
) -> None:
    matrices = crop_matrices(faces.center, faces.sides, 256)
    expected, other = runner(faces.crops, matrices), open_file(exported_small, runtime)
    assert runtime in other.name
    together = other(faces.crops, matrices)
    assert list(together) == ["keypoints", "scores", "covariance", "heatmaps"]
    for name, tolerance in (("keypoints", 2e-3), ("scores", 1e-4), ("heatmaps", 1e-4)):
        np.testing.assert_allclose(together[name], expected[name], rtol=0, atol=tolerance)
    np.testing.assert_allclose(together["covariance"], expected["covariance"], rtol=0.02, atol=0.02)
    alone = [other(faces.crops[i : i + 1], matrices[i : i + 1])["keypoints"][0] for i in range(3)]
    np.testing.assert_allclose(np.stack(alone), together["keypoints"], rtol=0, atol=2e-3)


def test_landmarks_of_any_number_of_crops_are_the_outputs_of_the_file(
    runner: FileRunner, faces: FaceCrops, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = runner(faces.crops, crop_matrices(faces.center, faces.sides, 256))
    monkeypatch.setattr("darkpose.deploy.run_file.BATCH", 2)
    found = runner.find(faces.crops, faces.center, faces.sides)
    assert found.covariance is not None
    for name, values in (("keypoints", found.keypoints), ("scores", found.scores), ("covariance", found.covariance)):
        np.testing.assert_allclose(values, expected[name], rtol=1e-2, atol=2e-3)


def test_a_program_without_darkpose_gets_the_landmarks(
    exported_small: Path, runner: FileRunner, faces: FaceCrops, tmp_path: Path
) -> None:
    matrices = crop_matrices(faces.center, faces.sides, 256).astype(np.float32)
    np.savez(tmp_path / "faces.npz", crops=faces.crops, matrices=matrices)
    program = (
        "import sys; sys.modules['darkpose'] = None; sys.modules['torch'] = None\n"
        "import json, numpy as np, onnxruntime\n"
        f"faces = np.load({str(tmp_path / 'faces.npz')!r})\n"
        f"session = onnxruntime.InferenceSession({str(exported_small)!r})\n"
        "inputs = {'crops': faces['crops'], 'matrices': faces['matrices']}\n"
        "keypoints, scores = session.run(['keypoints', 'scores'], inputs)\n"
        "names = json.loads(session.get_modelmeta().custom_metadata_map['darkpose'])['schema']['names']\n"
        "assert len(names) == keypoints.shape[1] == 68\n"
        f"np.save({str(tmp_path / 'found.npy')!r}, keypoints)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
    expected = runner(faces.crops, matrices)["keypoints"]
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), expected, rtol=0, atol=1e-3)


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
    runner: FileRunner, crops: np.ndarray, matrices: int, message: str
) -> None:
    with pytest.raises(DarkposeError, match=message):
        runner(crops, np.zeros((matrices, 2, 3)))


def test_a_matrix_that_is_not_finite_is_refused_by_its_crop(runner: FileRunner) -> None:
    matrices = np.zeros((3, 2, 3))
    matrices[1, 0, 2] = np.nan
    with pytest.raises(DarkposeError, match=r"finite .* matrix of crop 1"):
        runner(np.zeros((3, 256, 256, 3), np.uint8), matrices)


@pytest.mark.parametrize("runtime", HERE)
def test_a_file_that_was_changed_is_refused(exported_small: Path, tmp_path: Path, runtime: Runtime) -> None:
    data = bytearray(exported_small.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "changed.onnx").write_bytes(data)
    with pytest.raises(DarkposeError, match=r"changed\.onnx: its checksum does not match"):
        open_file(tmp_path / "changed.onnx", runtime)


def test_only_installed_runtimes_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("darkpose.deploy.run_file.find_spec", lambda name: None if name == "openvino" else name)
    assert file_runtimes() == ["onnxruntime"]


@pytest.mark.slow
def test_a_program_of_torch_export_gives_what_its_card_says(small_weights: Path, tmp_path: Path) -> None:
    calibration = Calibration("300w-68", 7.8, (0.5,) * 68, (0.2,) * 68, {})
    (tmp_path / "x.pt2").write_bytes(export_program(load_checkpoint(small_weights), ExportOptions(), calibration))
    program = open_program(tmp_path / "x.pt2")
    assert program.card.calibration == calibration
    found = program(np.zeros((3, 64, 64, 3), np.uint8), np.tile(np.eye(2, 3, dtype=np.float32), (3, 1, 1)))
    assert {name: value.shape for name, value in found.items()} == {
        "keypoints": (3, 68, 2),
        "scores": (3, 68),
        "covariance": (3, 68, 2, 2),
    }
