import sys
from pathlib import Path

import pytest

from darkpose.deploy.export import ExportOptions, card_of, export_onnx, export_program
from darkpose.errors import DarkposeError
from darkpose.network.checkpoint import Checkpoint, model_fingerprint
from darkpose.network.load import load_checkpoint
from darkpose.runtime.card import KEY, card_from_json
from darkpose.weights.calibrations import Calibration

onnx = pytest.importorskip("onnx")

CALIBRATION = Calibration("300w-68", 7.8, (0.5,) * 68, (0.2,) * 68, {})


@pytest.fixture(scope="module")
def checkpoint(small_weights: Path) -> Checkpoint:
    return load_checkpoint(small_weights)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"opset": 17}, "the opset must be from 18 to 23, got 17"),
        ({"opset": 99}, "the opset must be from 18 to 23, got 99"),
        ({"precision": "int4"}, "precision must be one of fp32, fp16, int8, got 'int4'"),
        ({"precision": "int8", "small": True}, "small files without a loss are of fp32, got int8"),
        ({"method": "mean"}, "method must be one of"),
        ({"flip_test": "on"}, "flip_test must be one of"),
        ({"crops": "int8"}, "crops must be one of uint8, float32"),
    ],
)
def test_what_cannot_be_built_in_is_named(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(DarkposeError, match=message):
        ExportOptions(**wrong)  # type: ignore[arg-type]


def test_the_card_says_what_the_file_gives(checkpoint: Checkpoint) -> None:
    card = card_of(checkpoint, ExportOptions(heatmaps=True), CALIBRATION)
    assert card.outputs == ("keypoints", "scores", "covariance", "heatmaps")
    assert card.weights == {"sha256": model_fingerprint(checkpoint.model)}
    assert card.calibration == CALIBRATION
    for options, calibration in ((ExportOptions(), None), (ExportOptions(method="quarter"), CALIBRATION)):
        card = card_of(checkpoint, options, calibration)
        assert card.outputs == ("keypoints", "scores")
        assert card.calibration is None
    assert card_of(checkpoint, ExportOptions(), None, onnx=False).opset == 0


def kinds(values: object) -> dict[str, tuple[int, list[str | int]]]:
    """Name -> element type and shape of a graph's inputs or outputs."""
    found = {}
    for value in values:  # type: ignore[attr-defined]
        tensor = value.type.tensor_type
        found[value.name] = (tensor.elem_type, [dim.dim_param or dim.dim_value for dim in tensor.shape.dim])
    return found


def test_the_file_takes_any_number_of_crops_and_gives_landmarks(checkpoint: Checkpoint, tmp_path: Path) -> None:
    options = ExportOptions(crops="float32", opset=18, method="dark+", flip_test="exact")
    data = export_onnx(checkpoint, options, CALIBRATION)
    model = onnx.load_from_string(data)
    onnx.checker.check_model(model)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18)]
    float32 = onnx.TensorProto.FLOAT
    inputs, outputs = kinds(model.graph.input), kinds(model.graph.output)
    batch = inputs["crops"][1][0]
    assert isinstance(batch, str)
    assert inputs == {"crops": (float32, [batch, 64, 64, 3]), "matrices": (float32, [batch, 2, 3])}
    assert outputs == {
        "keypoints": (float32, [batch, 68, 2]),
        "scores": (float32, [batch, 68]),
        "covariance": (float32, [batch, 68, 2, 2]),
    }
    card = card_from_json({entry.key: entry.value for entry in model.metadata_props}[KEY], tmp_path)
    assert card == card_of(checkpoint, options, CALIBRATION)
    assert not any(node.op_type == "BatchNormalization" for node in model.graph.node)
    doubles = [value for value in model.graph.initializer if value.data_type == onnx.TensorProto.DOUBLE]
    assert not doubles


def test_half_precision_is_of_the_network_alone(checkpoint: Checkpoint) -> None:
    model = onnx.load_from_string(export_onnx(checkpoint, ExportOptions(precision="fp16", heatmaps=True)))
    weights = {value.name: value.data_type for value in model.graph.initializer if len(value.dims) == 4}
    assert weights
    assert set(weights.values()) == {onnx.TensorProto.FLOAT16}
    assert {kind for kind, _ in kinds(model.graph.output).values()} == {onnx.TensorProto.FLOAT}
    assert next(checkpoint.model.parameters()).dtype.itemsize == 4  # the caller's network is left as it was


def test_a_program_of_torch_export_is_not_in_int8(checkpoint: Checkpoint) -> None:
    with pytest.raises(DarkposeError, match=r"int8 is for \.onnx files"):
        export_program(checkpoint, ExportOptions(precision="int8"))


def test_a_missing_package_is_named(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(DarkposeError, match=r"pip install 'darkpose\[export\]'"):
        export_onnx(checkpoint, ExportOptions())
