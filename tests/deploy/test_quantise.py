from pathlib import Path

import numpy as np
import pytest

from darkpose.deploy.export import ExportOptions, export_onnx
from darkpose.deploy.quantise import quantise
from darkpose.deploy.run_file import open_file
from darkpose.errors import DarkposeError
from darkpose.network.load import load_checkpoint

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def test_convolutions_but_the_first_are_of_whole_numbers_and_the_decoder_is_not(
    small_weights: Path, tmp_path: Path
) -> None:
    checkpoint, rng = load_checkpoint(small_weights), np.random.default_rng(0)
    crops = rng.integers(0, 256, (12, 64, 64, 3), np.uint8)
    options = ExportOptions(precision="int8", heatmaps=True)
    data = export_onnx(checkpoint, options, None, crops)
    model = onnx.load_from_string(data)
    kinds = {value.name: value.data_type for value in model.graph.initializer}
    made = {name: node for node in model.graph.node for name in node.output}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert len(convolutions) > 10
    assert convolutions[0].input[1] in kinds
    assert kinds[convolutions[0].input[1]] == onnx.TensorProto.FLOAT
    for node in convolutions[1:]:
        given = made[node.input[1]]
        assert given.op_type == "DequantizeLinear"
        assert kinds[given.input[0]] == onnx.TensorProto.INT8
    sums = {name for node in model.graph.node if node.op_type == "Add" for name in node.output}
    relus = [node for node in model.graph.node if node.op_type == "Relu"]
    assert all(node.input[0] in sums for node in relus if node.input[0] != convolutions[0].output[0])  # others: no more
    behind = [node for node in model.graph.node if node.op_type in ("Log", "MatMul", "ArgMax")]
    assert behind
    assert not any(made[name].op_type == "DequantizeLinear" for node in behind for name in node.input if name in made)
    (tmp_path / "plain.onnx").write_bytes(export_onnx(checkpoint, ExportOptions(heatmaps=True)))
    (tmp_path / "small.onnx").write_bytes(data)
    plain, small = (
        open_file(tmp_path / name, "onnxruntime")(crops[:2], np.zeros((2, 2, 3)))["heatmaps"]
        for name in ("plain.onnx", "small.onnx")
    )
    assert np.corrcoef(plain.ravel(), small.ravel())[0, 1] > 0.98  # of the same network
    assert not np.array_equal(plain, small)


def test_too_few_faces_are_refused() -> None:
    with pytest.raises(DarkposeError, match=r"at least 8 faces .*got 3"):
        quantise(onnx.ModelProto(), np.zeros((3, 64, 64, 3), np.uint8))
