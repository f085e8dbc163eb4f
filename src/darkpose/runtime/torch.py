"""The network by torch: batch norms folded, channels last, convolutions in bfloat16, compiled."""

import warnings
from collections.abc import Callable
from copy import deepcopy
from itertools import pairwise
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from darkpose.codec.threads import survive_fork
from darkpose.errors import DarkposeError
from darkpose.image.pixels import Normalisation, Pixels
from darkpose.runtime.network import NumberType, Runtime, runtime_error


class TorchNetwork:
    """A model run by torch.

    Attributes:
        name: version, device and settings, for people.
        device: of the model.
    """

    runtime: Runtime = "torch"

    def __init__(
        self,
        model: Callable[[Tensor], Tensor],
        normalisation: Normalisation,
        device: torch.device,
        *,
        settings: str = "fp32",
    ) -> None:
        """Use a model as it is.

        Args:
            model: normalised crops (N, 3, S, S) -> heatmaps (N, K, S/4, S/4), in evaluation mode on the device.
            normalisation: of the pixels.
            device: of the model.
            settings: for the name.
        """
        std = np.asarray(normalisation.std, np.float32)
        self._scale = torch.from_numpy(1 / (255 * std)).to(device)
        self._offset = torch.from_numpy(np.asarray(normalisation.mean, np.float32) / std).to(device)
        self.model, self.device = model, device
        self.name = f"torch {torch.__version__} ({device}, {settings})"

    @torch.inference_mode()
    def __call__(self, crops: Pixels) -> NDArray[np.float32] | Tensor:
        """Heatmaps (N, K, S/4, S/4) float32 of crops (N, S, S, 3) uint8 RGB: an array, or a tensor on a GPU."""
        survive_fork()
        try:
            pixels = torch.from_numpy(crops).to(self.device)
            inputs = (pixels * self._scale - self._offset).permute(0, 3, 1, 2)
            heatmaps = self.model(inputs.contiguous()).float()
        except RuntimeError as error:  # crops of another shape, or too little memory
            raise runtime_error(self, crops, error) from error
        return heatmaps if self.device.type != "cpu" else cast(NDArray[np.float32], heatmaps.contiguous().numpy())


def find_device(name: str) -> torch.device:
    """A device by its name; "auto" is a GPU if there is one.

    Raises:
        DarkposeError: it cannot be used.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of devices that torch no longer has
            device = torch.device(name)
            if torch.ones(2, device=device).sum().item() != 2:  # the device "meta" knows shapes only
                raise DarkposeError("it does not calculate")
    except Exception as error:  # torch raises many types: it knows devices of other programs, too
        reason = (str(error) or type(error).__name__).splitlines()[0].partition(". ")[0]
        here = "cpu, cuda" if torch.cuda.is_available() else "cpu"
        raise DarkposeError(f"the device {name!r} cannot be used; this torch has {here}: {reason}") from error
    return device


class InBfloat16(nn.Module):
    """A network whose convolutions calculate in bfloat16."""

    def __init__(self, network: nn.Module, device: str) -> None:
        super().__init__()
        self.network, self.device = network, device

    def forward(self, crops: Tensor) -> Tensor:
        """The network's heatmaps, (N, K, H, W)."""
        with torch.autocast(self.device, torch.bfloat16):
            return cast(Tensor, self.network(crops))


class Compiled(nn.Module):
    """A network compiled by torch.compile, as CUDA graphs on a GPU; for one crop at once, for more when they come.

    CUDA graphs write every result to the same memory, so results are copied.

    Raises:
        DarkposeError: torch cannot compile here.
    """

    def __init__(self, network: nn.Module, device: torch.device, crop_size: int) -> None:
        super().__init__()
        self.device = device
        self.network = torch.compile(network, mode="reduce-overhead" if device.type == "cuda" else "default")
        try:
            with torch.inference_mode():
                self(torch.zeros(1, 3, crop_size, crop_size, device=device))
        except RuntimeError as error:  # of dynamo and inductor
            reason = str(error).strip().splitlines()[0]
            raise DarkposeError(f"torch cannot compile the network here, leave compiled out: {reason}") from error

    def forward(self, crops: Tensor) -> Tensor:
        """The network's heatmaps, (N, K, H, W)."""
        heatmaps = cast(Tensor, self.network(crops))
        return heatmaps.clone() if self.device.type == "cuda" else heatmaps


def fold_norms(network: nn.Module) -> nn.Module:
    """A copy of a network in evaluation mode whose batch norms are part of the convolutions before them."""
    folded = deepcopy(network)
    for module in list(folded.modules()):
        for (before, convolution), (name, norm) in pairwise(module.named_children()):
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, before, fuse_conv_bn_eval(convolution, norm))
                setattr(module, name, nn.Identity())
    return folded


def fast_network(
    model: nn.Module,
    normalisation: Normalisation,
    device: torch.device,
    crop_size: int,
    *,
    numbers: NumberType = "fp32",
    compiled: bool = False,
) -> TorchNetwork:
    """A network for prediction; the model stays as it is.

    Args:
        model: in evaluation mode.
        normalisation: of the pixels.
        device: to run on.
        crop_size: side of its crops, crop px.
        numbers: "bf16": let the convolutions calculate in bfloat16.
        compiled: by torch.compile.

    Raises:
        DarkposeError: torch cannot compile here.
    """
    placed: nn.Module = fold_norms(model).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    wanted = InBfloat16(placed, device.type) if numbers == "bf16" else placed
    run = Compiled(wanted, device, crop_size) if compiled else wanted
    return TorchNetwork(run, normalisation, device, settings=f"{numbers}{', compiled' if compiled else ''}")
