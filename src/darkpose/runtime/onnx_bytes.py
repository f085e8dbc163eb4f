"""What the bytes of an ONNX file hold, read without the package onnx: they are a protobuf message."""

from collections.abc import Iterator
from dataclasses import dataclass, field

Field = tuple[int, int | memoryview]

# Fields of the messages, by their numbers in onnx.proto.
_GRAPH, _OPSETS, _METADATA = 7, 8, 14  # of ModelProto
_NODES, _TENSORS, _INPUTS, _OUTPUTS = 1, 5, 11, 12  # of GraphProto
_OPERATOR, _ATTRIBUTES = 4, 5  # of NodeProto
_ATTRIBUTE_TENSOR = 5  # of AttributeProto
_TENSOR_TYPE, _EXTERNAL_DATA, _PLACE = 2, 13, 14  # of TensorProto
# Fields that can hold tensors, too, and that darkpose does not write: functions, training, graphs in attributes, ...
_OTHERS = {"model": {20, 25}, "graph": {15}, "attribute": {6, 10, 11, 22, 23}}


@dataclass
class OnnxFacts:
    """What a file holds.

    Attributes:
        metadata: key -> text.
        opsets: domain -> version of its operators.
        inputs, outputs: name -> type of the numbers, as in onnx.proto; None: another kind of value.
        operators: names of those that it uses.
        types: of its initializers, by their numbers in onnx.proto.
        whole: whether all its tensors are in the file itself.
    """

    metadata: dict[str, str] = field(default_factory=dict)
    opsets: dict[str, object] = field(default_factory=dict)
    inputs: dict[str, object] = field(default_factory=dict)
    outputs: dict[str, object] = field(default_factory=dict)
    operators: set[str] = field(default_factory=set)
    types: set[object] = field(default_factory=set)
    whole: bool = True


def read_facts(data: bytes) -> OnnxFacts:
    """What a file holds.

    Raises:
        ValueError: the bytes are not a protobuf message.
    """
    facts = OnnxFacts()
    for number, value in _fields(memoryview(data)):
        facts.whole &= number not in _OTHERS["model"]
        if number == _METADATA:
            entry = dict(_fields(_message(value)))
            facts.metadata.setdefault(_text(entry.get(1)), _text(entry.get(2)))
        elif number == _OPSETS:
            opset = dict(_fields(_message(value)))
            facts.opsets[_text(opset.get(1))] = opset.get(2)
        elif number == _GRAPH:
            _read_graph(_message(value), facts)
    return facts


def _read_graph(graph: memoryview, facts: OnnxFacts) -> None:
    for number, value in _fields(graph):
        facts.whole &= number not in _OTHERS["graph"]
        if number == _TENSORS:
            facts.whole &= _is_inside(_message(value))
            facts.types |= {each for of, each in _fields(_message(value)) if of == _TENSOR_TYPE}
        elif number in (_INPUTS, _OUTPUTS):
            name, kind = _name_and_type(_message(value))
            (facts.inputs if number == _INPUTS else facts.outputs)[name] = kind
        elif number == _NODES:
            for of_node, part in _fields(_message(value)):
                if of_node == _OPERATOR:
                    facts.operators.add(_text(part))
                elif of_node == _ATTRIBUTES:
                    _read_attribute(_message(part), facts)


def _read_attribute(attribute: memoryview, facts: OnnxFacts) -> None:
    for number, value in _fields(attribute):
        facts.whole &= number not in _OTHERS["attribute"]
        if number == _ATTRIBUTE_TENSOR:
            facts.whole &= _is_inside(_message(value))


def _name_and_type(value: memoryview) -> tuple[str, object]:
    """Of a ValueInfoProto."""
    told = dict(_fields(value))
    kind = dict(_fields(_message(told.get(2, memoryview(b"")))))
    tensor = dict(_fields(_message(kind.get(1, memoryview(b"")))))
    return _text(told.get(1)), tensor.get(1)


def _is_inside(tensor: memoryview) -> bool:
    """Whether the numbers of a tensor are in the file itself."""
    return not any(number == _EXTERNAL_DATA or (number == _PLACE and value != 0) for number, value in _fields(tensor))


def with_output(data: bytes, name: str) -> bytes:
    """The bytes of a model with one more output, of floats.

    Bytes of a protobuf message that are appended to another one are merged into it: here a graph with one output.
    """
    tensor_type = _field(2, _field(1, b"\x08\x01"))  # ValueInfoProto.type.tensor_type.elem_type = FLOAT
    output = _field(1, name.encode()) + tensor_type
    return data + _field(_GRAPH, _field(12, output))  # GraphProto.output


def _fields(message: memoryview) -> Iterator[Field]:
    """Number and value of every field: a whole number, or bytes; numbers of fixed size are left out."""
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        if key & 7 == 0:
            value, at = _read_varint(message, at)
            yield key >> 3, value
        elif key & 7 == 2:
            length, at = _read_varint(message, at)
            if length > len(message) - at:
                raise ValueError("a field is longer than the file")
            yield key >> 3, message[at : at + length]
            at += length
        elif key & 7 in (1, 5):
            at += 8 if key & 7 == 1 else 4
        else:
            raise ValueError("a field of an unknown kind")


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("expected a message, got a number")
    return value


def _text(value: int | memoryview | None) -> str:
    return bytes(_message(value)).decode("utf-8", "replace") if value is not None else ""


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field of a message."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    return bytes([value & 0x7F | 0x80]) + _varint(value >> 7) if value > 0x7F else bytes([value])


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    """A varint and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise ValueError("the file ends within a number")
        value |= (message[at] & 0x7F) << shift
        at += 1
        if not message[at - 1] & 0x80:
            return value, at
    raise ValueError("a number of more than 64 bits")
