"""darkpose: sub-pixel face landmarks with HRNetV2 and DARK.

The public names; each is imported when it is first used, so that `import darkpose` stays quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darkpose.codec.heatmap import Decoded, decode, encode
    from darkpose.errors import DarkposeError
    from darkpose.evaluation.metrics import nme
    from darkpose.network.checkpoint import Checkpoint, save_checkpoint
    from darkpose.network.hrnet import HRNet
    from darkpose.network.load import convert, load_checkpoint
    from darkpose.predict.draw import draw_faces
    from darkpose.predict.face import Face
    from darkpose.predict.predictor import Predictor
    from darkpose.schema import AFLW_19, COFW_29, SCHEMAS, W300_68, WFLW_98, KeypointSchema
    from darkpose.video.tracker import Tracker
    from darkpose.weights.checkpoint import CheckpointConfig, HRNetConfig

_HOME = {
    "AFLW_19": "schema",
    "COFW_29": "schema",
    "Checkpoint": "network.checkpoint",
    "CheckpointConfig": "weights.checkpoint",
    "DarkposeError": "errors",
    "Decoded": "codec.heatmap",
    "Face": "predict.face",
    "HRNet": "network.hrnet",
    "HRNetConfig": "weights.checkpoint",
    "KeypointSchema": "schema",
    "Predictor": "predict.predictor",
    "SCHEMAS": "schema",
    "Tracker": "video.tracker",
    "W300_68": "schema",
    "WFLW_98": "schema",
    "convert": "network.load",
    "decode": "codec.heatmap",
    "draw_faces": "predict.draw",
    "encode": "codec.heatmap",
    "load_checkpoint": "network.load",
    "nme": "evaluation.metrics",
    "save_checkpoint": "network.checkpoint",
}

__all__ = [
    "AFLW_19",
    "COFW_29",
    "SCHEMAS",
    "W300_68",
    "WFLW_98",
    "Checkpoint",
    "CheckpointConfig",
    "DarkposeError",
    "Decoded",
    "Face",
    "HRNet",
    "HRNetConfig",
    "KeypointSchema",
    "Predictor",
    "Tracker",
    "convert",
    "decode",
    "draw_faces",
    "encode",
    "load_checkpoint",
    "nme",
    "save_checkpoint",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'darkpose' has no attribute {name!r}")
    return getattr(import_module(f"darkpose.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
