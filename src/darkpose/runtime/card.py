"""Metadata and checksum of an exported file.

The card is one JSON text under the key "darkpose" in the metadata of the file, where every runtime can read it. The
checksum, under another key, is a SHA-256 of the file with the digits of the checksum set to 0. It finds damage; whoever
makes a file on purpose can compute it, too.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from darkpose.codec.heatmap import Method
from darkpose.errors import DarkposeError
from darkpose.files.json_text import format_json, parse_json
from darkpose.files.paths import check_regular
from darkpose.files.records import parse_record
from darkpose.runtime.flip import FlipTest
from darkpose.schema import KeypointSchema
from darkpose.weights.calibrations import Calibration, calibration_from_json, calibration_to_json
from darkpose.weights.checkpoint import CheckpointConfig, check_schema

FORMAT = "2"
KEY, CHECKSUM_KEY = "darkpose", "darkpose_checksum"  # of the file's metadata
OUTPUTS = ("keypoints", "scores", "covariance", "heatmaps")  # covariance: with a calibration; heatmaps: if asked for
Precision = Literal["fp32", "fp16", "int8"]
CropType = Literal["uint8", "float32"]

_EMPTY = b"darkpose-checksum:" + b"0" * 64
_CHECKSUM = re.compile(rb"darkpose-checksum:[0-9a-f]{64}")


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
        required = {*OUTPUTS[:2], *(OUTPUTS[2:3] if self.calibration is not None else ())}
        if len(set(self.outputs)) != len(self.outputs) or set(self.outputs) - {OUTPUTS[3]} != required:
            raise DarkposeError(f"expected the outputs {', '.join(sorted(required))}, got {self.outputs!r:.200}")
        if self.calibration is not None:
            self.calibration.check(self.schema)
        if "sha256" not in self.weights:
            raise DarkposeError("it does not say which weights were exported")

    def to_json(self) -> str:
        """The text in the file; its "schema" begins with name, names, edges."""
        calibration = None if self.calibration is None else calibration_to_json(self.calibration)
        return format_json({"format": FORMAT, **asdict(self), "calibration": calibration})


def card_from_json(text: str, path: Path) -> GraphCard:
    """Inverse of `GraphCard.to_json`.

    Raises:
        DarkposeError: it is not darkpose's, or of another version.
    """
    try:
        values = parse_json(text)
        if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
            raise DarkposeError(f"expected format {FORMAT}")
        if (calibration := values.get("calibration")) is not None:
            values["calibration"] = calibration_from_json(calibration)
        return parse_record(GraphCard, values)
    except DarkposeError as error:
        raise DarkposeError(f"{path}: its metadata cannot be used ({error}); export it again") from error


def empty_checksum() -> str:
    """The value to put under `CHECKSUM_KEY` before the checksum is computed."""
    return _EMPTY.decode()


def with_checksum(data: bytes) -> bytes:
    """The file's bytes with the checksum filled in.

    Raises:
        ValueError: there is not exactly one place for it.
    """
    if data.count(_EMPTY) != 1:
        raise ValueError("expected one empty checksum")
    digest = hashlib.sha256(data).hexdigest().encode()
    return data.replace(_EMPTY, b"darkpose-checksum:" + digest)


def check_checksum(path: Path) -> bytes:
    """The bytes of an exported file, if its checksum matches.

    Raises:
        DarkposeError: it cannot be read, has no checksum, or another one.
    """
    try:
        check_regular(path)
        data = path.read_bytes()
    except OSError as error:
        raise DarkposeError(f"{path}: cannot be read: {error.strerror or error}") from error
    found = _CHECKSUM.findall(data)
    if len(found) != 1:
        raise DarkposeError(f"{path}: it has no checksum of darkpose: expected a file that `darkpose export` wrote")
    if hashlib.sha256(data.replace(found[0], _EMPTY)).hexdigest().encode() != found[0][-64:]:
        raise DarkposeError(f"{path}: its checksum does not match: it is damaged or was edited; export it again")
    return data
