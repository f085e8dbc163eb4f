"""The checkpoint file: weights with their configuration, schema and provenance, without torch.

One safetensors file holds the weights; its metadata holds the network's configuration, the schema, the pixel
convention, the sigma of the targets, the normalisation, and where the weights come from.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from darkpose.codec.dark import modulation_kernel
from darkpose.errors import DarkposeError
from darkpose.files.json_text import parse_json
from darkpose.files.paths import check_regular
from darkpose.files.records import parse_record
from darkpose.image.geometry import PADDING
from darkpose.image.pixels import Normalisation
from darkpose.schema import KeypointSchema

FORMAT = "1"
Arrays = Mapping[str, NDArray[Any]]
# The largest numbers of a configuration. HRNetV2-W64 has 512 channels, at most 4 modules, 4 blocks, 104 in all.
MAX_CHANNELS, MAX_DEPTH, MAX_BLOCKS, MAX_CROP, MAX_KERNEL = 4096, 64, 256, 4096, 255


@dataclass(frozen=True)
class HRNetConfig:
    """Widths and depths of an HRNetV2; the defaults are HRNetV2-W18 as used for faces.

    Attributes:
        keypoints: number of output heatmaps, K.
        widths: channels of the branches at stride 4, 8, 16, 32.
        modules: exchange modules in stages 2, 3, 4.
        blocks: residual blocks per branch and module.
        stem: channels of the two stride-2 convolutions and of the middle of the bottlenecks.
    """

    keypoints: int
    widths: tuple[int, int, int, int] = (18, 36, 72, 144)
    modules: tuple[int, int, int] = (1, 4, 3)
    blocks: int = 4
    stem: int = 64

    def __post_init__(self) -> None:
        channels, depths = (self.keypoints, *self.widths, self.stem), (*self.modules, self.blocks)
        fits = all(is_count(number, MAX_CHANNELS) for number in channels)
        fits = fits and all(is_count(number, MAX_DEPTH) for number in depths)
        if not fits or len(self.widths) != 4 or len(self.modules) != 3:
            raise DarkposeError(
                f"expected four widths and three modules, whole numbers from 1 to {MAX_CHANNELS} (channels) and to "
                f"{MAX_DEPTH} (modules, blocks), got {str(self)[:300]}"
            )
        blocks = self.blocks * sum(count * branches for count, branches in zip(self.modules, (2, 3, 4), strict=True))
        if blocks > MAX_BLOCKS:  # a network of more takes minutes to build
            raise DarkposeError(f"expected at most {MAX_BLOCKS} blocks in all modules and branches, got {blocks}")


def is_count(number: object, most: int) -> bool:
    """Whether a value of a file is a whole number from 1 to `most`."""
    return isinstance(number, Integral) and not isinstance(number, bool) and 1 <= int(number) <= most


W18 = HRNetConfig(keypoints=1)  # `replace` the number of heatmaps


@dataclass(frozen=True)
class CheckpointConfig:
    """How to use the weights.

    Attributes:
        network: widths and depths.
        crop_size: side of the crop, crop px.
        padding: side of the crop divided by the side of the landmark box.
        sigma: of the target heatmaps, heatmap px.
        kernel_size: of the blur in DARK that fits sigma.
        normalisation: of the pixels.
        pixel_convention: "crop/4": heatmap index j is at crop pixel 4j.
    """

    network: HRNetConfig
    crop_size: int = 256
    padding: float = PADDING
    sigma: float = 2.0
    kernel_size: int = 11
    normalisation: Normalisation = field(default_factory=Normalisation)
    pixel_convention: Literal["crop/4"] = "crop/4"

    def __post_init__(self) -> None:
        if not is_count(self.crop_size, MAX_CROP) or self.crop_size % 32:
            raise DarkposeError(f"crop_size must be a multiple of 32 from 32 to {MAX_CROP}, got {self.crop_size!r:.99}")
        for name in ("padding", "sigma"):
            value = getattr(self, name)
            if not isinstance(value, Real) or not 0 < value < 100:  # type: ignore[operator]
                raise DarkposeError(f"{name} must be a positive number below 100, got {value!r:.99}")
        if not is_count(self.kernel_size, MAX_KERNEL):
            odd = f"an odd number of at most {MAX_KERNEL}"
            raise DarkposeError(f"kernel_size must be {odd}, got {self.kernel_size!r:.99}")
        modulation_kernel(self.kernel_size)
        if self.pixel_convention != "crop/4":
            raise DarkposeError(f'the pixel convention must be "crop/4", got {self.pixel_convention!r}')


@dataclass(frozen=True)
class CheckpointFile:
    """A checkpoint file and its metadata; the weights stay on disk until they are read.

    Attributes:
        path: of the safetensors file.
        config: how to use the weights. Its number of keypoints is that of `schema`.
        schema: of the landmarks: the one in the file, or one of those that it joins.
        provenance: where the weights come from; JSON values.
        rows: which of the heatmaps in the file belong to `schema`.
    """

    path: Path
    config: CheckpointConfig
    schema: KeypointSchema
    provenance: Mapping[str, Any]
    rows: slice

    @property
    def graph(self) -> Path:
        """Path of the graph of the network (see `runtime.graph`): next to the file, `NAME.SCHEMA.onnx`."""
        return self.path.with_name(f"{self.path.stem}.{self.schema.name}.onnx")

    def with_schema(self, name: str | None) -> "CheckpointFile":
        """The same file for one of the schemas that it joins; None: the first.

        Raises:
            DarkposeError: the file does not know the schema.
        """
        parts = self.schema.parts
        if name is None:
            name = parts[0].name if parts else self.schema.name
        rows = self.schema.rows(name)
        if name == self.schema.name:
            return self
        part = next(part for part in parts if part.name == name)
        config = replace(self.config, network=replace(self.config.network, keypoints=len(part)))
        return replace(self, schema=part, config=config, rows=rows)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The weights of `schema` by name; floating-point weights as float32.

        Raises:
            DarkposeError: the file cannot be read, or has weights that are not finite.
        """
        arrays = finite_arrays(self.path)
        return {name: values[self.rows] if name.startswith(LAST_LAYER) else values for name, values in arrays.items()}


LAST_LAYER = "head.3."  # the 1x1 convolution whose output channels are the heatmaps


def as_float32(values: NDArray[Any]) -> NDArray[Any]:
    """Floating-point weights as float32, too large ones as infinity; whole numbers as they are."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32, copy=False) if values.dtype.kind == "f" else values


def finite_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All weights of a safetensors file by name; floating-point weights as float32.

    Raises:
        DarkposeError: the file cannot be read, or has weights that are not finite or complex.
    """
    arrays = {name: as_float32(values) for name, values in read_arrays(path).items()}
    if wrong := [name for name, values in arrays.items() if values.dtype.kind == "c" or not np.isfinite(values).all()]:
        raise DarkposeError(f"{path}: expected finite real numbers, {', '.join(wrong[:5])} has others")
    return arrays


@dataclass(frozen=True)
class _Facts:
    """The metadata of a file, each field a JSON text."""

    config: CheckpointConfig
    schema: KeypointSchema
    provenance: Mapping[str, Any]


def open_checkpoint(path: Path) -> CheckpointFile:
    """Read the metadata of one of darkpose's safetensors files.

    Raises:
        DarkposeError: the file is damaged, not darkpose's, or of another version.
    """
    metadata = read_metadata(path)
    if metadata.get("darkpose") != FORMAT:
        raise DarkposeError(
            f"{path}: expected a darkpose checkpoint of format {FORMAT}, got {metadata.get('darkpose', 'none')!r}"
        )
    try:
        names = (each.name for each in fields(_Facts) if each.name in metadata)
        found = parse_record(_Facts, {name: parse_json(metadata[name]) for name in names})
        check_schema(found.schema, found.config.network.keypoints)
    except DarkposeError as error:
        raise DarkposeError(f"{path}: its metadata cannot be used ({error})") from error
    return CheckpointFile(path, found.config, found.schema, found.provenance, slice(0, len(found.schema)))


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file.

    Raises:
        DarkposeError: it cannot be read.
    """
    try:
        check_regular(path)
        with safe_open(path, "numpy") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise DarkposeError(f"{path}: not a readable safetensors file ({error})") from error


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All weights of a safetensors file by name, in the types of the file.

    Raises:
        DarkposeError: it cannot be read.
    """
    try:
        with safe_open(path, "numpy") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError, TypeError) as error:  # TypeError: a type that NumPy lacks
        raise DarkposeError(f"{path}: not a readable safetensors file ({error})") from error


def fingerprint(arrays: Arrays) -> str:
    """SHA-256 of weights (float32, by name), in hex: equal weights give equal digits, whatever file they come from."""
    digest = hashlib.sha256()
    for name, values in sorted(arrays.items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def check_schema(schema: KeypointSchema, keypoints: int) -> None:
    """Refuse a schema that does not name every heatmap of the network.

    Raises:
        DarkposeError: the numbers differ.
    """
    if len(schema) != keypoints:
        raise DarkposeError(
            f"the network finds {keypoints} landmarks, but the schema {schema.name} names {len(schema)}; "
            f"give a schema of {keypoints}"
        )
