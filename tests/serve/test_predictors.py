"""One predictor for each schema and flip test; one network for each schema, one detector for all."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from darkpose.errors import DarkposeError
from darkpose.serve.predictors import Predictors
from darkpose.weights.checkpoint import open_checkpoint
from darkpose.weights.zoo import weights_file


def test_predictors_are_made_once_and_share_networks_and_the_detector(predictors: Predictors) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: predictors.get("wflw-98", "published"), range(8)))
    assert len(set(map(id, made))) == 1
    assert made[0].schema.name == "wflw-98"
    assert made[0]._find.flip_test == "published"
    usual = predictors.get("wflw-98")
    assert usual._find.network is made[0]._find.network
    assert usual.detector is made[0].detector is predictors.first.detector
    assert predictors.get() is predictors.get("300w-68") is predictors.get("300w-68", "off") is predictors.first


def test_the_schema_asked_for_is_the_default_and_comes_first() -> None:
    found = Predictors({"runtime": "onnxruntime", "detector": "haar", "schema": "aflw-19"})
    assert next(iter(found.schemas)) == found.get().schema.name == "aflw-19"
    assert set(found.schemas) == {"300w-68", "wflw-98", "aflw-19"}
    with pytest.raises(DarkposeError, match=r"schema: expected one of aflw-19, .*got 'x'"):
        found.get("x")


def test_named_weights_know_the_schemas_of_their_file() -> None:
    found = Predictors({"weights": "300w-small-dark", "runtime": "onnxruntime", "detector": "haar"})
    parts = open_checkpoint(weights_file("300w-small-dark")).schema.parts
    assert (found.weights, list(found.schemas)) == ("300w-small-dark", [part.name for part in parts])


def test_a_file_of_weights_is_told_by_its_name_alone(small_weights: Path) -> None:
    found = Predictors({"weights": str(small_weights), "detector": "haar"})
    assert (found.weights, list(found.schemas)) == (small_weights.name, ["300w-68"])


def test_an_exported_file_keeps_what_is_built_in(exported_small: Path) -> None:
    found = Predictors({"weights": str(exported_small), "runtime": "onnxruntime", "detector": "haar"})
    assert list(found.schemas) == ["300w-68"]
    assert found.get("300w-68", "off") is found.first
    with pytest.raises(DarkposeError, match="built in"):
        found.get("300w-68", "published")


def test_a_decoder_without_covariances_is_served_without_them(client: Any, astronaut: Path) -> None:
    found = Predictors({"method": "argmax", "runtime": "onnxruntime", "detector": "haar"})
    assert not found.has_covariance
    with client(found) as service:
        query = "boxes=178,65,270,190"
        assert "dark+" in service.post(f"/v1/landmarks?{query}&covariance=true", content=b"x").json()["error"]
        (face,) = service.post(f"/v1/landmarks?{query}", content=astronaut.read_bytes()).json()["faces"]
    assert "covariances" not in face
