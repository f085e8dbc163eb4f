"""Shared fixtures: golden arrays, the reference's rule for filling a network, real images where they are available."""

import os
import shutil
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray

import darkpose.image.opencv  # noqa: F401  sets OpenCV up before a test imports cv2
from without_torch import IS_TORCH_INSTALLED, needs_torch

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from darkpose.network.hrnet import HRNet
    from darkpose.serve.predictors import Predictors

Arrays = dict[str, NDArray[Any]]
Golden = Callable[[str], Arrays]
Client = Callable[..., AbstractContextManager["TestClient"]]
Served = Callable[..., AbstractContextManager[str]]

TESTS = Path(__file__).parent
SHARED_DATA = TESTS.parents[1] / "shared" / "data"

SERVICE = ("fastapi", "httpx2", "prometheus_client", "python_multipart", "uvicorn", "websockets")

os.environ["OMP_NUM_THREADS"] = "1"  # results and times do not depend on how many cores are free
if not Path("/dev/nvidiactl").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # Triton, if it is installed, reads this when it is imported

# The same examples in every run; `make fuzz` tries others. No deadline: the machine may be busy.
settings.register_profile("same examples", settings(), deadline=None, derandomize=True)
settings.register_profile("fuzz", settings(), deadline=None, max_examples=int(os.environ.get("EXAMPLES", "10000")))
settings.load_profile("same examples")


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out the tests that need torch, or those of the service that need FastAPI, where it is not installed."""
    if collection_path.parent == TESTS / "serve" and any(find_spec(package) is None for package in SERVICE):
        return True
    if IS_TORCH_INSTALLED or collection_path.suffix != ".py":
        return None
    return needs_torch(collection_path) or None


def each_slow(*values: object) -> list[Any]:
    """Values of a parameter that are tested by `make test-slow` only."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


@cache
def _read_golden(name: str) -> Arrays:
    with np.load(TESTS / "golden" / f"{name}.npz", allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    for values in arrays.values():
        values.flags.writeable = False
    return arrays


@pytest.fixture(scope="session")
def golden() -> Golden:
    """Read one file of `tests/golden` by its stem: array name -> array, read-only."""
    return _read_golden


@pytest.fixture(scope="session")
def golden_keys() -> Callable[[str], list[tuple[str, tuple[int, ...]]]]:
    """Read one list of `tests/golden/keys_*.txt` by its stem: (name, shape) of each entry, in order."""

    def read(name: str) -> list[tuple[str, tuple[int, ...]]]:
        lines = (TESTS / "golden" / f"{name}.txt").read_text().splitlines()
        entries = [line.split()[:2] for line in lines]
        return [(key, () if shape == "scalar" else tuple(map(int, shape.split("x")))) for key, shape in entries]

    return read


def published_name(name: str) -> str:
    """The mmpose 0.x name of one of our parameters."""
    return name.replace("head.", "keypoint_head.final_layer.") if name.startswith("head.") else name


def rule_values(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """One entry of the reference's rule-filled network (mmpose 0.x name): a function of its name and shape alone."""
    count = int(np.prod(shape))
    x = (zlib.crc32(name.encode()) + 0x9E3779B9 * (np.arange(count, dtype=np.uint64) + 1)) & 0xFFFFFFFF
    x ^= x >> np.uint64(16)
    x = (x * 0x7FEB352D) & 0xFFFFFFFF
    x ^= x >> np.uint64(15)
    x = (x * 0x846CA68B) & 0xFFFFFFFF
    x ^= x >> np.uint64(16)
    u = (x / 2.0**31 - 1).reshape(shape)
    if len(shape) == 4:
        values = u * np.sqrt(6 / np.prod(shape[1:]))
        if name != "backbone.conv1.weight":
            values = values - values.mean(axis=(1, 2, 3), keepdims=True)
        if name == "keypoint_head.final_layer.3.weight":
            values = values / 4
    elif name.endswith("running_var"):
        values = 1 + 0.25 * u
    elif name.endswith(("running_mean", "bias")):
        values = 0.1 * u
    elif name.endswith("weight"):
        values = 0.7 + 0.1 * u
    else:
        values = np.zeros(shape)
    return np.asarray(values, np.float32)


@pytest.fixture(scope="session")
def rule_filled_hrnet() -> "Callable[[int], HRNet]":
    """Build the HRNetV2-W18 of K keypoints that made the golden heatmaps; float32, evaluation mode."""
    torch = pytest.importorskip("torch")
    from darkpose.network.hrnet import HRNet
    from darkpose.weights.checkpoint import HRNetConfig

    def build(keypoints: int) -> HRNet:
        model = HRNet(HRNetConfig(keypoints))
        state = {
            name: torch.from_numpy(rule_values(published_name(name), tuple(values.shape))).to(values.dtype)
            for name, values in model.state_dict().items()
        }
        model.load_state_dict(state)
        return model.eval()

    return build


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images next to the checkout; skips where there is none."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"needs the real images in {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def small_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of 68 landmarks and 64 px crops with random weights: quick, and good for nothing else."""
    pytest.importorskip("torch")
    from darkpose.network.checkpoint import Checkpoint, save_checkpoint
    from darkpose.network.hrnet import HRNet, initialise
    from darkpose.schema import W300_68
    from darkpose.weights.checkpoint import CheckpointConfig, HRNetConfig

    network = HRNetConfig(68, widths=(4, 4, 4, 4), modules=(1, 1, 1), blocks=1, stem=4)
    model = HRNet(network).eval()
    initialise(model, seed=0, head_std=0.5)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_checkpoint(Checkpoint(model, CheckpointConfig(network, crop_size=64), W300_68, {}), path)
    return path


@pytest.fixture(scope="session")
def exported_default(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default weights for 68 landmarks as an ONNX file with heatmaps, and its report next to it."""
    return _exported("default", tmp_path_factory)


@pytest.fixture(scope="session")
def exported_small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small weights of the package in the same way."""
    return _exported("300w-small-dark", tmp_path_factory)


def _exported(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from darkpose.deploy import export_file
    from darkpose.deploy.export import ExportOptions
    from darkpose.files.lock import file_lock
    from darkpose.network.load import load_checkpoint
    from darkpose.weights.calibrations import calibration_beside
    from darkpose.weights.zoo import weights_file

    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # one export for all workers
    file = base / f"exported {name}" / f"{name}.onnx"
    with file_lock(base / f"{name}.lock"):
        if not file.exists():
            file.parent.mkdir()
            checkpoint = load_checkpoint(name)
            calibration = calibration_beside(weights_file(name), checkpoint.schema)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(export_file, "COMPARED", 8)
                export_file.export_file(checkpoint, file, ExportOptions(heatmaps=True), calibration=calibration)
    return file


@pytest.fixture(scope="session")
def exported_detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The face detector of the package as an ONNX file."""
    pytest.importorskip("onnx")
    from darkpose.deploy.detector_graph import export_detector
    from darkpose.weights.face_detector import open_face_detector

    path = tmp_path_factory.mktemp("detector") / "detector.onnx"
    export_detector(open_face_detector(), path)
    return path


@pytest.fixture(scope="session")
def built_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as a static folder."""
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from needed import UNREACHABLE, lacking

    if shutil.which("npm") is None:
        lacking("needs Node.js: npm cannot be found")
    site = tmp_path_factory.mktemp("static") / "site"
    command = [sys.executable, str(TESTS.parent / "scripts" / "build_site.py"), str(site)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    if done.returncode and UNREACHABLE.search(done.stderr):
        lacking("needs onnxruntime-web: `npm ci` cannot reach the registry")
    assert done.returncode == 0, done.stderr
    return site


@pytest.fixture(scope="session")
def astronaut() -> Path:
    """The photograph that the project ships: 512x512, one face."""
    return TESTS.parent / "examples" / "astronaut.png"


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No YuNet file and no download."""
    from darkpose.detect import yunet
    from darkpose.errors import DarkposeError

    def refuse(*_: object, **__: object) -> Path:
        raise DarkposeError("offline")

    monkeypatch.delenv("DARKPOSE_YUNET", raising=False)
    monkeypatch.setattr(yunet, "fetch", refuse)


@pytest.fixture(scope="session")
def predictors() -> "Predictors":
    """Of the default weights, by onnxruntime."""
    from darkpose.serve.predictors import Predictors

    return Predictors({"runtime": "onnxruntime", "detector": "darkpose"})


@pytest.fixture(scope="session")
def client(predictors: "Predictors") -> Client:
    """Open a client of a service with some settings, in this process; it raises no errors of the service."""
    from starlette.testclient import TestClient

    from darkpose.serve.app import make_app
    from darkpose.serve.settings import Settings

    @contextmanager
    def opened(of: Any = predictors, **settings: Any) -> Iterator[TestClient]:
        with TestClient(make_app(of, Settings(**settings)), raise_server_exceptions=False) as found:
            yield found

    return opened


@pytest.fixture(scope="session")
def served(predictors: "Predictors") -> Served:
    """Run a service with some settings on a free port; gives its address, "http://127.0.0.1:PORT/"."""
    from darkpose.serve.app import make_app
    from darkpose.serve.server import address_of, make_server, open_socket
    from darkpose.serve.settings import Settings

    @contextmanager
    def running(of: Any = predictors, **settings: Any) -> Iterator[str]:
        chosen = Settings(**settings)
        with open_socket("127.0.0.1", 0) as listening:
            server = make_server(make_app(of, chosen), chosen.max_bytes)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
            thread.start()
            try:
                yield address_of(listening)
            finally:
                server.should_exit = True
                thread.join(60)
                assert not thread.is_alive()

    return running
