"""Exported files as OpenVINO had better run them: its models are changed before they are compiled."""

from typing import Any

from darkpose.runtime.card import HEATMAPS

_BACK = ("Convert", "Convert", "Subtract", "Multiply")  # from whole numbers to floats again


def in_two(model: Any) -> tuple[Any, Any]:
    """An OpenVINO model as the network, crops -> heatmaps, and what is behind it: that must not be rounded to bf16."""
    import openvino

    def heatmaps_of(model: Any) -> Any:
        return next(port for op in model.get_ops() for port in op.outputs() if HEATMAPS in port.get_names())

    behind = model.clone()
    network = openvino.Model([heatmaps_of(model)], [port.get_node() for port in model.inputs])
    heatmaps = heatmaps_of(behind)
    between = openvino.op.Parameter(openvino.Type.f32, heatmaps.get_partial_shape())
    for target in heatmaps.get_target_inputs():
        target.replace_source_output(between.output(0))
    between.output(0).set_names({HEATMAPS})
    results = [port.get_node() for port in behind.outputs if port.get_node().input_value(0).get_node() is not between]
    return network, openvino.Model(results, [between, *(port.get_node() for port in behind.inputs)])


def keep_sums_unrounded(model: Any) -> None:
    """Let sums take convolutions of an int8 model as they are, not rounded to 8 bits and back.

    onnxruntime needs results of 8 bits to calculate a convolution in whole numbers. OpenVINO does not: it adds what the
    sum adds within the convolution, which is faster, and nearer to float32.
    """
    for rounded in model.get_ordered_ops():
        if rounded.get_type_name() == "FakeQuantize" and _is_convolution(rounded) and _takes_negative(rounded):
            floats = _floats_again(rounded)
            users = [] if floats is None else list(floats.output(0).get_target_inputs())
            if not any(user.get_node().get_type_name() == "Convolution" for user in users):
                for user in users:
                    user.replace_source_output(rounded.input_value(0))


def _is_convolution(rounded: Any) -> bool:
    """Whether what is rounded comes from a convolution, with or without a bias."""
    op = rounded.input_value(0).get_node()
    biased = op.get_type_name() == "Add"
    return bool((op.input_value(0).get_node() if biased else op).get_type_name() == "Convolution")


def _takes_negative(rounded: Any) -> bool:
    """Whether the least of the 256 numbers is negative; where it is 0, rounding is a ReLU, too."""
    least = rounded.input_value(1).get_node()
    return bool(least.get_type_name() == "Constant" and (least.get_data() < 0).any())


def _floats_again(op: Any) -> Any:
    """The end of the way back from 8 bits that begins behind an operation; None where there is another."""
    for kind in _BACK:
        users = list(op.output(0).get_target_inputs())
        if len(users) != 1 or users[0].get_node().get_type_name() != kind:
            return None
        op = users[0].get_node()
    return op
