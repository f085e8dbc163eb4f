import shutil
from contextlib import nullcontext
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from darkpose.errors import DarkposeError
from darkpose.predict.face import Face
from darkpose.predict.predictor import Predictor
from darkpose.runtime import open as module
from darkpose.runtime.card import Precision
from darkpose.runtime.exported import open_exported
from darkpose.runtime.network import Runtime
from darkpose.runtime.open import RUNTIMES, TORCH_NEEDS, Engine, check_address_space, resolve_engine
from needed import needs

BOX = [[178, 90, 270, 182]]
INSTALLED = [name for name in RUNTIMES if find_spec(name)]


@pytest.fixture(scope="module")
def by_torch(astronaut: Path) -> Face:
    pytest.importorskip("torch")
    return Predictor(runtime="torch", device="cpu", covariance=True)(astronaut, BOX)[0]


@pytest.fixture(scope="module")
def small_by_torch(astronaut: Path) -> Face:
    pytest.importorskip("torch")
    return Predictor("300w-small-dark", runtime="torch", device="cpu", covariance=True)(astronaut, BOX)[0]


@pytest.mark.parametrize("runtime", INSTALLED)
def test_every_runtime_finds_the_landmarks_of_torch(astronaut: Path, by_torch: Face, runtime: Runtime) -> None:
    predictor = Predictor(runtime=runtime, covariance=True)
    (face,) = predictor(astronaut, BOX)
    assert predictor.runtime.startswith(f"{runtime} ")
    assert face.runtime == runtime
    np.testing.assert_allclose(face.keypoints, by_torch.keypoints, rtol=0, atol=1e-3)
    np.testing.assert_allclose(face.scores, by_torch.scores, rtol=0, atol=1e-4)
    assert face.covariance is not None
    assert by_torch.covariance is not None
    np.testing.assert_allclose(face.covariance, by_torch.covariance, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("runtime", [each for each in INSTALLED if each != "torch"])
def test_an_exported_file_is_a_network_like_the_weights_that_it_was_made_of(
    exported_small: Path, astronaut: Path, small_by_torch: Face, runtime: Runtime
) -> None:
    predictor, original = (Predictor(w, runtime=runtime, covariance=True) for w in (exported_small, "300w-small-dark"))
    (face,) = predictor(astronaut, BOX)
    assert predictor.facts() == original.facts()
    assert predictor.schema == original.schema
    np.testing.assert_allclose(face.keypoints, small_by_torch.keypoints, rtol=0, atol=1e-3)
    assert face.covariance is not None
    assert small_by_torch.covariance is not None
    np.testing.assert_allclose(face.covariance, small_by_torch.covariance, rtol=1e-3, atol=1e-3)


def test_auto_is_the_fastest_runtime_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "has_nvidia_driver", lambda: False)
    for here, expected in (
        (("torch", "onnxruntime", "openvino"), "openvino"),
        (("torch", "onnxruntime"), "onnxruntime"),
        (("torch",), "torch"),
    ):
        monkeypatch.setattr(module, "find_spec", lambda name, here=here: name if name in here else None)
        assert resolve_engine(Engine(), RUNTIMES).runtime == expected
    monkeypatch.setattr(module, "find_spec", lambda name: name)
    for engine, expected in (
        (Engine(numbers="bf16"), "openvino"),
        (Engine(device="cuda"), "torch"),
        (Engine(compiled=True), "torch"),
        (Engine(providers=("CUDAExecutionProvider",)), "onnxruntime"),
        (Engine(providers=("GPU",)), "openvino"),
    ):
        assert resolve_engine(engine, RUNTIMES).runtime == expected


@needs("torch")
def test_on_a_gpu_auto_is_torch_or_else_onnxruntime_with_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "has_nvidia_driver", lambda: True)
    monkeypatch.setattr(module, "_onnxruntime_on_gpu", lambda: True)
    for torch_can, expected in ((True, "torch"), (False, "onnxruntime")):
        monkeypatch.setattr(module, "_torch_on_gpu", lambda can=torch_can: can)
        engine = resolve_engine(Engine(), RUNTIMES)
        assert engine.runtime == expected
        assert bool(engine.providers) == (expected == "onnxruntime")
        assert resolve_engine(Engine(device="cpu"), RUNTIMES).providers == ()


@needs("torch")
def test_a_network_in_bfloat16_finds_nearly_the_same(astronaut: Path) -> None:
    settings: dict[str, Any] = {"device": "cpu", "runtime": "torch"}
    full, half = (Predictor("300w-small-dark", **settings, numbers=numbers) for numbers in ("fp32", "bf16"))
    distances = np.linalg.norm(full(astronaut, BOX)[0].keypoints - half(astronaut, BOX)[0].keypoints, axis=1)
    assert 0 < np.median(distances) < 0.25
    assert "bf16" in half.runtime
    assert full.facts() != half.facts()


def test_results_that_a_runtime_rounds_by_itself_name_it(exported_small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results of int8 files by two runtimes are not of one run; those of fp32 are."""
    exported = open_exported(exported_small)
    cases: list[tuple[Precision, bool]] = [("fp32", False), ("int8", True)]
    for precision, told in cases:
        marked = replace(exported, card=replace(exported.card, precision=precision))
        monkeypatch.setattr(module, "open_exported", lambda _, marked=marked: marked)
        facts = Predictor(exported_small, runtime="onnxruntime").facts()
        assert facts.get("runtime") == ("onnxruntime" if told else None)
    assert Predictor("300w-small-dark", device="cpu", runtime="torch", numbers="bf16").facts()["runtime"] == "torch"


def test_covariances_of_a_file_whose_decoder_has_none_are_refused(
    exported_small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported = open_exported(exported_small)
    quarter = replace(exported, card=replace(exported.card, method="quarter"))
    monkeypatch.setattr(module, "open_exported", lambda _: quarter)
    with pytest.raises(DarkposeError, match=r"covariance needs the method .*'quarter'"):
        Predictor(exported_small, covariance=True)


@pytest.mark.parametrize(
    ("runtime", "providers", "message"),
    [
        ("openvino", ("CUDAExecutionProvider",), "'CUDAExecutionProvider' is onnxruntime's"),
        ("onnxruntime", ("CPUExecutionProvider", "GPU"), "'GPU' is OpenVINO's"),
        ("auto", ("CPU", "CPUExecutionProvider"), "'CPUExecutionProvider' is onnxruntime's"),
    ],
)
def test_providers_of_another_runtime_are_refused(
    runtime: Runtime | Literal["auto"], providers: tuple[str, ...], message: str
) -> None:
    with pytest.raises(DarkposeError, match=message):
        resolve_engine(Engine(runtime, providers=providers), RUNTIMES)


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
    exported_small: Path, asked: dict[str, object], message: str
) -> None:
    with pytest.raises(DarkposeError, match=message):
        Predictor(exported_small, **asked)  # type: ignore[arg-type]
    Predictor(exported_small, schema="300w-68", flip_test=False, method="dark")  # as it is


def test_what_only_some_runtimes_know_is_refused_of_the_others(small_weights: Path) -> None:
    with pytest.raises(DarkposeError, match="for torch name a device"):
        Predictor(small_weights, runtime="torch", providers=("CUDAExecutionProvider",))
    with pytest.raises(DarkposeError, match="the device 'cuda' is torch's; for openvino name providers"):
        Predictor(small_weights, "cuda", runtime="openvino")
    with pytest.raises(DarkposeError, match="runtime must be one of auto, torch, onnxruntime, openvino, got 'tvm'"):
        Predictor(small_weights, runtime="tvm")  # type: ignore[arg-type]
    with pytest.raises(DarkposeError, match="numbers must be one of fp32, bf16, got 'int4'"):
        Predictor(small_weights, numbers="int4")  # type: ignore[arg-type]
    with pytest.raises(DarkposeError, match="threads must be a whole number of at least 1, got 0"):
        Predictor(small_weights, threads=0)


@pytest.mark.parametrize(
    ("allowed", "refused"), [(-1, False), (TORCH_NEEDS, False), (TORCH_NEEDS - 1, True), (700_000_000, True)]
)
def test_torch_is_not_loaded_where_it_would_end_the_process(
    allowed: int, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = pytest.importorskip("resource")
    pytest.importorskip("torch")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (allowed, -1))
    monkeypatch.setattr(resource, "RLIM_INFINITY", -1)
    message = r"torch needs at least 1000 MB of address space, and \d+ MB are allowed; raise the limit \(ulimit -v\)"
    with pytest.raises(DarkposeError, match=message) if refused else nullcontext():
        check_address_space()
    with pytest.raises(DarkposeError, match=message) if refused else nullcontext():
        resolve_engine(Engine("torch"), RUNTIMES)


def test_an_unverified_file_is_no_name_for_a_predictor(exported_small: Path, tmp_path: Path) -> None:
    shutil.copy(exported_small, tmp_path / "x.onnx.unverified")
    with pytest.raises(DarkposeError, match="expected a checkpoint that ends in one of"):
        Predictor(tmp_path / "x.onnx.unverified")
