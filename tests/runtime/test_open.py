import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from darkpose.errors import DarkposeError
from darkpose.predict.predictor import Predictor
from darkpose.runtime.card import Precision
from darkpose.runtime.exported import Runtime, installed, open_graph

BOX = [[178, 90, 270, 182]]


def test_every_runtime_finds_the_astronauts_landmarks(
    exported_default: Path, astronaut: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the file, and by the weights' name: exported once into the cache, here the same file."""
    monkeypatch.setenv("DARKPOSE_CACHE", str(tmp_path))
    monkeypatch.setattr("darkpose.deploy.export.export_onnx", lambda *_: exported_default.read_bytes())
    torch_predictor = Predictor(device="cpu", covariance=True)
    (expected,) = torch_predictor(astronaut, BOX)
    assert torch_predictor.runtime.startswith("torch ")
    ways: list[tuple[str | Path, Runtime]] = [
        (weights, runtime) for weights in ("default", exported_default) for runtime in installed()
    ]
    for weights, runtime in ways:
        predictor = Predictor(weights, runtime=runtime, covariance=True, threads=1)
        (face,) = predictor(astronaut, BOX)
        assert predictor.runtime.startswith(runtime)
        assert predictor.schema == torch_predictor.schema
        assert predictor.facts() == torch_predictor.facts()
        np.testing.assert_allclose(face.keypoints, expected.keypoints, rtol=0, atol=2e-3)
        np.testing.assert_allclose(face.scores, expected.scores, rtol=0, atol=1e-4)
        assert face.covariance is not None
        assert expected.covariance is not None
        np.testing.assert_allclose(face.covariance, expected.covariance, rtol=0.02, atol=0.02)
    assert len(list((tmp_path / "graphs").iterdir())) == 1


def test_a_network_in_bfloat16_finds_nearly_the_same(astronaut: Path) -> None:
    full, half = (Predictor(device="cpu", numbers=numbers) for numbers in ("fp32", "bf16"))
    distances = np.linalg.norm(full(astronaut, BOX)[0].keypoints - half(astronaut, BOX)[0].keypoints, axis=1)
    assert 0 < np.median(distances) < 0.25
    assert "bf16" in half.runtime
    assert full.facts() != half.facts()


def test_what_rounds_differently_by_runtime_is_told_apart(
    exported_default: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results of int8 files of two runtimes are not of one run; those of fp32 are."""
    cases: list[tuple[Precision, bool]] = [("fp32", False), ("int8", True)]
    for precision, told in cases:
        for runtime in installed():
            runner = open_graph(exported_default, runtime=runtime)
            marked = replace(runner, card=replace(runner.card, precision=precision))
            monkeypatch.setattr(open, "open_graph", lambda *_, marked=marked, **__: marked)
            assert Predictor(exported_default).facts().get("runtime") == (runtime if told else None)
    assert Predictor(device="cpu", numbers="bf16").facts()["runtime"] == "torch"


def test_covariances_of_a_file_whose_decoder_has_none_are_refused(
    exported_default: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = open_graph(exported_default)
    quarter = replace(runner, card=replace(runner.card, method="quarter"))
    monkeypatch.setattr(open, "open_graph", lambda *_, **__: quarter)
    with pytest.raises(DarkposeError, match=r"covariance needs the method .* the file has 'quarter' built in"):
        Predictor(exported_default, covariance=True)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"schema": "wflw-98"}, "it has schema '300w-68' built in, not 'wflw-98'; export it again"),
        ({"flip_test": True}, "it has flip_test 'off' built in, not 'published'"),
        ({"method": "dark+"}, r"it has method 'dark' built in, not 'dark\+'"),
        ({"runtime": "torch"}, r"torch does not run \.onnx files"),
        ({"device": "cuda"}, "the device 'cuda' is torch's; for exported files name providers"),
    ],
)
def test_a_file_made_for_something_else_is_refused(
    exported_default: Path, asked: dict[str, object], message: str
) -> None:
    with pytest.raises(DarkposeError, match=message):
        Predictor(exported_default, **asked)  # type: ignore[arg-type]
    Predictor(exported_default, schema="300w-68", flip_test=False, method="dark")  # as it is


def test_what_only_some_runtimes_know_is_refused_of_the_others(small_weights: Path) -> None:
    with pytest.raises(DarkposeError, match="for torch name a device"):
        Predictor(small_weights, providers=("CUDAExecutionProvider",))
    with pytest.raises(DarkposeError, match="the device 'cuda' is torch's; for openvino name providers"):
        Predictor(small_weights, "cuda", runtime="openvino")
    with pytest.raises(DarkposeError, match="runtime must be one of auto, torch, onnxruntime, openvino, got 'tvm'"):
        Predictor(small_weights, runtime="tvm")  # type: ignore[arg-type]
    with pytest.raises(DarkposeError, match="numbers must be one of fp32, bf16, got 'int4'"):
        Predictor(small_weights, numbers="int4")  # type: ignore[arg-type]
    with pytest.raises(DarkposeError, match="threads must be a whole number of at least 1, got 0"):
        Predictor(small_weights, threads=0)


def test_an_unverified_file_is_no_name_for_a_predictor(exported_default: Path, tmp_path: Path) -> None:
    shutil.copy(exported_default, tmp_path / "x.onnx.unverified")
    with pytest.raises(DarkposeError, match="expected a checkpoint that ends in one of"):
        Predictor(tmp_path / "x.onnx.unverified")
