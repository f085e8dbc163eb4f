"""What this installation is made of."""

import platform
from importlib.metadata import version
from typing import Any

import torch

from darkpose.codec import dark_triton
from darkpose.codec.compiled import AVAILABLE
from darkpose.detect.detector import best_detector
from darkpose.detect.yunet import YuNet
from darkpose.network.load import load_checkpoint


def about(weights: str = "default") -> dict[str, Any]:
    """Versions, device, weights and detector, as JSON values.

    Raises:
        DarkposeError: the weights cannot be loaded.
    """
    checkpoint = load_checkpoint(weights)
    detector, note = best_detector()
    packages = ("torch", "numpy", "opencv-python-headless", "safetensors")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    fused = f"fused, by Numba {version('numba')}" if AVAILABLE else "NumPy (pip install 'darkpose[fast]': a faster one)"
    return {
        "darkpose": version("darkpose"),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
        "device": f"cuda ({gpu})" if gpu else f"cpu ({torch.get_num_threads()} threads)",
        "codec": fused,
        **({"codec on GPU": _codec_on_gpu()} if gpu else {}),
        "weights": weights,
        "markup": f"{checkpoint.schema.name}, {len(checkpoint.schema)} landmarks",
        "provenance": dict(checkpoint.provenance),
        "detector": detector.name if isinstance(detector, YuNet) else f"{detector.name} ({note})",
    }


def _codec_on_gpu() -> str:
    why = dark_triton.trouble(torch.device("cuda", torch.cuda.current_device()))
    return f"PyTorch ({why})" if why else "fused, by Triton"
