"""Runs a whole exported file, as a program without darkpose would: to check it."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from darkpose.errors import DarkposeError
from darkpose.image.geometry import STRIDE, Floats, crop_to_image
from darkpose.image.pixels import Pixels
from darkpose.predict.landmarks import Landmarks
from darkpose.runtime.card import KEY, GraphCard, card_from_json
from darkpose.runtime.exported import open_exported
from darkpose.runtime.graph import HEATMAPS
from darkpose.runtime.network import Runtime, reason_of

Arrays = dict[str, NDArray[np.float32]]
BATCH = 16  # crops at a time
FILE_RUNTIMES: tuple[Runtime, ...] = ("onnxruntime", "openvino")


@dataclass(frozen=True, eq=False)
class FileRunner:
    """An exported file, ready to run.

    Attributes:
        card: metadata of the file.
        name: runtime and its version, for people.
        run: crops (N, S, S, 3) of the card's type and matrices (N, 2, 3) float32 -> output name -> array.
    """

    card: GraphCard
    name: str
    run: Callable[[NDArray[np.generic], NDArray[np.float32]], Arrays]

    def __call__(self, crops: NDArray[np.generic], matrices: NDArray[np.floating]) -> Arrays:
        """Outputs by name.

        Args:
            crops: (N, S, S, 3) RGB, in the type that the file takes.
            matrices: (N, 2, 3), crop px to image px.

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
            raise DarkposeError(f"expected finite numbers in every matrix, the matrix of crop {at} has others")
        return self.run(np.ascontiguousarray(crops), matrices)

    def find(self, crops: Pixels, center: Floats, sides: Floats) -> Landmarks:
        """Landmarks of crops (N, S, S, 3) uint8 RGB whose centres (N, 2) and sides (N, 2) are in image px."""
        matrices = crop_matrices(center, sides, self.card.config.crop_size)
        typed = crops.astype(self.card.crops, copy=False)
        parts = [self(typed[at : at + BATCH], matrices[at : at + BATCH]) for at in range(0, len(crops), BATCH)]
        found = {name: np.concatenate([part[name] for part in parts]) for name in self.card.outputs}
        return Landmarks(found["keypoints"], found["scores"], found.get("covariance"))


def crop_matrices(center: Floats, sides: Floats, size: int) -> Floats:
    """Matrices (N, 2, 3), crop px to image px, of upright crops.

    Args:
        center: (N, 2) image px.
        sides: (N, 2) = (width, height), image px.
        size: side of the crops, crop px.
    """
    each = [crop_to_image(middle, float(side[0]), (size, size)) for middle, side in zip(center, sides, strict=True)]
    return np.reshape(each, (-1, 2, 3))


def file_runtimes() -> list[Runtime]:
    """The installed runtimes that run `.onnx` files."""
    return [name for name in FILE_RUNTIMES if find_spec(name) is not None]


def open_file(path: Path, runtime: Runtime) -> FileRunner:
    """Load an exported `.onnx` file into one of `file_runtimes()`, on the CPU and in float32.

    Raises:
        DarkposeError: the file cannot be used (see `open_exported`), or gives other outputs than its card says.
    """
    card = open_exported(path).card
    size, count, side = card.config.crop_size, len(card.schema), card.config.crop_size // STRIDE
    shapes = {"keypoints": (count, 2), "scores": (count,), "covariance": (count, 2, 2), HEATMAPS: (count, side, side)}
    try:
        run = _by_onnxruntime(path, card) if runtime == "onnxruntime" else _by_openvino(path, card)
        found = run(np.zeros((1, size, size, 3), card.crops), np.eye(2, 3, dtype=np.float32)[None])
    except Exception as error:  # the runtimes raise types of their own
        raise DarkposeError(f"{path}: {runtime} cannot run it: {reason_of(error)}") from error
    if wrong := [name for name in card.outputs if found[name].shape != (1, *shapes[name])]:
        raise DarkposeError(f"{path}: its metadata does not fit its outputs {', '.join(wrong)}; export it again")
    return FileRunner(card, f"{runtime} {version(runtime)}", run)


def _by_onnxruntime(path: Path, card: GraphCard) -> Callable[..., Arrays]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised, and darkpose reports them
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(crops: NDArray[np.generic], matrices: NDArray[np.float32]) -> Arrays:
        found = session.run(list(card.outputs), {"crops": crops, "matrices": matrices})
        return dict(zip(card.outputs, found, strict=True))

    return run


def _by_openvino(path: Path, card: GraphCard) -> Callable[..., Arrays]:
    from darkpose.runtime.openvino import keep_sums_unrounded, openvino_core

    core = openvino_core()
    model = core.read_model(path)
    if card.precision == "int8":
        keep_sums_unrounded(model)
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(crops: NDArray[np.generic], matrices: NDArray[np.float32]) -> Arrays:
        found = compiled({"crops": crops, "matrices": matrices})
        return {name: np.array(found[name]) for name in card.outputs}

    return run


def open_program(path: Path) -> FileRunner:
    """Load a `.pt2` file that darkpose has just written; nothing checks whether it has been changed since."""
    extra = {KEY: ""}
    program = torch.export.load(path, extra_files=extra).module()
    card = card_from_json(extra[KEY], path)

    def run(crops: NDArray[np.generic], matrices: NDArray[np.float32]) -> Arrays:
        with torch.inference_mode():
            found = program(torch.from_numpy(crops), torch.from_numpy(matrices))
        return {name: value.numpy() for name, value in zip(card.outputs, found, strict=True)}

    return FileRunner(card, f"torch.export {torch.__version__}", run)
