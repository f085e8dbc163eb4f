"""The file of the face detector: weights with their configuration and provenance, without torch."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from darkpose.errors import DarkposeError
from darkpose.files.json_text import parse_json
from darkpose.files.records import parse_record
from darkpose.image.pixels import Normalisation
from darkpose.weights.checkpoint import MAX_CHANNELS, MAX_DEPTH, finite_arrays, is_count, read_metadata
from darkpose.weights.zoo import shipped_file

FORMAT = "1"
NAME = "face-detector"  # of the file in the package
CELL_STRIDES = (8, 16, 32)  # input px per cell of the network's three grids
SCALES = (1, 2, 4)  # the network sees an image at its size, at half and at a quarter of it
MULTIPLE = SCALES[-1] * CELL_STRIDES[-1]  # px; sides of images are multiples of this
LEAST_SHRUNK = 80.0  # px at the smaller sizes; smaller faces are taken from the larger size only
# Of each cell: logit of the score; the centre of the face from the cell's own place, in cells; logarithms of width and
# height in cells; cos and sin of the roll (times a positive number).
CELL_VALUES = ("score", "x", "y", "width", "height", "cos", "sin")
_PIXELS = Normalisation((0.5,) * 3, (64 / 255,) * 3)


@dataclass(frozen=True)
class FaceDetectorConfig:
    """The network and how to use it.

    Attributes:
        widths: channels at strides 2, 4, 8, 16 and 32.
        depths: residual blocks at strides 4, 8, 16 and 32; may be 0.
        pyramid: channels of the feature pyramid and the heads.
        normalisation: of the pixels.
    """

    widths: tuple[int, int, int, int, int] = (16, 32, 64, 96, 128)
    depths: tuple[int, int, int, int] = (0, 1, 1, 2)
    pyramid: int = 48
    normalisation: Normalisation = _PIXELS

    def __post_init__(self) -> None:
        fits = len(self.widths) == 5 and len(self.depths) == 4
        fits = fits and all(is_count(number, MAX_CHANNELS) for number in (*self.widths, self.pyramid))
        fits = fits and all(number == 0 or is_count(number, MAX_DEPTH) for number in self.depths)
        if not fits:
            raise DarkposeError(f"unusable widths or depths: {str(self)[:300]}")


@dataclass(frozen=True)
class FaceDetectorFile:
    """A file and its metadata; the weights stay on disk until they are read.

    Attributes:
        path: of the safetensors file.
        config: of the network.
        provenance: where the weights come from; JSON values.
    """

    path: Path
    config: FaceDetectorConfig
    provenance: Mapping[str, Any]

    @property
    def graph(self) -> Path:
        """Path of the graph of the network, next to the file in the package (see `runtime.face_detector_graph`)."""
        return self.path.with_suffix(".onnx")

    def digest(self) -> str:
        """SHA-256 of the file, in hex.

        Raises:
            DarkposeError: it cannot be read.
        """
        try:
            return hashlib.sha256(self.path.read_bytes()).hexdigest()
        except OSError as error:
            raise DarkposeError(f"{self.path}: cannot be read: {error.strerror or error}") from error

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The weights by name; floating-point weights as float32.

        Raises:
            DarkposeError: the file cannot be read, or has weights that are not finite.
        """
        return finite_arrays(self.path)


@dataclass(frozen=True)
class _Facts:
    """The metadata of a file, each field a JSON text."""

    config: FaceDetectorConfig
    provenance: Mapping[str, Any]


def open_face_detector(path: Path | None = None) -> FaceDetectorFile:
    """Read the metadata of a detector's file; None: the one in the package.

    Raises:
        DarkposeError: the file is damaged, or of something else than a face detector.
    """
    path = path or shipped_file(NAME)
    metadata = read_metadata(path)
    if metadata.get("darkpose_face_detector") != FORMAT:
        found = "the weights of a landmark network" if "darkpose" in metadata else "something else"
        raise DarkposeError(f"{path}: expected a face detector of darkpose, format {FORMAT}; it holds {found}")
    try:
        names = (each.name for each in fields(_Facts) if each.name in metadata)
        facts = parse_record(_Facts, {name: parse_json(metadata[name]) for name in names})
    except DarkposeError as error:
        raise DarkposeError(f"{path}: its metadata cannot be used ({error})") from error
    return FaceDetectorFile(path, facts.config, facts.provenance)
