"""An exported `.onnx` file as a network: its heatmaps, without the decoder that is in the file."""

from dataclasses import dataclass
from pathlib import Path

from darkpose.errors import DarkposeError
from darkpose.runtime.card import KEY, GraphCard, Precision, card_from_json, check_checksum
from darkpose.runtime.graph import CROPS, HEATMAPS
from darkpose.runtime.graph_builder import FLOAT, HALF, UINT8
from darkpose.runtime.onnx_bytes import OnnxFacts, read_facts, with_output


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

        Raises:
            DarkposeError: the file has been changed.
        """
        data = check_checksum(self.path)
        return data if HEATMAPS in self.card.outputs else with_output(data, HEATMAPS)


def open_exported(path: Path) -> ExportedFile:
    """Check the checksum of an exported file, read its card, and compare both with its graph.

    Raises:
        DarkposeError: it is missing, not exported by darkpose, damaged or changed, its weights are in other files, or
            its card does not fit its graph.
    """
    data = check_checksum(path)
    try:
        facts = read_facts(data)
    except ValueError as error:
        raise DarkposeError(f"{path}: not a readable ONNX file ({error})") from error
    if KEY not in facts.metadata:
        raise DarkposeError(f"{path}: expected a file that `darkpose export` wrote")
    card = card_from_json(facts.metadata[KEY], path)
    if not facts.whole:
        raise DarkposeError(f"{path}: expected all weights in the file itself, some are elsewhere; export it again")
    crops = FLOAT if card.crops == "float32" else UINT8
    for what, told, found in (
        ("the inputs", {CROPS: crops, "matrices": FLOAT}, facts.inputs),
        ("the outputs", list(card.outputs), list(facts.outputs)),
        ("the opset", card.opset, facts.opsets.get("")),
        ("the precision", card.precision, _precision(facts)),
    ):
        if told != found:
            raise DarkposeError(f"{path}: its graph has {what} {found}, its metadata says {told}; export it again")
    return ExportedFile(path, card)


def _precision(facts: OnnxFacts) -> Precision:
    """The number type of the network in a graph."""
    if "DequantizeLinear" in facts.operators:
        return "int8"
    stored = "BatchNormalization" in facts.operators  # weights as they are stored; the network calculates in float32
    return "fp16" if HALF in facts.types and not stored else "fp32"
