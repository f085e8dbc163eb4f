"""The graph of the exported face detector: images -> faces, each once, in standard operators."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from darkpose.deploy.graph_values import Value
from darkpose.detect import face_detector
from darkpose.detect.cells import LARGEST, MOST, OVERLAP, all_strides
from darkpose.errors import DarkposeError
from darkpose.files.atomic import write_atomically
from darkpose.runtime.face_detector_graph import IMAGES, FaceDetectorNodes
from darkpose.runtime.graph import OPSET, halved, held
from darkpose.runtime.graph_builder import FLOAT, UINT8, GraphBuilder
from darkpose.weights.face_detector import FORMAT, MULTIPLE, FaceDetectorFile

if TYPE_CHECKING:
    from onnx import ModelProto

THRESHOLD = "threshold"  # name of the second input
INT64 = 7  # TensorProto.DataType
OUTPUTS: dict[str, tuple[int, list[str | int]]] = {
    "image": (INT64, ["faces"]),
    "boxes": (FLOAT, ["faces", 4]),
    "scores": (FLOAT, ["faces"]),
    "center": (FLOAT, ["faces", 2]),
    "size": (FLOAT, ["faces", 2]),
    "roll": (FLOAT, ["faces"]),
}


def detector_graph(file: FaceDetectorFile) -> "ModelProto":
    """A model in float32; its weights are in float16 where that loses nothing.

    Inputs: images (N, H, W, 3) uint8 RGB of any size, and threshold (1,), the lowest score of a face.
    Outputs, best first in each image, px of the images: image (M,), which one a face is in; boxes (M, 4) x0, y0, x1, y1
    of upright landmark boxes; scores (M,); center and size (M, 2) and roll (M,), degrees clockwise, of the landmark box
    in the frame of the face. The metadata have the threshold and the longer side of images that `FaceDetector` uses.

    Raises:
        DarkposeError: the package onnx is missing, or the file cannot be read.
    """
    graph, arrays = GraphBuilder(), file.arrays()
    shapes = {name: each.shape for name, each in arrays.items()}
    nodes = FaceDetectorNodes(graph, file.config, shapes, held(halved(arrays)))
    images = Value(graph, IMAGES)
    grids = zip(nodes.add_scales(_with_border(images).name), all_strides(), strict=True)
    parts = [_decoded(Value(graph, name), *stride) for name, stride in grids]
    first, *others = parts
    faces = first.op("Concat", *others, axis=1)  # (N, C, 6): centre, size, roll in radians, score
    chosen = _without_duplicates(faces, Value(graph, THRESHOLD))
    found = faces.op("GatherND", chosen.at([0, 2]))
    inside = _inside(found.at([0, 1]), images)
    image, found = chosen.at(0).op("Compress", inside, axis=0), found.op("Compress", inside, axis=0)
    center, size, roll = found.at([0, 1]), found.at([2, 3]), found.at([4])
    image.named("image")
    found.at(5).named("scores")
    center.named("center")
    size.named("size")
    (roll.reshape(-1) * float(180 / np.pi)).named("roll")
    along, across = size * roll.op("Cos"), size.at([1, 0]) * roll.op("Sin")
    half = (along * along + across * across).op("Sqrt") * 0.5
    (center - half).op("Concat", center + half, axis=1).named("boxes")
    inputs: dict[str, Any] = {IMAGES: (UINT8, ["images", "height", "width", 3]), THRESHOLD: (FLOAT, [1])}
    metadata = {
        "darkpose_face_detector": FORMAT,
        "threshold": str(face_detector.THRESHOLD),
        "side": str(face_detector.SIDE),
        "terms": str(file.provenance.get("terms", "")),
    }
    model: ModelProto = graph.model(inputs, OUTPUTS, opset=OPSET, metadata=metadata)
    return model


def _with_border(images: Value) -> Value:
    """Images with black below and on the right, up to multiples of `MULTIPLE`."""
    missing = images.op("Shape", start=1, end=3).op("Neg").op("Mod", MULTIPLE)
    pads = missing.op("Pad", np.array([5, 1], np.int64))  # (8,): none before an image, none along N and 3
    return images.op("Pad", pads)


def _inside(center: Value, images: Value) -> Value:
    """Which of the centres (M, 2) are in the images themselves, not in the black."""
    last = images.op("Shape", start=1, end=3).at([1, 0], axis=0).as_float() - 1.0
    same = center.op("Equal", center.op("Max", 0.0).op("Min", last))
    return same.at(0) & same.at(1)


def _decoded(grid: Value, stride: int, least: float) -> Value:
    """Faces (N, C, 6) of the cells of a grid (N, 7, H, W), as `detect.cells.faces_of`; too small ones have no score."""
    ones = grid.at([0]) * 0.0 + 1.0
    columns, rows = (ones.op("CumSum", np.array(axis, np.int64)) - 1.0 for axis in (3, 2))
    x, y = ((place + grid.at([index])) * float(stride) for place, index in ((columns, 1), (rows, 2)))
    size = grid.at([3, 4]).op("Clip", -LARGEST, LARGEST).op("Exp") * float(stride)
    roll = _angle(grid.at([6]), grid.at([5]))
    score = grid.at([0]).op("Sigmoid")
    if least:
        score = (size.at([0]) * size.at([1])).below(least**2).choose(0.0, score)
    values = x.op("Concat", y, size, roll, score, axis=1)
    return values.op("Reshape", np.array([0, 6, -1], np.int64)).op("Transpose", perm=[0, 2, 1])


def _angle(sin: Value, cos: Value) -> Value:
    """The angle of a direction, -pi to pi: ONNX has no atan2."""
    length = (sin * sin + cos * cos).op("Sqrt")
    half = (sin / (length + cos).op("Max", 1e-12)).op("Atan") * 2.0
    opposite = sin.below(0.0).choose(-float(np.pi), float(np.pi))
    return (length + cos).above(1e-12).choose(half, opposite)


def _without_duplicates(faces: Value, threshold: Value) -> Value:
    """(M, 3) image, class and cell of each face once, as `detect.cells.without_duplicates`."""
    center, size = faces.at([0, 1], axis=2), faces.at([2, 3], axis=2)
    side = (size.at([0], axis=2) * size.at([1], axis=2)).op("Sqrt")
    squares = center.op("Concat", side, side, axis=2)
    scores = faces.at([5], axis=2).op("Transpose", perm=[0, 2, 1])
    return squares.op(
        "NonMaxSuppression",
        scores,
        np.array([MOST], np.int64),
        np.array([OVERLAP], np.float32),
        threshold,
        center_point_box=1,
    )


def export_detector(file: FaceDetectorFile, out: Path) -> list[str]:
    """Write the model; returns what was written, for people.

    Raises:
        DarkposeError: the name does not end in .onnx, the file cannot be written, or the package onnx is missing.
    """
    if out.suffix != ".onnx":
        raise DarkposeError(f"{out}: the detector is exported as .onnx, got {out.suffix!r}")
    model = detector_graph(file)
    data = bytes(model.SerializeToString())
    write_atomically(out, lambda temporary: temporary.write_bytes(data))
    return [f"{out}: the face detector, {len(data) / 1e6:.1f} MB, gives {', '.join(OUTPUTS)}"]
