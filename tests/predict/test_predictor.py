"""A photo in, landmarks out."""

import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import each_slow
from darkpose.codec.heatmap import decode
from darkpose.detect.boxes import BoxCorrection, Detections
from darkpose.detect.face_detector import FaceDetector
from darkpose.detect.haar import Haar
from darkpose.detect.yunet import YuNet
from darkpose.errors import DarkposeError
from darkpose.evaluation.fitting import fit_shape_prior
from darkpose.image.geometry import image_to_crop
from darkpose.image.pixels import Pixels, read_image, warp_image
from darkpose.network.checkpoint import Checkpoint, save_checkpoint
from darkpose.network.hrnet import HRNet
from darkpose.network.load import load_checkpoint
from darkpose.predict import predictor as module
from darkpose.predict.covariance import calibrated
from darkpose.predict.predictor import Predictor
from darkpose.runtime.network import Runtime
from darkpose.runtime.open import RUNTIMES, Engine, open_weights
from darkpose.schema import AFLW_19, WFLW_98
from darkpose.weights.calibrations import Calibration, file_beside, write_calibrations
from darkpose.weights.checkpoint import CheckpointConfig, HRNetConfig

BOX = [178.0, 65.0, 270.0, 190.0]
INSTALLED = [name for name in RUNTIMES if find_spec(name)]


class OneFace:
    """A detector that finds the astronaut's face, in pictures wide enough."""

    name = "fake"
    correction = BoxCorrection(scale=0.9)

    def __call__(self, image: Pixels) -> Detections:
        boxes = np.array([BOX]) if image.shape[1] > 100 else np.zeros((0, 4))
        return Detections(boxes, np.full(len(boxes), 0.75))


@pytest.fixture(scope="module")
def predictor(small_weights: Path) -> Predictor:
    return Predictor(small_weights, "cpu", detector=OneFace(), batch_size=3)


@pytest.fixture(scope="module")
def image(astronaut: Path) -> Pixels:
    return read_image(astronaut)


def test_a_path_gives_a_list_of_faces(predictor: Predictor, astronaut: Path) -> None:
    (face,) = predictor(astronaut)
    assert face.keypoints.shape == (68, 2)
    assert face.scores.shape == (68,)
    assert face.box.tolist() == BOX
    assert (face.found_by, face.detection_score) == ("fake", 0.75)
    assert face.schema.name == "300w-68"
    assert face.aligned(64).shape == (64, 64, 3)


def test_paths_as_text_and_arrays_give_the_same_faces(predictor: Predictor, astronaut: Path, image: Pixels) -> None:
    by_path, by_array = predictor(str(astronaut))[0], predictor(image)[0]
    assert (by_path.keypoints == by_array.keypoints).all()


def test_a_list_gives_a_list_of_lists_in_order(predictor: Predictor, image: Pixels) -> None:
    faceless = np.zeros((50, 50, 3), np.uint8)
    found = predictor([image, faceless, image[:, ::-1]])
    assert [len(faces) for faces in found] == [1, 0, 1]
    assert predictor([]) == []


def test_a_shape_prior_draws_the_landmarks_by_their_scores_and_the_crops_box(
    small_weights: Path, image: Pixels
) -> None:
    points = np.random.default_rng(0).uniform(0, 90, (5, 68, 2))
    boxes = np.concatenate([points.min(1), points.max(1)], 1)
    prior = fit_shape_prior(points, boxes, load_checkpoint(small_weights).schema)
    (plain,) = Predictor(small_weights, "cpu", detector=OneFace())(image)
    predictor = Predictor(small_weights, "cpu", detector=OneFace(), shape_prior=prior)
    (drawn,) = predictor(image)
    (region,) = predictor.regions(image)
    expected = prior(plain.keypoints[None], plain.scores[None], region.crop_box[None])[0]
    np.testing.assert_allclose(drawn.keypoints, expected, rtol=0, atol=1e-3)
    assert (drawn.scores == plain.scores).all()
    assert predictor.facts()["shape_prior"] == prior.digest()
    with pytest.raises(DarkposeError, match="wflw-98: the shape prior has the schema wflw-98, the landmarks 300w-68"):
        Predictor(small_weights, "cpu", shape_prior="wflw-98")
    fewer = replace(prior, mean=prior.mean[:67], modes=prior.modes[:, :67])
    with pytest.raises(DarkposeError, match="the shape prior has 67 landmarks, expected the 68 of 300w-68"):
        Predictor(small_weights, "cpu", shape_prior=fewer)


def test_batches_change_nothing(small_weights: Path, image: Pixels) -> None:
    images = [np.roll(image, 7 * i, axis=1) for i in range(5)]
    # Random weights make flat maps, on which DARK's step magnifies rounding: compare without it.
    singly = Predictor(small_weights, "cpu", detector=OneFace(), method="quarter")
    in_pairs = Predictor(small_weights, "cpu", detector=OneFace(), method="quarter", batch_size=2)
    each, together = [singly(one)[0] for one in images], [faces[0] for faces in in_pairs(images)]
    for one, other in zip(each, together, strict=True):
        assert (one.keypoints == other.keypoints).all()
        scale = np.abs(one.scores).max()  # of the sums that the processor rounds, in another order for other batches
        np.testing.assert_allclose(one.scores / scale, other.scores / scale, rtol=0, atol=1e-6)


def test_given_boxes_come_back_in_their_order(predictor: Predictor, image: Pixels) -> None:
    boxes = [[10.0, 20.0, 110.0, 140.0], BOX]
    faces = predictor(image, boxes)
    assert [face.box.tolist() for face in faces] == boxes
    assert {face.found_by for face in faces} == {"given"}
    assert np.isnan(faces[0].detection_score)


def test_no_boxes_mean_no_faces(predictor: Predictor, image: Pixels) -> None:
    assert predictor(image, []) == []
    assert predictor(image, np.zeros((0, 4))) == []


def test_each_image_of_a_list_has_its_own_boxes(predictor: Predictor, image: Pixels) -> None:
    found = predictor([image, image, image], [[BOX], None, [BOX, BOX]])
    assert [[face.found_by for face in faces] for faces in found] == [["given"], ["fake"], ["given", "given"]]
    with pytest.raises(DarkposeError, match="boxes for each of 2 images, got 1"):
        predictor([image, image], [[BOX]])


def test_keypoints_move_with_the_picture(predictor: Predictor, image: Pixels) -> None:
    moved = np.roll(image, (16, 32), axis=(0, 1))
    box = np.array([BOX])
    here = predictor(image, box, "square")[0].keypoints
    there = predictor(moved, box + np.array([32, 16, 32, 16]), "square")[0].keypoints
    np.testing.assert_allclose(there - here, np.broadcast_to([32, 16], here.shape), atol=2e-3)


def test_landmark_boxes_are_grown_to_whole_pixels(predictor: Predictor, image: Pixels) -> None:
    tight = predictor(image, [[100.7, 60.2, 199.1, 159.9]], "landmarks")[0]
    whole = predictor(image, [[100, 60, 200, 160]], "square")[0]
    assert (tight.keypoints == whole.keypoints).all()
    assert tight.box.tolist() == [100.7, 60.2, 199.1, 159.9]


def test_detector_boxes_go_through_the_measured_correction(predictor: Predictor, image: Pixels) -> None:
    detected = predictor(image, [[100, 50, 200, 150]], "yunet")[0]
    side, y = 77.8, 100 + 12.8
    corrected = predictor(image, [[150 - side / 2, y - side / 2, 150 + side / 2, y + side / 2]], "square")[0]
    np.testing.assert_allclose(detected.keypoints, corrected.keypoints, atol=2e-3)


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        pytest.param([[0, 0, float("nan"), 9]], "box 0 is .*must be finite", id="nan"),
        pytest.param([BOX, [0, 0, float("inf"), 9]], "box 1 is .*must be finite", id="infinite"),
        pytest.param([[-1e300, -1e300, 1e300, 1e300]], r"no number may exceed 1e\+06 px", id="astronomical"),
        pytest.param([[50, 10, 50, 60]], "x0 < x1", id="no width"),
        pytest.param([[60, 10, 50, 60]], "x0 < x1", id="corners swapped"),
        pytest.param([[600, 10, 700, 60]], "outside the image of 512 x 512", id="right of the image"),
        pytest.param([[-90, -90, -10, -10]], "outside the image", id="left of the image"),
        pytest.param([1, 2, 3, 4], r"must be \(M, 4\)", id="one box without its list"),
        pytest.param([[1, 2, 3]], r"must be \(M, 4\)", id="three numbers"),
        pytest.param([["a", "b", "c", "d"]], "must be numbers", id="words"),
    ],
)
def test_boxes_that_cannot_be_are_one_clear_error(
    predictor: Predictor, image: Pixels, boxes: list[Any], message: str
) -> None:
    with pytest.raises(DarkposeError, match=message):
        predictor(image, boxes)


def test_an_unknown_box_kind_or_device_is_one_clear_error(
    predictor: Predictor, small_weights: Path, image: Pixels
) -> None:
    with pytest.raises(DarkposeError, match=r"box_kind must be one of detector, yunet.* got 'face'"):
        predictor(image, [BOX], "face")  # type: ignore[call-overload]
    for device in ("abacus", "cuda:99"):
        with pytest.raises(DarkposeError, match=f"device '{device}' cannot be used"):
            Predictor(small_weights, device)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"flip_test": "averge"}, "flip_test must be one of off, published, exact, got 'averge'"),
        ({"method": "drk"}, r"method must be one of argmax, quarter, dark, dark\+, got 'drk'"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"batch_size": 10**6}, "batch_size must be at most 4096, got 1000000"),
        ({"threads": 10**6}, "threads must be at most 1024, got 1000000"),
        ({"threads": True}, "threads must be a whole number of at least 1, got True"),
        ({"detector": "yolo"}, 'the detector must be "auto", "darkpose", "yunet", "haar" or .*, got .yolo'),
    ],
)
def test_settings_that_cannot_be_are_refused_before_the_first_image(
    small_weights: Path, setting: dict[str, Any], message: str
) -> None:
    with pytest.raises(DarkposeError, match=message):
        Predictor(small_weights, "cpu", **setting)


@pytest.mark.parametrize("image", [None, b"bytes", 7, [[1, 2]], [None]], ids=repr)
def test_what_is_no_image_is_one_clear_error(predictor: Predictor, image: Any) -> None:
    with pytest.raises(DarkposeError, match="expected a path"):
        predictor(image)


def test_a_box_partly_outside_and_a_tiny_picture_work(predictor: Predictor, image: Pixels) -> None:
    assert np.isfinite(predictor(image, [[-40, -40, 60, 60]])[0].keypoints).all()
    assert np.isfinite(predictor(np.zeros((1, 1, 3), np.uint8), [[0, 0, 1, 1]])[0].keypoints).all()


def test_the_input_is_not_modified(predictor: Predictor, image: Pixels) -> None:
    before = image.copy()
    predictor(image)
    assert (image == before).all()


@pytest.mark.parametrize(("flip_test", "kind"), [(False, "off"), (True, "published"), ("exact", "exact")])
def test_flip_test_is_off_published_or_exact(small_weights: Path, image: Pixels, flip_test: Any, kind: str) -> None:
    asked = Predictor(small_weights, "cpu", flip_test, detector=OneFace())(image)[0].scores
    named = Predictor(small_weights, "cpu", kind, detector=OneFace())(image)[0].scores  # type: ignore[arg-type]
    assert (asked == named).all()


@pytest.mark.parametrize(("name", "schema"), [("aflw", AFLW_19), ("wflw", WFLW_98)])
def test_the_whole_way_equals_the_reference_on_real_images(
    name: str, schema: Any, shared_data: Path, tmp_path: Path, rule_filled_hrnet: Callable[[int], HRNet]
) -> None:
    golden_file = shared_data.parent / "parity" / "golden" / f"g_e2e_{name}.npz"
    if not golden_file.exists():
        pytest.skip(f"needs {golden_file}")
    golden, config = np.load(golden_file), CheckpointConfig(HRNetConfig(len(schema)))
    weights = tmp_path / "rule.safetensors"
    save_checkpoint(Checkpoint(rule_filled_hrnet(len(schema)), config, schema, {}), weights)
    folder = shared_data / "openmmlab_samples" / name
    for kind, flip_test in (("noflip", False), ("flip", True)):
        predictor = Predictor(weights, "cpu", flip_test)
        for i, file in enumerate(golden["image"]):
            center, half = golden["center"][i].astype(float), 100 * float(golden["scale"][i][0])
            (face,) = predictor(folder / Path(str(file)).name, [[*(center - half), *(center + half)]], "square")
            expected, sure = golden[f"preds_{kind}"][i], golden[f"margin_{kind}"][i] > 1e-3
            error = np.abs(face.keypoints - expected[:, :2]).max(axis=1)
            # A nearly singular Hessian throws a point far out of its map and magnifies rounding as far.
            inside = np.abs(expected[:, :2] - center).max(axis=1) < 1.25 * half
            assert error[sure & inside].max() < 0.005
            assert (sure & inside).mean() > 0.9
            np.testing.assert_allclose(face.scores, expected[:, 2], atol=5e-4)


def test_published_landmark_boxes_give_the_published_crop(
    shared_data: Path, tmp_path: Path, rule_filled_hrnet: Callable[[int], HRNet]
) -> None:
    golden_file = shared_data.parent / "parity" / "golden" / "g_e2e_wflw.npz"
    if not golden_file.exists():
        pytest.skip(f"needs {golden_file}")
    expected = np.load(golden_file)["preds_noflip"]
    weights = tmp_path / "rule.safetensors"
    save_checkpoint(Checkpoint(rule_filled_hrnet(98), CheckpointConfig(HRNetConfig(98)), WFLW_98, {}), weights)
    folder = shared_data / "openmmlab_samples" / "wflw"
    published = json.loads((folder / "test_wflw.json").read_text())
    names = {image["id"]: image["file_name"] for image in published["images"]}
    first = published["annotations"][0]
    points = np.array(first["keypoints"]).reshape(-1, 3)[:, :2]
    box = [[*points.min(axis=0), *points.max(axis=0)]]
    (face,) = Predictor(weights, "cpu")(folder / names[first["image_id"]], box, "landmarks")
    assert np.median(np.abs(face.keypoints - expected[0, :, :2])) < 1e-3


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_finds_the_same_landmarks(small_weights: Path, image: Pixels) -> None:
    cpu, gpu = (Predictor(small_weights, device, detector=OneFace())(image)[0] for device in ("cpu", "cuda"))
    np.testing.assert_allclose(gpu.keypoints, cpu.keypoints, atol=0.05)


@pytest.fixture
def calibrated_weights(small_weights: Path, tmp_path: Path) -> Path:
    """Weights with a calibration beside them."""
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes(small_weights.read_bytes())
    floor = tuple(np.linspace(0.1, 0.5, 68).tolist())
    write_calibrations([Calibration("300w-68", 7.8, (0.5,) * 68, floor, {})], tmp_path / "mine.calibration.json")
    return weights


def test_covariances_are_calibrated_and_in_image_pixels(calibrated_weights: Path, image: Pixels) -> None:
    predictor = Predictor(calibrated_weights, "cpu", method="dark+", covariance=True)
    (face,) = predictor(image, [[100, 60, 200, 160]], "square")
    assert predictor.calibration is not None
    assert face.covariance is not None
    side = 125.0  # of the crop: padded
    crop = warp_image(image, image_to_crop([150, 110], side, (64, 64)), (64, 64))
    opened = open_weights(calibrated_weights, None, Engine())
    peaks = decode(np.asarray(opened.network(crop[None])), method="dark+", covariance=True).covariance
    assert peaks is not None
    expected = calibrated(peaks, predictor.calibration)[0] * (side / 16) ** 2
    assert np.isfinite(expected).any()
    np.testing.assert_allclose(face.covariance, expected, rtol=1e-3)
    plain = Predictor(calibrated_weights, "cpu", method="dark+")(image, [[100, 60, 200, 160]], "square")[0]
    assert plain.covariance is None
    assert (plain.keypoints == face.keypoints).all()


def test_without_a_calibration_for_the_markup_covariances_are_not_known(
    small_weights: Path, calibrated_weights: Path, image: Pixels
) -> None:
    other = file_beside(calibrated_weights)
    other.write_text(other.read_text().replace("300w-68", "my-68"))
    for weights in (small_weights, calibrated_weights):
        predictor = Predictor(weights, "cpu", covariance=True)
        (face,) = predictor(image, [BOX])
        assert predictor.calibration is None
        assert face.covariance is not None
        assert face.covariance.shape == (68, 2, 2)
        assert np.isnan(face.covariance).all()


def test_a_broken_calibration_and_a_method_without_covariance_are_refused(calibrated_weights: Path) -> None:
    with pytest.raises(DarkposeError, match='covariance needs the method "dark" or "dark\\+"'):
        Predictor(calibrated_weights, "cpu", method="quarter", covariance=True)
    write_calibrations([Calibration("300w-68", 7.8, (0.5,) * 67, (0.1,) * 67, {})], file_beside(calibrated_weights))
    with pytest.raises(DarkposeError, match=r"mine.calibration.json: .*68 landmarks of 300w-68, got one of 67"):
        Predictor(calibrated_weights, "cpu", covariance=True)
    file_beside(calibrated_weights).write_text("{")
    with pytest.raises(DarkposeError, match="not JSON"):
        Predictor(calibrated_weights, "cpu", covariance=True)
    Predictor(calibrated_weights, "cpu")  # which does not ask


def test_the_default_weights_say_how_far_their_landmarks_may_be_off(astronaut: Path) -> None:
    (face,) = Predictor(device="cpu", covariance=True)(astronaut, [[178, 90, 270, 182]], "square")
    assert face.covariance is not None
    standard = np.sqrt(np.linalg.eigvalsh(face.covariance) / (face.box[2] - face.box[0]) ** 2)
    assert (standard > 0.001).all()
    assert (standard < 0.1).all()


FORKED = """
import sys
from multiprocessing import get_context
from darkpose import Predictor

predictor = Predictor(sys.argv[1], detector="haar", runtime=sys.argv[4])
boxes = [[178, 65, 269, 176]]
own = predictor(sys.argv[2], boxes)[0].keypoints if sys.argv[3] == "called" else None

def find(_):
    return predictor(sys.argv[2], boxes)[0].keypoints

with get_context("fork").Pool(2) as pool:
    found = pool.map_async(find, range(2)).get(timeout=60)
assert abs(found[0] - (found[1] if own is None else own)).max() < 1e-3
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system with fork")
@pytest.mark.parametrize("before", ["called", *each_slow("made")])
@pytest.mark.parametrize("runtime", ["onnxruntime", *each_slow(*(name for name in INSTALLED if name != "onnxruntime"))])
def test_forked_processes_find_landmarks(astronaut: Path, before: str, runtime: str) -> None:
    call = [sys.executable, "-c", FORKED, "300w-small-dark", str(astronaut), before, runtime]
    done = subprocess.run(call, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("runtime", INSTALLED)
def test_a_predictor_can_be_pickled(small_weights: Path, astronaut: Path, runtime: Runtime) -> None:
    predictor = Predictor(small_weights, detector=Haar(), runtime=runtime)
    again = pickle.loads(pickle.dumps(predictor))
    for one, other in zip(predictor(astronaut, [BOX]), again(astronaut, [BOX]), strict=True):
        np.testing.assert_allclose(one.keypoints, other.keypoints, rtol=0, atol=1e-3)


def test_the_detector_is_looked_for_once_whichever_thread_comes_first(
    small_weights: Path, astronaut: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []

    def find(*_: object) -> Haar:
        looked.append(1)
        time.sleep(0.05)
        return Haar()

    monkeypatch.setattr(module, "named_detector", find)
    predictor = Predictor(small_weights, "cpu")
    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(predictor.regions, [astronaut] * 4))) == 4
    assert len(looked) == 1


def test_what_is_no_path_or_no_numbers_is_told(small_weights: Path) -> None:
    predictor = Predictor(small_weights, "cpu", detector=Haar())
    for path in ("a\0b.jpg", "\ud800.jpg"):
        with pytest.raises(DarkposeError, match="cannot be read"):
            predictor(path)
    image = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(DarkposeError, match="boxes must be numbers"):
        predictor(image, torch.tensor([[1.0, 2, 30, 40]], requires_grad=True))
    with pytest.raises(DarkposeError, match="boxes: some values are masked"):
        predictor(image, np.ma.array([[1, 2, 30, 40]], mask=[[False, False, True, False]]))
    with pytest.warns(PendingDeprecationWarning):
        assert predictor(np.matrix(image[..., 0])) == []


def test_a_pil_image_gives_the_faces_of_its_file(predictor: Predictor, astronaut: Path) -> None:
    from_file = pytest.importorskip("PIL.Image").open(astronaut)
    expected = predictor(astronaut)[0].keypoints
    for found in (predictor(from_file)[0], predictor([from_file])[0][0]):
        assert (found.keypoints == expected).all()


@pytest.mark.parametrize(("kind", "maker"), [("yunet", YuNet), ("haar", Haar), ("detector", OneFace)])
def test_given_boxes_get_the_correction_of_their_maker(
    predictor: Predictor, small_weights: Path, image: Pixels, kind: Any, maker: Any
) -> None:
    (region,) = predictor.regions(image, [BOX], kind)
    np.testing.assert_array_equal(region.crop_box, maker.correction([BOX])[0])
    if kind == "detector":
        (region,) = Predictor(small_weights, "cpu").regions(image, [BOX])
        np.testing.assert_array_equal(region.crop_box, FaceDetector.correction([BOX])[0])


def test_another_flip_test_uses_the_same_network_and_gives_the_landmarks_of_a_predictor_with_it(
    astronaut: Path,
) -> None:
    box = [[178, 65, 270, 190]]
    usual = Predictor(runtime="onnxruntime", detector="haar")
    flipped = usual.with_flip_test("published")
    assert usual.with_flip_test("off") is usual
    assert flipped._find.network is usual._find.network
    assert flipped.detector is usual.detector
    assert flipped.facts()["flip_test"] == "published"
    assert usual.facts()["flip_test"] == "off"
    whole = Predictor(runtime="onnxruntime", detector="haar", flip_test=True)
    np.testing.assert_array_equal(flipped(astronaut, box)[0].keypoints, whole(astronaut, box)[0].keypoints)
    with pytest.raises(DarkposeError, match="flip_test must be one of"):
        usual.with_flip_test("yes")  # type: ignore[arg-type]
