"""YuNet and its file."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from darkpose.datasets.w300 import LFPW_TEST_FOLDERS, read_300w
from darkpose.detect import yunet as module
from darkpose.detect.yunet import YuNet, find_yunet
from darkpose.errors import DarkposeError
from darkpose.image.pixels import read_image


@pytest.fixture
def yunet(shared_data: Path) -> Path:
    return shared_data / "yunet_n_320_320.onnx"


def test_yunet_finds_the_astronaut_at_every_size(astronaut: Path, yunet: Path) -> None:
    image, detect = read_image(astronaut), YuNet(yunet)
    for factor in (0.5, 1.0, 4.0):  # the last is larger than the size searched
        size = (round(512 * factor), round(512 * factor))
        found = detect(np.asarray(cv2.resize(image, size), np.uint8))
        best = found.boxes[0] / factor
        assert found.scores[0] > 0.8
        assert best == pytest.approx([178, 65, 270, 176], abs=10)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 700, 3), (33, 47, 3)])
def test_yunet_finds_nothing_in_an_empty_picture(yunet: Path, shape: tuple[int, ...]) -> None:
    assert len(YuNet(yunet)(np.zeros(shape, np.uint8)).boxes) == 0


def test_corrected_yunet_boxes_lie_on_the_landmarks_of_unseen_faces(shared_data: Path, yunet: Path) -> None:
    detect, shifts, scales = YuNet(yunet), [], []
    for sample in read_300w(shared_data / "300w", LFPW_TEST_FOLDERS)[:30]:
        found = detect(read_image(sample.image))
        corrected = detect.correction(found.boxes)
        distance = np.abs(corrected - sample.box).sum(axis=1)
        best, side = corrected[distance.argmin()], (sample.box[2:] - sample.box[:2]).max()
        shifts.append((best[:2] + best[2:] - sample.box[:2] - sample.box[2:]) / 2 / side)
        scales.append((best[2] - best[0]) / side)
    assert np.abs(np.median(shifts, axis=0)).max() < 0.03
    assert abs(np.median(scales) - 1) < 0.05


def test_one_yunet_serves_many_threads(astronaut: Path, yunet: Path) -> None:
    image, detect = read_image(astronaut), YuNet(yunet)
    pictures = [image[:, : 512 - 24 * i] for i in range(4)] * 4
    alone = [detect(picture).boxes.tolist() for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        assert [found.boxes.tolist() for found in pool.map(detect, pictures)] == alone


def test_yunet_goes_to_other_processes_with_its_settings(astronaut: Path, yunet: Path, tmp_path: Path) -> None:
    copied, image = tmp_path / "yunet.onnx", read_image(astronaut)
    copied.write_bytes(yunet.read_bytes())
    detect = YuNet(copied, threshold=0.99, longest_side=200)
    copied.unlink()  # as on a machine that does not have it there
    there = pickle.loads(pickle.dumps(detect))
    assert there(image).boxes.tolist() == detect(image).boxes.tolist()
    assert len(there(image).boxes) < len(YuNet(yunet)(image).boxes)


def test_a_missing_or_damaged_yunet_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match="expected the YuNet file"):
        YuNet(tmp_path / "missing.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"not a network")
    with pytest.raises(DarkposeError, match=r"broken\.onnx: OpenCV cannot load it"):
        YuNet(tmp_path / "broken.onnx")


def test_another_network_is_refused_when_it_is_loaded(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    for operator, message in (("Relu", "Layer with requested id"), ("NoSuchOperator", "NoSuchOperator")):
        node = helper.make_node(operator, ["x"], ["y"])
        values = [helper.make_tensor_value_info(name, kind, [1, 3, 320, 320]) for name in "xy"]
        graph = helper.make_graph([node], "g", values[:1], values[1:])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=7)
        (tmp_path / "other.onnx").write_bytes(model.SerializeToString())
        with pytest.raises(DarkposeError, match=rf"other\.onnx: OpenCV cannot load it as a YuNet detector .*{message}"):
            YuNet(tmp_path / "other.onnx")
    assert not capfd.readouterr().err  # OpenCV itself says nothing


def test_the_environment_names_the_yunet_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DARKPOSE_YUNET", str(tmp_path / "mine.onnx"))
    assert find_yunet() == tmp_path / "mine.onnx"


def test_without_the_environment_yunet_is_fetched_with_its_full_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, Path, str]] = []

    def fetch(url: str, target: Path, *, sha256_prefix: str) -> Path:
        asked.append((url, target, sha256_prefix))
        return target

    monkeypatch.delenv("DARKPOSE_YUNET", raising=False)
    monkeypatch.setattr(module, "fetch", fetch)
    assert find_yunet().name == "yunet_n_320_320.onnx"
    assert asked[0][0].startswith("https://")
    assert len(asked[0][2]) == 64
