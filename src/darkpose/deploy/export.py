"""A checkpoint -> the bytes of one file with network and decoder: ONNX, or a program of torch.export.

Inputs: `crops` (N, S, S, 3) RGB, uint8 (or floats from 0 to 255), and `matrices` (N, 2, 3) float32, crop px to image
px; N is free. Outputs: `keypoints` (N, K, 2) image px, `scores` (N, K), `covariance` (N, K, 2, 2) image px^2 if the
weights have a calibration, `heatmaps` (N, K, S/4, S/4) if asked for. The ONNX graph is built node by node
(`deploy.landmark_graph`); the program is traced (`deploy.landmark_module`).
"""

import copy
import io
import warnings
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, get_args

import numpy as np
import torch

from darkpose.codec.heatmap import Method
from darkpose.deploy.coarse_first import CoarseFirst
from darkpose.deploy.landmark_graph import MATRICES, landmark_graph
from darkpose.deploy.landmark_module import LandmarkModule
from darkpose.deploy.quantise import quantise
from darkpose.errors import DarkposeError
from darkpose.image.pixels import Pixels
from darkpose.network.checkpoint import Checkpoint, model_arrays
from darkpose.runtime.card import CHECKSUM_KEY, KEY, CropType, GraphCard, Precision, empty_checksum, with_checksum
from darkpose.runtime.flip import FlipTest
from darkpose.runtime.graph import CROPS, HEATMAPS
from darkpose.weights.calibrations import Calibration
from darkpose.weights.checkpoint import fingerprint

if TYPE_CHECKING:
    from onnx import ModelProto

OPSETS = range(18, 24)
ENDINGS = (".onnx", ".pt2")


@dataclass(frozen=True)
class ExportOptions:
    """What is built into an exported file.

    Attributes:
        flip_test: average with the mirrored crops, which takes twice the time.
        method: decoder of the heatmaps.
        precision: of the network: "fp32", "fp16" (half the size) or "int8" (see `deploy.quantise`).
        crops: type of the input.
        heatmaps: give the heatmaps, too.
        opset: of ONNX, one of `OPSETS`.
        small: weights stay in float16 as far as the checkpoint has them in it, for half the size without a loss; the
            network still calculates in `precision`, and takes a little longer to load. For .onnx in fp32.
    """

    flip_test: FlipTest = "off"
    method: Method = "dark"
    precision: Precision = "fp32"
    crops: CropType = "uint8"
    heatmaps: bool = False
    opset: int = 20
    small: bool = False

    def __post_init__(self) -> None:
        kinds = {"flip_test": FlipTest, "method": Method, "precision": Precision, "crops": CropType}
        for name, kind in kinds.items():
            if getattr(self, name) not in get_args(kind):
                raise DarkposeError(f"{name} must be one of {', '.join(get_args(kind))}, got {getattr(self, name)!r}")
        if self.opset not in OPSETS:
            raise DarkposeError(f"the opset must be from {OPSETS[0]} to {OPSETS[-1]}, got {self.opset}")
        if self.small and self.precision != "fp32":
            raise DarkposeError(f"small files without a loss are of fp32, got {self.precision}")


def card_of(
    checkpoint: Checkpoint, options: ExportOptions, calibration: Calibration | None, *, onnx: bool = True
) -> GraphCard:
    """Metadata of the exported file."""
    used = calibration if options.method in ("dark", "dark+") else None
    outputs = ["keypoints", "scores"]
    outputs += ["covariance"] if used is not None else []
    outputs += [HEATMAPS] if options.heatmaps else []
    provenance = checkpoint.provenance
    weights = {"sha256": fingerprint(model_arrays(checkpoint.model))}
    weights |= {key: str(provenance[key]) for key in ("name", "terms") if key in provenance}
    return GraphCard(
        schema=checkpoint.schema,
        config=checkpoint.config,
        flip_test=options.flip_test,
        method=options.method,
        precision=options.precision,
        crops=options.crops,
        outputs=tuple(outputs),
        opset=options.opset if onnx else 0,
        weights=weights,
        version=version("darkpose"),
        calibration=used,
    )


def export_onnx(
    checkpoint: Checkpoint,
    options: ExportOptions,
    calibration: Calibration | None = None,
    crops: Pixels | None = None,
) -> bytes:
    """The bytes of an ONNX file with its checksum.

    Args:
        checkpoint: of one schema, or of joined ones, whose landmarks come one schema after the other.
        options: what is built in.
        calibration: of the covariances; None: no output `covariance`.
        crops: (N, S, S, 3) uint8 RGB, faces that set the scales of int8.

    Raises:
        DarkposeError: onnx is missing, for int8 onnxruntime, or there are too few crops.
    """
    card = card_of(checkpoint, options, calibration)
    model = landmark_graph(card, model_arrays(checkpoint.model), fold=not options.small)
    if options.precision == "int8":
        model = quantise(model, np.zeros((0, 1, 1, 3), np.uint8) if crops is None else crops)
    return _finished(model, card)


def _finished(model: "ModelProto", card: GraphCard) -> bytes:
    """The bytes of a checked ONNX model with its card and checksum."""
    import onnx

    del model.metadata_props[:]
    model.metadata_props.add(key=KEY, value=card.to_json())
    model.metadata_props.add(key=CHECKSUM_KEY, value=empty_checksum())
    model.doc_string = f"Face landmarks ({card.schema.name}): crops and matrices in, landmarks in image px out."
    onnx.checker.check_model(model, full_check=True)
    return with_checksum(model.SerializeToString())


def export_program(checkpoint: Checkpoint, options: ExportOptions, calibration: Calibration | None = None) -> bytes:
    """The bytes of a program of torch.export (`.pt2`), for PyTorch without darkpose.

    Raises:
        DarkposeError: the precision is int8.
    """
    if options.precision == "int8":
        raise DarkposeError("int8 is for .onnx files; a .pt2 file can be of fp32 or fp16")
    card = card_of(checkpoint, options, calibration, onnx=False)
    module, data = _module(checkpoint, card), io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module, _example(card), dynamic_shapes=_free_batch(), strict=False)
        torch.export.save(program, data, extra_files={KEY: card.to_json()})
    return data.getvalue()


def _module(checkpoint: Checkpoint, card: GraphCard) -> LandmarkModule:
    model = copy.deepcopy(checkpoint.model).eval()
    module = LandmarkModule(
        replace(checkpoint, model=model),
        flip_test=card.flip_test,
        method=card.method,
        calibration=card.calibration,
    ).eval()
    module.gives_heatmaps = HEATMAPS in card.outputs
    module.network = CoarseFirst(model)
    if card.precision == "fp16":
        module.network.half()
    return module


def _example(card: GraphCard) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs of two crops: the exporter would take one for a constant."""
    size = card.config.crop_size
    return torch.zeros(2, size, size, 3, dtype=getattr(torch, card.crops)), torch.zeros(2, 2, 3)


def _free_batch() -> dict[str, dict[int, torch.export.Dim]]:
    faces = torch.export.Dim("faces", min=1)
    return {name: {0: faces} for name in (CROPS, MATRICES)}
