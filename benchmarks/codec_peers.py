"""Other packages' decoders and encoders, called as darkpose's are, for `codec_worker.py` in their environments.

A decoder's work returns (N, K, 2) heatmap px, an encoder's (N, K, H, W). Every package is asked in the way that its own
code asks: by sample where it takes one at a time.
"""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import torch
from numpy.typing import NDArray

Maps = NDArray[np.float32]
Works = dict[str, Callable[[], Any]]

THREADS = 2
SIGMA, KERNEL = 2, 11


def import_beside_absent(name: str, bare: Sequence[str] = ()) -> Any:
    """A module whose package is installed without what it depends on: absent modules are stood in for.

    Args:
        name: of the module.
        bare: packages whose own code is not run: it asks for more than stand-ins can give.
    """
    for package in bare:
        spec, made = find_spec(package.split(".")[0]), ModuleType(package)
        assert spec
        assert spec.submodule_search_locations
        made.__path__ = ["/".join([spec.submodule_search_locations[0], *package.split(".")[1:]])]
        sys.modules.setdefault(package, made)
    while True:
        try:
            return import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.split(".")[0] == name.split(".")[0] or error.name in sys.modules:
                raise
            sys.modules[error.name] = MagicMock()


def no_encoders(points: NDArray[np.float64], size: tuple[int, int]) -> Works:
    """For who has none."""
    return {}


# ------------------------------------------------------------------------------------------------------ mmpose 0.29


def _import_mmpose(name: str) -> Any:
    """A module of mmpose 0.29, which asks for mmcv below 1.7.1: that does not matter to its codec."""
    for absent in ("torchvision", "torchvision.transforms"):
        sys.modules.setdefault(absent, MagicMock())
    mmcv: Any = import_module("mmcv")
    mmcv.__version__ = "1.7.0"
    import_module("cv2").setNumThreads(THREADS)
    return import_module(f"mmpose.{name}")


def mmpose_decoders(maps: Maps) -> Works:
    """With a box that makes image coordinates those of the heatmap."""
    decode = _import_mmpose("core.evaluation.top_down_eval").keypoints_from_heatmaps
    side = np.array([maps.shape[3], maps.shape[2]], np.float32)
    centres, sides = np.tile(side / 2, (len(maps), 1)), np.tile(side / 200, (len(maps), 1))
    # With use_udp its box runs from the first pixel's centre to the last one's.
    udp = np.tile((side - 1) / 2, (len(maps), 1)), np.tile((side - 1) / 200, (len(maps), 1))
    return {
        "mmpose 0.29 argmax": lambda: decode(maps, centres, sides, post_process=None)[0],
        "mmpose 0.29 quarter": lambda: decode(maps, centres, sides, post_process="default")[0],
        "mmpose 0.29 DARK": lambda: decode(maps, centres, sides, post_process="unbiased", kernel=KERNEL)[0],
        "mmpose 0.29 post_dark_udp": lambda: decode(maps, *udp, kernel=KERNEL, use_udp=True)[0],
    }


def mmpose_encoders(points: NDArray[np.float64], size: tuple[int, int]) -> Works:
    """Every face in turn, as its data loader does, into one array."""
    target = _import_mmpose("datasets.pipelines.top_down_transform").TopDownGenerateTarget
    image = 4 * np.array(size)
    config = {"num_joints": points.shape[1], "image_size": image, "heatmap_size": np.array(size)}
    config |= {"joint_weights": None, "use_different_joint_weights": False}
    joints = np.concatenate([4 * points, np.zeros((*points.shape[:2], 1))], 2)
    seen = np.ones_like(joints[0])

    def draw(encoder: Any) -> Any:
        return np.stack([encoder._msra_generate_target(config, face, seen, SIGMA)[0] for face in joints])

    exact, rounded = (target(sigma=SIGMA, unbiased_encoding=unbiased) for unbiased in (True, False))
    return {"mmpose 0.29 unbiased": lambda: draw(exact), "mmpose 0.29 rounded": lambda: draw(rounded)}


# ------------------------------------------------------------------------------------------------------- mmpose 1.3


def _mmpose1_codecs(size: tuple[int, int], udp: tuple[int, int]) -> tuple[Any, Any, Any]:
    """Quarter offset, DARK and UDP; the input is the heatmap itself, so that its coordinates are the heatmap's."""
    codecs = import_module("mmpose.codecs")
    import_module("cv2").setNumThreads(THREADS)
    sizes = {"input_size": size, "heatmap_size": size, "sigma": SIGMA}
    return (
        codecs.MSRAHeatmap(**sizes),
        codecs.MSRAHeatmap(**sizes, unbiased=True, blur_kernel_size=KERNEL),
        codecs.UDPHeatmap(**{**sizes, "input_size": udp}, blur_kernel_size=KERNEL),
    )


def mmpose1_decoders(maps: Maps) -> Works:
    """Every sample in turn, as its head does."""
    height, width = maps.shape[2:]
    # Its UDP multiplies by the input's side and divides by the heatmap's less one.
    quarter, dark, udp = _mmpose1_codecs((width, height), (width - 1, height - 1))

    def find(codec: Any) -> Any:
        return np.concatenate([codec.decode(sample)[0] for sample in maps])

    return {
        "mmpose 1.3 quarter": lambda: find(quarter),
        "mmpose 1.3 DARK": lambda: find(dark),
        "mmpose 1.3 UDP": lambda: find(udp),
    }


def mmpose1_encoders(points: NDArray[np.float64], size: tuple[int, int]) -> Works:
    """Every face in turn, as its data loader does, into one array."""
    rounded, unbiased, udp = _mmpose1_codecs(size, size)

    def draw(codec: Any) -> Any:
        return np.stack([codec.encode(face[None])["heatmaps"] for face in points])

    return {
        "mmpose 1.3 unbiased": lambda: draw(unbiased),
        "mmpose 1.3 rounded": lambda: draw(rounded),
        "mmpose 1.3 UDP": lambda: draw(udp),
    }


# ----------------------------------------------------------------------------------------------------------- others


def transformers_decoders(maps: Maps) -> Works:
    """ViTPose's post-processing, of the variant that needs no torchvision."""
    vitpose = import_module("transformers.models.vitpose.image_processing_pil_vitpose")
    refine, maxima = vitpose.post_dark_unbiased_data_processing, vitpose.get_keypoint_predictions
    return {"transformers ViTPose": lambda: refine(maxima(maps)[0], maps, kernel=KERNEL)}


def kornia_decoders(maps: Maps) -> Works:
    """The soft-argmax, sharp enough to find a peak."""
    soft = import_module("kornia.geometry.subpix").spatial_soft_argmax2d
    tensor = torch.from_numpy(maps)
    return {"kornia soft-argmax": lambda: soft(tensor, temperature=0.05, normalized_coordinates=False).numpy()}


def lightning_decoders(maps: Maps) -> Works:
    """Its sharpness of 1000 is for maps that sum to one; Gaussians of sigma 2 sum to 8 pi times their height."""
    find = import_beside_absent("lightning_pose.models.heads.heatmap", bare=["lightning_pose.models"])
    tensor, sharpness = torch.from_numpy(maps), torch.tensor(1000 / (2 * np.pi * SIGMA**2))
    shape = (*maps.shape[:2], 2)
    return {
        "lightning-pose soft-argmax": lambda: find.run_subpixelmaxima(tensor, 0, sharpness)[0].numpy().reshape(shape)
    }


def sleap_decoders(maps: Maps) -> Works:
    """Its maxima, and those with the centroid of 5x5 cells; without a threshold, so that all maps are decoded."""
    find = import_beside_absent("sleap_nn.inference.ops.peaks").find_global_peaks
    tensor = torch.from_numpy(maps)
    return {
        "sleap-nn maximum": lambda: find(tensor, threshold=0.0)[0].numpy(),
        "sleap-nn integral": lambda: find(tensor, threshold=0.0, refinement="integral")[0].numpy(),
    }


PEERS: dict[str, tuple[Callable[[Maps], Works], Callable[[NDArray[np.float64], tuple[int, int]], Works]]] = {
    "mmpose": (mmpose_decoders, mmpose_encoders),
    "mmpose1": (mmpose1_decoders, mmpose1_encoders),
    "transformers": (transformers_decoders, no_encoders),
    "kornia": (kornia_decoders, no_encoders),
    "lightning-pose": (lightning_decoders, no_encoders),
    "sleap-nn": (sleap_decoders, no_encoders),
}
