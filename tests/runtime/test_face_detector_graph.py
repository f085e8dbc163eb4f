"""The graph of the face detector against torch, and its exported file against both."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from darkpose.detect.cells import faces_of, without_duplicates
from darkpose.errors import DarkposeError
from darkpose.image.pixels import Pixels
from darkpose.runtime.face_detector import open_cells
from darkpose.runtime.face_detector_graph import face_detector_graph
from darkpose.runtime.open import Engine
from darkpose.weights.face_detector import FORMAT, FaceDetectorConfig, FaceDetectorFile, open_face_detector
from darkpose.weights.zoo import SHIPPED, shipped_file
from needed import needs

TINY = FaceDetectorConfig((4, 6, 8, 10, 12), (1, 1, 1, 2), 8)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> FaceDetectorFile:
    """A network of random weights and norms."""
    pytest.importorskip("onnx")
    torch = pytest.importorskip("torch")
    from safetensors.torch import save

    from darkpose.network.face_detector import FaceDetectorNetwork

    torch.manual_seed(0)
    network = FaceDetectorNetwork(TINY)
    weights = {
        name: torch.rand_like(value) + 0.5 if value.ndim == 1 and name.endswith(("running_var", "weight")) else value
        for name, value in network.state_dict().items()
    }
    weights |= {f"heads.{grid}.2.weight": torch.randn(7, TINY.pyramid, 1, 1) / 2 for grid in range(3)}
    halves = {name: (value.half() if value.ndim == 4 else value).contiguous() for name, value in weights.items()}
    path = tmp_path_factory.mktemp("detector") / "tiny.safetensors"
    values = {"darkpose_face_detector": FORMAT, "config": json.dumps(asdict(TINY)), "provenance": "{}"}
    path.write_bytes(save(halves, values))
    return open_face_detector(path)


@pytest.fixture(scope="module")
def images() -> Pixels:
    return np.random.default_rng(1).integers(0, 256, (2, 128, 256, 3), np.uint8)


@needs("openvino")
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_every_runtime_gives_the_cells_of_torch(file: FaceDetectorFile, images: Pixels, runtime: str) -> None:
    expected = np.asarray(open_cells(file, Engine("torch"))(images))
    assert expected.shape == (2, 7, 32 * 16 + 2 * 16 * 8 + 3 * 8 * 4 + 2 * 4 * 2 + 2 * 1)
    found = open_cells(file, Engine(runtime))(images)  # type: ignore[arg-type]
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


def exported(file: FaceDetectorFile, runtime: str) -> Callable[[Pixels, float], dict[str, NDArray[Any]]]:
    """Images and threshold -> outputs of the exported file."""
    from darkpose.deploy.detector_graph import OUTPUTS, detector_graph

    data = bytes(detector_graph(file).SerializeToString())
    if runtime == "openvino":
        import openvino

        core = openvino.Core()
        model = core.compile_model(core.read_model(data), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        run: Callable[..., Any] = model
    else:
        import onnxruntime

        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])

        def run(inputs: dict[str, Any]) -> Any:
            return dict(zip(OUTPUTS, session.run(list(OUTPUTS), inputs), strict=True))

    def found(images: Pixels, threshold: float) -> dict[str, NDArray[Any]]:
        given = run({"images": np.ascontiguousarray(images), "threshold": np.array([threshold], np.float32)})
        return {name: given[name] for name in OUTPUTS}

    return found


@needs("openvino")
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_the_exported_file_gives_the_faces_of_the_detector(
    file: FaceDetectorFile, images: Pixels, runtime: str
) -> None:
    all_cells = np.asarray(open_cells(file, Engine("onnxruntime"))(images))
    threshold = float(1 / (1 + np.exp(-np.quantile(all_cells[:, 0], 0.8))))
    found = exported(file, runtime)(images, threshold)
    for index, cells in enumerate(all_cells):
        faces = without_duplicates(faces_of(cells, (256, 128), threshold))
        faces = faces.part(np.all((faces.center >= 0) & (faces.center <= [255, 127]), axis=1))
        mine = np.flatnonzero(found["image"] == index)
        assert len(mine) == len(faces.scores) > 3
        # Scores that are almost equal may come in another order.
        mine = mine[np.lexsort(found["center"][mine].round(1).T)]
        faces = faces.part(np.lexsort(faces.center.round(1).T))
        np.testing.assert_allclose(found["scores"][mine], faces.scores, rtol=1e-5)
        np.testing.assert_allclose(found["center"][mine], faces.center, atol=1e-3)
        np.testing.assert_allclose(found["size"][mine], faces.size, rtol=1e-4)
        np.testing.assert_allclose(found["boxes"][mine], faces.upright_boxes(), atol=1e-3)
        apart = np.deg2rad(found["roll"][mine]) - faces.roll
        np.testing.assert_allclose(np.cos(apart), 1, atol=1e-6)


@needs("openvino")
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_the_exported_file_adds_black_to_images_of_any_size_and_leaves_out_faces_there(
    file: FaceDetectorFile, images: Pixels, runtime: str
) -> None:
    canvas = np.zeros_like(images)
    canvas[:, :81, :150] = images[:, :81, :150]
    run = exported(file, runtime)
    found, expected = run(images[:, :81, :150], 0.0), run(canvas, 0.0)
    inside = np.all((expected["center"] >= 0) & (expected["center"] <= [149, 80]), axis=1)
    assert 3 < inside.sum() < len(inside)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values[inside], rtol=1e-5, atol=1e-5)


@needs("openvino")
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_the_exported_file_gives_nothing_where_there_is_no_face(
    file: FaceDetectorFile, images: Pixels, runtime: str
) -> None:
    found = exported(file, runtime)(images, 1.0)
    assert {name: values.shape for name, values in found.items()} == {
        **dict.fromkeys(("image", "scores", "roll"), (0,)),
        **dict.fromkeys(("center", "size"), (0, 2)),
        "boxes": (0, 4),
    }


def test_the_graph_in_the_package_is_that_of_the_weights_in_the_package() -> None:
    pytest.importorskip("onnx")
    shipped = open_face_detector()
    assert shipped.graph.read_bytes() == face_detector_graph(shipped), "run scripts/network_graphs.py"


def test_other_files_are_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match=r"expected a face detector of darkpose.*weights of a landmark network"):
        open_face_detector(shipped_file(SHIPPED[0]))
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"12345678{}")
    with pytest.raises(DarkposeError, match="not a readable safetensors file"):
        open_face_detector(other)
