"""An exported `.onnx` file as a network: its heatmaps, without the decoder that is in the file."""

import re
from dataclasses import dataclass
from pathlib import Path

from darkpose.errors import DarkposeError
from darkpose.runtime.card import KEY, GraphCard, card_from_json, check_checksum
from darkpose.runtime.graph import HEATMAPS


@dataclass(frozen=True)
class ExportedFile:
    """An exported file.

    Attributes:
        path: of the file.
        card: its metadata.
    """

    path: Path
    card: GraphCard

    def with_heatmaps(self) -> bytes:
        """The bytes of the file with "heatmaps" among the outputs.

        Bytes of a protobuf message that are appended to another one are merged into it: here a graph with one output.
        """
        data = self.path.read_bytes()
        if HEATMAPS in self.card.outputs:
            return data
        tensor_type = _field(2, _field(1, b"\x08\x01"))  # ValueInfoProto.type.tensor_type.elem_type = FLOAT
        output = _field(1, HEATMAPS.encode()) + tensor_type
        return data + _field(7, _field(12, output))  # ModelProto.graph, GraphProto.output


def open_exported(path: Path) -> ExportedFile:
    """Check the checksum of an exported file and read its card.

    Raises:
        DarkposeError: it is missing, not exported by darkpose, damaged or changed.
    """
    data = check_checksum(path)
    entry = re.search(
        rb"\x0a" + bytes([len(KEY)]) + KEY.encode() + rb"\x12", data
    )  # StringStringEntryProto: key, value
    if entry is None:
        raise DarkposeError(f"{path}: expected a file that `darkpose export` wrote")
    length, start = _read_varint(data, entry.end())
    return ExportedFile(path, card_from_json(data[start : start + length].decode("utf-8", "replace"), path))


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field of a protobuf message."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    return bytes([value & 0x7F | 0x80]) + _varint(value >> 7) if value > 0x7F else bytes([value])


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """A varint and the position after it."""
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not data[at - 1] & 0x80:
            return value, at
