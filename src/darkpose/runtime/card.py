"""Metadata and checksum of an exported file.

The card is one JSON text under the key "darkpose" in the metadata of the file, where every runtime can read it. The
seal, under another key, is a SHA-256 of the file with the digits of the seal set to 0.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from darkpose.codec.heatmap import Method
from darkpose.errors import DarkposeError
from darkpose.files.paths import check_regular
from darkpose.runtime.flip import FlipTest
from darkpose.schema import KeypointSchema
from darkpose.weights.calibrations import Calibration, calibration_from_json, calibration_to_json
from darkpose.weights.checkpoint import CheckpointConfig, check_schema, config_from_json, schema_from_json

FORMAT = "2"
KEY, SEAL_KEY = "darkpose", "darkpose_seal"  # of the file's metadata
OUTPUTS = ("keypoints", "scores", "covariance", "heatmaps")  # covariance: with a calibration; heatmaps: if asked for
Precision = Literal["fp32", "fp16", "int8"]
CropType = Literal["uint8", "float32"]

_UNSEALED = b"darkpose-seal:" + b"0" * 64
_SEAL = re.compile(rb"darkpose-seal:[0-9a-f]{64}")


@dataclass(frozen=True)
class GraphCard:
    """Metadata of an exported graph.

    Attributes:
        schema: of the landmarks; names and edges can be read in the file.
        config: of the checkpoint: size and padding of the crop, and constants of the graph.
        flip_test, method: built in.
        precision: number type of the network.
        crops: type of the input "crops".
        outputs: names, in order, of `OUTPUTS`.
        opset: of ONNX; 0 if the file is not ONNX.
        weights: of the network: "sha256" (see `checkpoint.fingerprint`), "name", "terms".
        version: of the darkpose that wrote the file.
        calibration: of the covariances that the graph gives; None: it gives none.

    Raises:
        DarkposeError: a value is not one of these, or does not fit the schema.
    """

    schema: KeypointSchema
    config: CheckpointConfig
    flip_test: FlipTest
    method: Method
    precision: Precision
    crops: CropType
    outputs: tuple[str, ...]
    opset: int
    weights: Mapping[str, str]
    version: str
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        check_schema(self.schema, self.config.network.keypoints)
        kinds = {"flip_test": FlipTest, "method": Method, "precision": Precision, "crops": CropType}
        for name, kind in kinds.items():
            if (value := getattr(self, name)) not in get_args(kind):
                raise DarkposeError(f"{name} must be one of {', '.join(get_args(kind))}, got {value!r:.99}")
        required = {*OUTPUTS[:2], *(OUTPUTS[2:3] if self.calibration is not None else ())}
        if len(set(self.outputs)) != len(self.outputs) or set(self.outputs) - {OUTPUTS[3]} != required:
            raise DarkposeError(f"expected the outputs {', '.join(sorted(required))}, got {self.outputs!r:.200}")
        if self.calibration is not None and len(self.calibration.scale) != len(self.schema):
            found = len(self.calibration.scale)
            raise DarkposeError(f"expected a calibration of {len(self.schema)} landmarks, got one of {found}")
        if type(self.opset) is not int or not isinstance(self.version, str):
            raise DarkposeError("expected a whole number as opset and a text as version")
        told = self.weights.items()
        if not all(isinstance(text, str) for pair in told for text in pair) or "sha256" not in self.weights:
            raise DarkposeError("expected texts as the facts about the weights, among them sha256")

    def to_json(self) -> str:
        """The text in the file; its "schema" begins with name, names, edges."""
        calibration = None if self.calibration is None else calibration_to_json(self.calibration)
        return json.dumps({"format": FORMAT, **asdict(self), "calibration": calibration}, allow_nan=False)


def card_from_json(text: str, path: Path) -> GraphCard:
    """Inverse of `GraphCard.to_json`.

    Raises:
        DarkposeError: it is not darkpose's, or of another version.
    """
    try:
        values: dict[str, Any] = json.loads(text)
        if values.pop("format") != FORMAT:
            raise DarkposeError(f"expected format {FORMAT}")
        values["schema"] = schema_from_json(values["schema"])
        values["config"] = config_from_json(values["config"])
        values["outputs"] = tuple(values["outputs"])
        if values["calibration"] is not None:
            values["calibration"] = calibration_from_json(values["calibration"])
        if set(values) != {field.name for field in fields(GraphCard)}:
            raise DarkposeError(f"unexpected or missing facts: {sorted(values)}")
        return GraphCard(**values)
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:  # DarkposeError included
        raise DarkposeError(f"{path}: its metadata cannot be used ({error}); export it again") from error


def unsealed() -> str:
    """The value to put under `SEAL_KEY` before a file is sealed."""
    return _UNSEALED.decode()


def seal(data: bytes) -> bytes:
    """The file's bytes with the seal filled in.

    Raises:
        ValueError: there is not exactly one place for it.
    """
    if data.count(_UNSEALED) != 1:
        raise ValueError("expected one unsealed place")
    digest = hashlib.sha256(data).hexdigest().encode()
    return data.replace(_UNSEALED, b"darkpose-seal:" + digest)


def check_seal(path: Path) -> bytes:
    """The bytes of an exported file, if they are as `seal` left them.

    Raises:
        DarkposeError: it cannot be read, has no seal, or has been changed.
    """
    try:
        check_regular(path)
        data = path.read_bytes()
    except OSError as error:
        raise DarkposeError(f"{path}: cannot be read: {error.strerror or error}") from error
    found = _SEAL.findall(data)
    if len(found) != 1:
        raise DarkposeError(f"{path}: expected a file that `darkpose export` wrote; it has no seal of darkpose")
    if hashlib.sha256(data.replace(found[0], _UNSEALED)).hexdigest().encode() != found[0][-64:]:
        raise DarkposeError(f"{path}: it is damaged or has been changed since darkpose wrote it; export it again")
    return data
