"""An exported network in 8-bit integers, by the static quantisation of onnxruntime.

Convolutions take and give 8 bits; their scales come from crops of real faces, per channel for the weights. Everything
before the first convolution and after the last stays in float32: DARK reads differences of logarithms that 8 bits do
not hold. The first convolution stays in float32, too: nearly all of the error of 8 bits would come from it.
"""

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from darkpose.errors import DarkposeError
from darkpose.image.pixels import Pixels

if TYPE_CHECKING:
    from onnx import ModelProto

FEWEST = 8  # crops for the scales
BATCH = 8
# A ReLU after a convolution becomes part of its 8 bits. With the sums in int8, too, every runtime is slower.
QUANTISED: tuple[str, ...] = ("Conv", "Relu")
IN_FLOAT: tuple[str, ...] = ("backbone.conv1.",)  # first parts of the names of weights of convolutions in float32


def quantise(model: "ModelProto", crops: Pixels) -> "ModelProto":
    """The model with its convolutions in int8 (as pairs of Q and DQ nodes).

    Args:
        model: ONNX, float32, with the inputs `crops` and `matrices`.
        crops: (N, S, S, 3) uint8 RGB, faces cut as for the network; 100 are enough.

    Raises:
        DarkposeError: fewer than 8 crops, or onnxruntime or onnx is missing.
    """
    if len(crops) < FEWEST:
        raise DarkposeError(f"quantising needs at least {FEWEST} faces for the scales, got {len(crops)}")
    try:
        import onnx
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise DarkposeError("int8 needs onnx and onnxruntime: pip install 'darkpose[export,onnxruntime]'") from error
    with tempfile.TemporaryDirectory() as folder, _quiet():
        plain, prepared, done = (Path(folder) / name for name in ("plain.onnx", "prepared.onnx", "done.onnx"))
        onnx.save(model, plain)
        quant_pre_process(plain, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            done,
            _reader(crops, model),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTISED),
            nodes_to_quantize=_within_the_network(onnx.load(prepared)),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(done)


def _within_the_network(model: "ModelProto") -> list[str]:
    """Names of the nodes to quantise; of the ReLUs, only those directly after a quantised convolution."""
    nodes = list(model.graph.node)
    convolutions = [i for i, node in enumerate(nodes) if node.op_type == "Conv"]
    within = [node for node in nodes[convolutions[0] : convolutions[-1] + 1] if node.op_type in QUANTISED]
    convolved = [node for node in within if node.op_type == "Conv" and not node.input[1].startswith(IN_FLOAT)]
    sources = {node.output[0] for node in convolved}
    others = [node for node in within if node.op_type != "Conv"]
    others = [node for node in others if node.op_type != "Relu" or node.input[0] in sources]
    return [node.name for node in (*convolved, *others)]


def _reader(crops: Pixels, model: "ModelProto") -> object:
    from onnxruntime.quantization import CalibrationDataReader

    kind = np.float32 if model.graph.input[0].type.tensor_type.elem_type == 1 else np.uint8

    def batches() -> Iterator[dict[str, NDArray[np.generic]]]:
        for start in range(0, len(crops), BATCH):
            batch = crops[start : start + BATCH].astype(kind)
            yield {"crops": batch, "matrices": np.zeros((len(batch), 2, 3), np.float32)}

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.batches = batches()

        def get_next(self) -> dict[str, NDArray[np.generic]] | None:
            return next(self.batches, None)

    return Reader()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.getLogger().setLevel(level)
