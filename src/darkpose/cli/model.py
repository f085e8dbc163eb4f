"""Options that commands share: the network, its runtime, and the groups of the help."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter

# For so few images `--runtime auto` takes onnxruntime on a CPU: OpenVINO needs 2 s of CPU time to compile the network
# and saves some 20 ms an image.
FEW_IMAGES = 16
DEFAULT_OUTPUT = Path("darkpose-out")
INTERRUPTED = "interrupted; run the same command again to continue"
INPUT, MODEL = Group("Input and faces", sort_key=1), Group("Model", sort_key=2)
OUTPUT, SCALE = Group("Output", sort_key=3), Group("Scale", sort_key=4)


@Parameter(name="*", group=MODEL)
@dataclass(frozen=True)
class Model:
    """The network, and how its heatmaps become landmarks.

    Parameters
    ----------
    weights
        Name (see `darkpose models`) or path of a checkpoint, or path of an exported .onnx file.
    schema
        300w-68, wflw-98 or aflw-19, if the weights know several. Default: their first.
    runtime
        What runs the network. auto: on an NVIDIA GPU torch, or onnxruntime with CUDA; on a CPU the fastest installed of
        OpenVINO, onnxruntime and torch, but onnxruntime for up to 16 images: it starts faster. Checkpoints outside the
        package: onnxruntime or torch.
    device
        Device of torch: auto, cpu, cuda, cuda:1, ...
    method
        Decoder of the heatmaps. Default: dark, or the one in an exported file.
    flip_test
        Average with the mirrored crop: twice the time, slightly more accurate. Default: off, or as in an exported file.
    shape_prior
        Pull hidden, blurred and lost landmarks towards shapes of faces: wflw-98, or the file of a prior.
    """

    weights: str = "default"
    schema: str | None = None
    runtime: Literal["auto", "onnxruntime", "openvino", "torch"] = "auto"
    device: str = "auto"
    method: Literal["dark", "dark+", "quarter", "argmax"] | None = None
    flip_test: Literal["off", "published", "exact"] | None = None
    shape_prior: str | None = None


@Parameter(name="*", group=SCALE)
@dataclass(frozen=True)
class Compute:
    """How the network is run.

    Parameters
    ----------
    threads
        CPU threads of the network. Default: the runtime chooses.
    precision
        Number type of the network; bf16 needs torch or OpenVINO.
    provider
        Execution provider of onnxruntime, or device of OpenVINO. Repeat for several, best first.
    compile
        Compile the network with torch, on a GPU into CUDA graphs. Takes minutes.
    """

    threads: int | None = None
    precision: Annotated[Literal["fp32", "bf16"], Parameter(alias="--numbers")] = "fp32"
    provider: list[str] | None = None
    compile: Annotated[bool, Parameter(alias="--compiled")] = False


def predictor_options(model: Model, compute: Compute) -> dict[str, Any]:
    """Keyword arguments of `Predictor`."""
    return {
        "weights": model.weights,
        "schema": model.schema,
        "runtime": model.runtime,
        "device": model.device,
        "method": model.method,
        "flip_test": model.flip_test,
        "shape_prior": model.shape_prior,
        "threads": compute.threads,
        "numbers": compute.precision,
        "providers": tuple(compute.provider or ()),
        "compiled": compute.compile,
    }


def runtime_for(model: Model, compute: Compute, images: int) -> str:
    """The runtime asked for; onnxruntime for few images on a CPU, if it can run the weights without another package."""
    from darkpose.runtime.open import has_nvidia_driver
    from darkpose.weights.zoo import SHIPPED, resolve_name

    asked = model.runtime != "auto" or model.device not in ("auto", "cpu")
    asked = asked or compute.precision != "fp32" or compute.compile or bool(compute.provider)
    able = model.weights.endswith(".onnx") or resolve_name(model.weights, model.schema) in SHIPPED
    if images > FEW_IMAGES or asked or not able or has_nvidia_driver():
        return model.runtime
    return "onnxruntime"
