"""The weights that darkpose comes with."""

from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from darkpose import Predictor, load_checkpoint
from darkpose.datasets.w300 import LFPW_TEST_FOLDERS, read_300w
from darkpose.evaluation.predict_samples import predict_samples, samples_nme
from darkpose.network.checkpoint import Checkpoint
from darkpose.predict.landmarks import LandmarkFinder
from darkpose.runtime.open import Engine, open_weights
from darkpose.weights.calibrations import file_beside, read_calibrations
from darkpose.weights.zoo import FACES, SHIPPED, SMALL, W300_ONLY, shipped_file


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return load_checkpoint("default")


def test_the_package_holds_checkpoints_of_about_19_and_7_megabytes_and_their_cards() -> None:
    folder = files("darkpose") / "weights" / "shipped"
    names = sorted(file.name for file in folder.iterdir())
    graphs = (f"{schema}.onnx" for schema in ("300w-68", "wflw-98", "aflw-19"))
    endings = ("md", "safetensors", "calibration.json", *graphs)
    prior = ["wflw-98.prior.md", "wflw-98.prior.safetensors"]
    detector = [f"face-detector.{ending}" for ending in ("md", "onnx", "safetensors")]
    assert names == sorted([*(f"{name}.{end}" for name in SHIPPED for end in endings), *prior, *detector])
    megabytes = {name: len((folder / f"{name}.safetensors").read_bytes()) / 1e6 for name in SHIPPED}
    assert megabytes == pytest.approx({W300_ONLY: 19.8, FACES: 19.8, SMALL: 7.3}, abs=0.5)


def test_the_cards_name_the_files_digests() -> None:
    folder = files("darkpose") / "weights" / "shipped"
    for name in (*SHIPPED, "face-detector"):
        digest = sha256((folder / f"{name}.safetensors").read_bytes()).hexdigest()
        assert digest in (folder / f"{name}.md").read_text(encoding="utf-8")


def test_calibrations_were_fitted_to_the_weights_that_they_lie_beside() -> None:
    for name in SHIPPED:
        file = shipped_file(name)
        for calibration in read_calibrations(file_beside(file)).values():
            assert calibration.fitted["weights_sha256"] == sha256(file.read_bytes()).hexdigest(), name


def test_the_checkpoint_says_what_it_is_and_where_it_comes_from(checkpoint: Checkpoint) -> None:
    assert checkpoint.schema.name == "300w-68"
    assert checkpoint.config.crop_size == 256
    assert {"recipe", "commit", "hardware", "runs", "validation_nme", "terms"} <= set(checkpoint.provenance)
    assert "research" in checkpoint.provenance["terms"]


def test_the_weights_know_three_markups_and_have_learnt_from_no_published_test_face() -> None:
    whole = load_checkpoint("default", whole=True)
    assert [part.name for part in whole.schema.parts] == ["300w-68", "wflw-98", "aflw-19"]
    assert not whole.provenance.get("test_images_learnt")
    assert "WFLW" not in whole.provenance["terms"]


def test_the_weights_that_have_learnt_from_wflws_test_faces_say_so() -> None:
    whole = load_checkpoint(FACES, whole=True)
    assert [part.name for part in whole.schema.parts] == ["300w-68", "wflw-98", "aflw-19"]
    assert len(whole.provenance["test_images_learnt"]) > 200
    assert "WFLW's test set" in whole.provenance["terms"]


def test_the_default_for_a_markup_is_the_best_of_the_shipped_at_it() -> None:
    assert load_checkpoint("default", schema="wflw-98").provenance["name"] == FACES
    assert all(load_checkpoint("default", schema=name).provenance["name"] == W300_ONLY for name in (None, "300w-68"))


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_the_markups_agree_where_they_share_a_landmark(astronaut: Path) -> None:
    box = [[165.0, 65, 285, 185]]
    found = {
        name: Predictor(device="cpu", schema=name)(astronaut, box)[0] for name in ("300w-68", "wflw-98", "aflw-19")
    }
    assert {name: len(face.keypoints) for name, face in found.items()} == {"300w-68": 68, "wflw-98": 98, "aflw-19": 19}
    for landmark in ("left_eye_outer_corner", "right_mouth_corner", "chin"):
        places = np.stack([face[landmark] for face in found.values()])
        assert np.ptp(places, axis=0).max() < 2, landmark


@pytest.mark.usefixtures("offline")
def test_the_astronaut_is_found_as_a_person_sees_her(astronaut: Path) -> None:
    (face,) = Predictor(device="cpu")(astronaut)
    seen = {  # read off the photograph by eye, image px
        "left_eye_outer_corner": (193, 102),
        "right_eye_outer_corner": (258, 103),
        "nose_bridge_3": (225, 127),
        "left_mouth_corner": (203, 141),
        "right_mouth_corner": (244, 141),
        "chin": (223, 178),
    }
    for name, place in seen.items():
        assert np.linalg.norm(face[name] - place) < 5, f"{name}: {face[name]}"
    assert face.score > 0.6
    assert face.scores.min() > 0.2


@pytest.mark.slow
def test_unseen_faces_are_found_within_the_stated_error(shared_data: Path) -> None:
    samples = read_300w(shared_data / "300w", LFPW_TEST_FOLDERS)[::4]
    opened = open_weights("default", "300w-68", Engine(runtime="onnxruntime"))
    find, padding = LandmarkFinder(opened.network, opened.schema, batch_size=8), opened.config.padding
    found = predict_samples(find, samples, crop_size=256, padding=padding)
    assert samples_nme(found.keypoints, samples, opened.schema) < 0.036  # a quarter of LFPW test; its spread is wide
