"""The weights that darkpose comes with."""

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch

from darkpose import Predictor, load_checkpoint
from darkpose.checkpoint import Checkpoint
from darkpose.datasets.w300 import LFPW_TEST_FOLDERS, read_300w
from darkpose.inference import CropDecoder
from darkpose.predict_samples import predict_samples, samples_nme


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return load_checkpoint("default")


def test_the_package_holds_one_checkpoint_of_about_19_megabytes_and_its_card() -> None:
    folder = files("darkpose") / "weights"
    names = sorted(file.name for file in folder.iterdir())
    assert names == ["300w-hrnetv2-w18-dark.safetensors", "README.md"]
    assert 19e6 < len((folder / names[0]).read_bytes()) < 20.5e6


def test_the_checkpoint_says_what_it_is_and_where_it_comes_from(checkpoint: Checkpoint) -> None:
    assert checkpoint.schema.name == "300w-68"
    assert checkpoint.config.crop_size == 256
    assert {"recipe", "commit", "hardware", "runs", "validation_nme", "terms"} <= set(checkpoint.provenance)
    assert "research" in checkpoint.provenance["terms"]


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


def test_unseen_faces_are_found_within_the_stated_error(checkpoint: Checkpoint, shared_data: Path) -> None:
    samples = read_300w(shared_data / "300w", LFPW_TEST_FOLDERS)[::4]
    decoder = CropDecoder(
        checkpoint.model.to(memory_format=torch.channels_last),  # type: ignore[call-overload]
        checkpoint.config.normalisation,
        checkpoint.schema.flip_index,
        batch_size=8,
    )
    found = predict_samples(decoder, samples, checkpoint.schema, crop_size=256, padding=checkpoint.config.padding)
    assert samples_nme(found.points, samples, checkpoint.schema) < 0.036  # a quarter of LFPW test; its spread is wide
