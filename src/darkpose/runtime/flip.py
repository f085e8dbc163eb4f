"""Crops -> heatmaps -> keypoints: the way of an image behind its crop."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Literal, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from darkpose.codec.heatmap import Decoded, Method, decode
from darkpose.errors import DarkposeError
from darkpose.image.geometry import FLIP_SHIFT
from darkpose.image.pixels import Normalisation, Pixels

Item = TypeVar("Item")
FlipTest = Literal["off", "published", "exact"]


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of up to `size` items, in order."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def find_device(name: str) -> torch.device:
    """A device by its name; "auto" is a GPU if there is one.

    Raises:
        DarkposeError: it cannot be used.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        first_line = str(error).splitlines()[0]
        raise DarkposeError(f"the device {name!r} cannot be used: {first_line}") from error
    return device


def mirror_back(
    heatmaps: Tensor, flip_index: NDArray[np.intp] | Tensor, align: Literal["published", "exact"]
) -> Tensor:
    """Heatmaps (N, K, H, W) of mirrored crops, brought back onto the heatmaps of the crops.

    Mirrored and channels swapped, they lie 3/4 px too far left. "published" moves them by one whole column (column 0
    stays), as the reference does, which leaves the mean of both 1/8 px off; "exact" moves them by 3/4 px, linearly
    interpolated between columns (at the left edge the first column continues).
    """
    back = heatmaps[:, torch.as_tensor(flip_index, device=heatmaps.device)].flip(-1)
    left = torch.cat([back[..., :1], back[..., :-1]], dim=-1)
    return left if align == "published" else torch.lerp(back, left, FLIP_SHIFT)


def predict_heatmaps(
    model: Callable[[Tensor], Tensor], crops: Tensor, flip_index: NDArray[np.intp], flip_test: FlipTest = "off"
) -> Tensor:
    """Heatmaps (N, K, H, W) float32 of normalised crops (N, 3, h, w).

    Args:
        model: the network, in evaluation mode, on the crops' device.
        crops: as the network takes them.
        flip_index: (K,) of the markup.
        flip_test: average with the heatmaps of the mirrored crops, aligned as "published" or "exact" (see
            `mirror_back`).
    """
    return heatmaps_by_flip(model, crops, flip_index, (flip_test,))[flip_test]


@torch.inference_mode()
def heatmaps_by_flip(
    model: Callable[[Tensor], Tensor], crops: Tensor, flip_index: NDArray[np.intp], flip_tests: Iterable[FlipTest]
) -> dict[FlipTest, Tensor]:
    """What `predict_heatmaps` gives for each of some flip tests, from one pass over crops and mirror images."""
    wanted = list(flip_tests)
    plain = model(crops).float()
    mirrored = model(crops.flip(-1)).float() if set(wanted) != {"off"} else plain
    return {each: plain if each == "off" else (plain + mirror_back(mirrored, flip_index, each)) / 2 for each in wanted}


class CropDecoder(NamedTuple):
    """Everything between crops and landmarks in heatmap px.

    Attributes:
        model: normalised crops (N, 3, h, w) -> heatmaps (N, K, H, W).
        normalisation: of the pixels.
        flip_index: (K,) of the markup.
        device: where the model is.
        flip_test, method, kernel_size: as in `predict_heatmaps` and `decode`.
        batch_size: crops per forward pass.
        covariance: whether a call gives the peaks' widths, too, as `decode` does.
    """

    model: Callable[[Tensor], Tensor]
    normalisation: Normalisation
    flip_index: NDArray[np.intp]
    device: torch.device = torch.device("cpu")
    flip_test: FlipTest = "off"
    method: Method = "dark"
    kernel_size: int = 11
    batch_size: int = 32
    covariance: bool = False

    def heatmaps(self, crops: Iterable[Pixels]) -> Iterator[Tensor]:
        """Heatmaps (n, K, H, W) float32, on the device, of crops (h, w, 3) uint8 RGB, batch by batch."""
        for batch in batched(crops, self.batch_size):
            inputs = torch.from_numpy(self.normalisation(np.stack(batch))).to(self.device)
            yield predict_heatmaps(self.model, inputs, self.flip_index, self.flip_test)

    def each(
        self, crops: Sequence[Pixels], variants: Sequence[tuple[FlipTest, Method]]
    ) -> list[Decoded[NDArray[np.floating]]]:
        """One batch of crops under several flip tests and decoders: points (n, K, 2) heatmap px and scores (n, K)."""
        inputs = torch.from_numpy(self.normalisation(np.stack(crops))).to(self.device)
        found = heatmaps_by_flip(self.model, inputs, self.flip_index, {flip: None for flip, _ in variants})
        return [self._decode(found[flip], method) for flip, method in variants]

    def __call__(self, crops: Iterable[Pixels]) -> Decoded[NDArray[np.floating]]:
        """Landmarks of crops (h, w, 3) uint8 RGB: points (N, K, 2) heatmap px and scores (N, K)."""
        parts = [self._decode(heatmaps, self.method, self.covariance) for heatmaps in self.heatmaps(crops)]
        if parts:
            decoded = Decoded(*(np.concatenate(values) for values in zip(*parts, strict=True)))
        else:
            empty = np.zeros((0, len(self.flip_index), 2), np.float32)
            decoded = Decoded(empty, empty[..., 0])
        if self.covariance:
            none = np.zeros((0, len(self.flip_index), 2, 2), np.float32)
            spreads = [part.covariance for part in parts if part.covariance is not None]
            decoded.covariance = np.concatenate([none, *spreads])
        return decoded

    def _decode(self, heatmaps: Tensor, method: Method, covariance: bool = False) -> Decoded[NDArray[np.floating]]:
        """Landmarks as arrays, found where the heatmaps are: only they leave a GPU."""
        found = decode(heatmaps, method=method, kernel_size=self.kernel_size, covariance=covariance)
        arrays = Decoded(found.points.cpu().numpy(), found.scores.cpu().numpy())
        arrays.covariance = None if found.covariance is None else found.covariance.cpu().numpy()
        return arrays
