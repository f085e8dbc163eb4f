"""The network of the face detector, ready to run: images -> cells."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from darkpose.runtime.face_detector_graph import CELLS, IMAGES, embedded_face_detector_graph
from darkpose.runtime.network import Network
from darkpose.runtime.open import RUNTIMES, Engine, made, resolve_engine
from darkpose.weights.face_detector import NAME, FaceDetectorFile, open_face_detector
from darkpose.weights.zoo import shipped_file


def open_cells(file: FaceDetectorFile | None = None, engine: Engine | None = None) -> Network:
    """A network that takes images (N, H, W, 3) uint8 RGB and returns cells (N, 7, C).

    H and W are multiples of `MULTIPLE`. The cells hold the values of `CELL_VALUES`, for each of `SCALES` those of each
    of `CELL_STRIDES`, row by row.

    Args:
        file: of the weights; None: the one in the package.
        engine: what runs it, always in fp32; None: the fastest on this machine.

    Raises:
        DarkposeError: the file or the runtime cannot be used.
    """
    file = file or open_face_detector()
    chosen = resolve_engine(replace(engine or Engine(), numbers="fp32", compiled=False), RUNTIMES)
    return made(file.path, chosen, lambda: _network(file, chosen))


def _network(file: FaceDetectorFile, engine: Engine) -> Network:
    settings: dict[str, Any] = {"threads": engine.threads, "ends": (IMAGES, CELLS)}
    graph: Path | bytes = b""
    if engine.runtime != "torch":
        graph = file.graph if file.path == shipped_file(NAME) else embedded_face_detector_graph(file)
    if engine.runtime == "openvino":
        from darkpose.runtime.openvino import OpenVinoNetwork

        return OpenVinoNetwork(graph, devices=engine.providers, **settings)
    if engine.runtime == "onnxruntime":
        from darkpose.runtime.onnx import OnnxNetwork

        return OnnxNetwork(graph, providers=engine.providers, **settings)
    from darkpose.network.face_detector import Cells, load_face_detector
    from darkpose.runtime.torch import TorchNetwork, find_device, fold_norms

    device = find_device(engine.device)
    model = fold_norms(Cells(load_face_detector(file))).to(device)
    return TorchNetwork(model, file.config.normalisation, device)
