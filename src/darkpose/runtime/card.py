"""What an exported file says of itself, and the seal that shows whether it is as it was written.

The card is one JSON text under the key "darkpose" in the file's own metadata, where every runtime can read it. The
seal, under another key, is a SHA-256 of the file with the seal's own digits set to 0.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from darkpose.codec.heatmap import Method
from darkpose.errors import DarkposeError
from darkpose.runtime.flip import FlipTest
from darkpose.schema import KeypointSchema
from darkpose.weights.checkpoint import CheckpointConfig, config_from_json, schema_from_json

FORMAT = "1"
KEY, SEAL_KEY = "darkpose", "darkpose_seal"  # of the file's metadata
HEATMAPS = "heatmaps"  # the tensor between network and decoder, an output or not
Precision = Literal["fp32", "fp16", "int8"]
CropType = Literal["uint8", "float32"]

_UNSEALED = b"darkpose-seal:" + b"0" * 64
_SEAL = re.compile(rb"darkpose-seal:[0-9a-f]{64}")


@dataclass(frozen=True)
class GraphCard:
    """What an exported graph is.

    Attributes:
        schema: markup of the landmarks; in the file its names and edges can be read.
        config: of the checkpoint: size and padding of the crop, and what is built in.
        flip_test, method: built in.
        precision: of the network's numbers.
        crops: type of the input "crops".
        outputs: names, in order.
        opset: of ONNX; 0 where the file is no ONNX.
        weights: of the network: "sha256" (see `checkpoint.fingerprint`), "name", "terms".
        version: of darkpose, that wrote it.
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

    def to_json(self) -> str:
        """The text that the file holds; its "schema" begins with name, names, edges."""
        return json.dumps({"format": FORMAT, **asdict(self)}, allow_nan=False)


def card_from_json(text: str, path: Path) -> GraphCard:
    """Inverse of `GraphCard.to_json`.

    Raises:
        DarkposeError: it is none of darkpose's, or of another version.
    """
    try:
        values: dict[str, Any] = json.loads(text)
        if values.pop("format") != FORMAT:
            raise DarkposeError(f"expected format {FORMAT}")
        values["schema"] = schema_from_json(values["schema"])
        values["config"] = config_from_json(values["config"])
        values["outputs"] = tuple(values["outputs"])
        if set(values) != {field.name for field in fields(GraphCard)}:
            raise DarkposeError(f"unexpected or missing facts: {sorted(values)}")
        return GraphCard(**values)
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:  # DarkposeError included
        raise DarkposeError(f"{path}: what it says of itself cannot be used ({error}); export it again") from error


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


def check_seal(path: Path) -> None:
    """Refuse a file that is not as `seal` left it.

    Raises:
        DarkposeError: it cannot be read, has no seal, or has been changed.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DarkposeError(f"{path}: cannot be read: {error.strerror or error}") from error
    found = _SEAL.findall(data)
    if len(found) != 1:
        raise DarkposeError(f"{path}: expected a file that `darkpose export` wrote; it carries no seal of darkpose's")
    if hashlib.sha256(data.replace(found[0], _UNSEALED)).hexdigest().encode() != found[0][-64:]:
        raise DarkposeError(f"{path}: it is damaged or has been changed since darkpose wrote it; export it again")
