"""Running exported files: onnxruntime and OpenVINO behind one call.

A runner takes crops (N, S, S, 3) RGB and matrices (N, 2, 3) float32, crop px to image px, and gives the outputs by
their names, as `export` says. Nothing here needs torch or onnx.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from darkpose.errors import DarkposeError
from darkpose.runtime.card import HEATMAPS, KEY, GraphCard, card_from_json, check_seal
from darkpose.runtime.openvino import in_two, keep_sums_unrounded

Runtime = Literal["torch", "onnxruntime", "openvino"]
RUNTIMES: tuple[Runtime, ...] = ("openvino", "onnxruntime")  # those that run files, the faster one first
NumberType = Literal["fp32", "bf16"]
Arrays = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class GraphRunner:
    """An exported file, ready to run.

    Attributes:
        card: what the file says of itself.
        name: the runtime, its version and set-up, for people.
        run: crops (N, S, S, 3) of the card's type and matrices (N, 2, 3) float32 -> output name -> array.
    """

    card: GraphCard
    name: str
    run: Callable[[NDArray[np.generic], NDArray[np.float32]], Arrays]

    def __call__(self, crops: NDArray[np.generic], matrices: NDArray[np.floating]) -> Arrays:
        """Outputs by name.

        Raises:
            DarkposeError: crops or matrices have another shape or type than the file takes, or a matrix is not finite.
        """
        size, kind = self.card.config.crop_size, self.card.crops
        crops = np.asarray(crops)
        if crops.ndim != 4 or crops.shape[1:] != (size, size, 3) or crops.dtype != kind:
            raise DarkposeError(f"expected crops (N, {size}, {size}, 3) {kind}, RGB, got {crops.shape} {crops.dtype}")
        matrices = np.ascontiguousarray(matrices, np.float32)
        if matrices.shape != (len(crops), 2, 3):
            raise DarkposeError(f"expected a matrix (2, 3) for each of {len(crops)} crops, got {matrices.shape}")
        if not np.isfinite(matrices).all():
            at = int(np.argmin(np.isfinite(matrices).all((1, 2))))
            raise DarkposeError(f"expected finite numbers in every matrix; that of crop {at} has others")
        return self.run(np.ascontiguousarray(crops), matrices)


def installed() -> list[Runtime]:
    """The runtimes for exported files that are here, the faster one first."""
    return [name for name in RUNTIMES if find_spec(name) is not None]


def open_graph(
    path: Path,
    *,
    runtime: Runtime | Literal["auto"] = "auto",
    threads: int | None = None,
    providers: Sequence[str] = (),
    numbers: NumberType = "fp32",
) -> GraphRunner:
    """Load an exported `.onnx` file.

    Args:
        path: of a file that darkpose has exported.
        runtime: "onnxruntime", "openvino", or "auto": OpenVINO if it is installed, else onnxruntime.
        threads: of the processor; None: as many as the runtime thinks best.
        providers: onnxruntime's execution providers ("CUDAExecutionProvider", ...) or OpenVINO's devices ("GPU", ...),
            best first, among several of which OpenVINO's AUTO chooses; none: the processor.
        numbers: "bf16": let OpenVINO calculate in bfloat16 where the processor has it.

    Raises:
        DarkposeError: the file is not there, is none of darkpose's, is damaged or has been changed; the runtime is
            missing, does not have such a provider or cannot run the file.
    """
    check_seal(path)
    here = installed()
    chosen = runtime if runtime != "auto" else (here[0] if here else None)
    if chosen is None:
        raise DarkposeError(
            f"{path}: no runtime for it is installed: pip install 'darkpose[openvino]' or 'darkpose[onnxruntime]'"
        )
    if chosen not in RUNTIMES:
        raise DarkposeError(f"{path}: an exported file runs by {' or '.join(RUNTIMES)}, not by {chosen!r}")
    if chosen not in here:
        raise DarkposeError(f"the runtime {chosen} is not installed: pip install 'darkpose[{chosen}]'")
    if threads is not None and not (isinstance(threads, int) and threads >= 1):
        raise DarkposeError(f"threads must be a whole number of at least 1, got {threads!r}")
    if numbers == "bf16" and chosen == "onnxruntime":
        raise DarkposeError("onnxruntime does not calculate in bf16 on a processor; OpenVINO does")
    if isinstance(providers, str):
        raise DarkposeError(f"expected a sequence of providers, got the text {providers!r}")
    opened = _open_onnxruntime if chosen == "onnxruntime" else _open_openvino
    try:
        return opened(path, threads, tuple(providers), numbers)
    except DarkposeError:
        raise
    except Exception as error:  # the runtimes raise types of their own, of no common kind
        raise DarkposeError(f"{path}: {chosen} cannot run it: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """What a runtime says: of OpenVINO's lines the last, the others tell where in its source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[-1] if lines[0].startswith("Exception from") else lines[0]


def _open_onnxruntime(path: Path, threads: int | None, providers: tuple[str, ...], numbers: NumberType) -> GraphRunner:
    import onnxruntime

    there = onnxruntime.get_available_providers()
    unknown = [name for name in providers if name not in there]
    if unknown:
        raise DarkposeError(f"this onnxruntime has no provider {unknown[0]!r}; it has {', '.join(there)}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=list(providers or ("CPUExecutionProvider",)))
    card = _card(session.get_modelmeta().custom_metadata_map, path)

    def run(crops: NDArray[np.generic], matrices: NDArray[np.float32]) -> Arrays:
        found = session.run(list(card.outputs), {"crops": crops, "matrices": matrices})
        return dict(zip(card.outputs, found, strict=True))

    return GraphRunner(card, _told("onnxruntime", threads, session.get_providers()[:1]), run)


def _open_openvino(path: Path, threads: int | None, providers: tuple[str, ...], numbers: NumberType) -> GraphRunner:
    core = _core()
    there = core.available_devices
    unknown = [name for name in providers if name.split(".")[0] not in {each.split(".")[0] for each in there}]
    if unknown:
        raise DarkposeError(f"this OpenVINO has no device {unknown[0]!r}; it has {', '.join(there)}")
    model = core.read_model(path)
    has_card = model.has_rt_info(["framework", KEY])
    card = _card({KEY: model.get_rt_info(["framework", KEY]).value} if has_card else {}, path)
    if card.precision == "int8":
        keep_sums_unrounded(model)
    device = "AUTO:" + ",".join(providers) if len(providers) > 1 else "".join(providers) or "CPU"
    shared = {"INFERENCE_NUM_THREADS": threads} if threads else {}
    hints = {"INFERENCE_PRECISION_HINT": "bf16" if numbers == "bf16" else "f32"}

    def compiled(shape: int) -> tuple[Any, Any]:
        """What runs the network and what is behind it, for so many crops; -1: any number."""
        network, decoder = in_two(model.clone())
        for part in (network, decoder):
            part.reshape({port: [shape, *list(port.get_partial_shape())[1:]] for port in part.inputs})
        find = core.compile_model(network, device, {**shared, **hints})
        decode = core.compile_model(decoder, device, {**shared, "INFERENCE_PRECISION_HINT": "f32"})
        return find.create_infer_request(), decode.create_infer_request()

    many = compiled(-1)
    alone = cache(lambda: compiled(1))  # a fixed number of crops runs faster; made at the first single face
    one_at_a_time = Lock()  # a request serves one thread; the work itself is on all of the processor anyway

    def run(crops: NDArray[np.generic], matrices: NDArray[np.float32]) -> Arrays:
        with one_at_a_time:
            find, decode = alone() if len(crops) == 1 else many
            heatmaps = find.infer({"crops": crops, "matrices": matrices}, share_inputs=True, share_outputs=True)[0]
            found = decode.infer({HEATMAPS: heatmaps, "crops": crops, "matrices": matrices}, share_inputs=True)
            given = {HEATMAPS: heatmaps, **{name: found[name] for name in card.outputs if name != HEATMAPS}}
            return {name: np.array(given[name]) for name in card.outputs}

    # It may be another precision than was asked for; AUTO does not say.
    taken, asked = many[0].get_compiled_model(), "INFERENCE_PRECISION_HINT"
    known = asked in taken.get_property("SUPPORTED_PROPERTIES")
    precision = str(taken.get_property(asked).get_type_name()).replace("f32", "fp32") if known else numbers
    return GraphRunner(card, _told("openvino", threads, [*taken.get_property("EXECUTION_DEVICES"), precision]), run)


@cache
def _core() -> Any:
    """OpenVINO itself, one for the whole process.

    Each sets up a stack for signal handlers and, when it goes, that of the one before: of two that go in the order in
    which they came the second leaves a freed stack, and the next signal, Ctrl-C for one, ends the process.
    """
    import openvino

    return openvino.Core()


def _card(metadata: Mapping[str, str], path: Path) -> GraphCard:
    if KEY not in metadata:
        raise DarkposeError(f"{path}: expected a file that `darkpose export` wrote")
    return card_from_json(metadata[KEY], path)


def _told(runtime: str, threads: int | None, facts: Sequence[str]) -> str:
    cores = f", {threads} thread{'' if threads == 1 else 's'}" if threads else ""
    return f"{runtime} {version(runtime)} ({', '.join(facts)}{cores})"
