"""The ways from crops to landmarks that the benchmark compares: torch, and every installed runtime."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from darkpose.codec.heatmap import Method, decode
from darkpose.deploy.benchmark_faces import Clock
from darkpose.deploy.run_file import FILE_RUNTIMES, file_runtimes
from darkpose.errors import DarkposeError
from darkpose.files.json_text import format_json, parse_json
from darkpose.image.geometry import Floats, heatmap_to_image
from darkpose.image.pixels import Pixels
from darkpose.network.checkpoint import Checkpoint, model_fingerprint
from darkpose.network.load import load_checkpoint
from darkpose.runtime.exported import open_exported
from darkpose.runtime.network import Network, NumberType, Runtime
from darkpose.runtime.open import Engine, open_weights
from darkpose.runtime.torch import TorchNetwork, find_device
from darkpose.weights.checkpoint import CheckpointConfig

EAGER = "torch eager"
MEMORY_BATCH = 8


class Way(NamedTuple):
    """One way from crops to landmarks.

    Attributes:
        name: for people.
        runtime: that runs it.
        source: path or name of weights, or path of an exported file.
        numbers: number type of the network.
        eager: plain PyTorch: batch norms not folded, tensors in NCHW order.
    """

    name: str
    runtime: Runtime
    source: str
    numbers: NumberType = "fp32"
    eager: bool = False


class OpenWay(NamedTuple):
    """A way that is ready to run.

    Attributes:
        network: crops -> heatmaps.
        config: of the weights.
        method: decoder of the heatmaps.
        device: of torch.
    """

    network: Network
    config: CheckpointConfig
    method: Method
    device: torch.device

    def time(self, crops: Pixels, center: Floats, sides: Floats) -> dict[str, float]:
        """Seconds of the stages from crops (N, S, S, 3) uint8 RGB to landmarks in image px."""
        clock = Clock(self.device)
        heatmaps: Any = self.network(crops)  # an array, or a tensor on a GPU
        clock("network")
        points = decode(heatmaps, method=self.method, kernel_size=self.config.kernel_size).points
        clock("DARK")
        arrays = points if isinstance(points, np.ndarray) else points.cpu().numpy()
        heatmap_to_image(arrays, center[:, None], sides[:, None], (heatmaps.shape[3], heatmaps.shape[2]))
        clock("map back")
        return clock.seconds


def find_ways(weights: str, files: Sequence[Path]) -> tuple[list[Way], dict[str, str]]:
    """The ways that can be measured here, torch eager first, and the names of the others with the reason."""
    found = [Way(EAGER, "torch", weights, eager=True), Way("torch", "torch", weights)]
    found.append(Way("torch bf16", "torch", weights, "bf16"))
    here = file_runtimes()
    for suffix, source in [("", weights), *((f", {file.name}", str(file)) for file in files)]:
        for runtime in here:
            found.append(Way(runtime + suffix, runtime, source))
            if runtime == "openvino":
                found.append(Way(f"{runtime} bf16{suffix}", runtime, source, "bf16"))
    missing = [runtime for runtime in FILE_RUNTIMES if runtime not in here]
    return found, {runtime: f"not installed: pip install 'darkpose[{runtime}]'" for runtime in missing}


def open_way(way: Way, schema: str | None, device: str, threads: int) -> OpenWay:
    """Get a way ready to run.

    Args:
        way: to open.
        schema: of the weights; None: their first.
        device: of torch.
        threads: CPU threads.

    Raises:
        DarkposeError: the way cannot be opened.
    """
    place = find_device(device if way.runtime == "torch" else "cpu")
    if way.eager:
        checkpoint = load_checkpoint(way.source, schema=schema)
        model, config = checkpoint.model.to(place), checkpoint.config
        return OpenWay(TorchNetwork(model, config.normalisation, place, settings="fp32, NCHW"), config, "dark", place)
    opened = open_weights(way.source, schema, Engine(way.runtime, str(place), threads, numbers=way.numbers))
    return OpenWay(opened.network, opened.config, opened.method or "dark", place)


def check_same_weights(file: Path, weights: str, checkpoint: Checkpoint) -> None:
    """Check that a file was exported from the weights: to compare the speed of others would mean nothing.

    Raises:
        DarkposeError: it was not, or the file cannot be used.
    """
    card = open_exported(file).card
    if card.weights["sha256"] != model_fingerprint(checkpoint.model):
        its = f"{card.weights.get('name', 'no name')}, {card.schema.name}"
        raise DarkposeError(
            f"{file}: exported from other weights ({its}) than {weights}, {checkpoint.schema.name}; "
            "give the same by --weights and --schema"
        )


def measure_memory(way: Way | None, schema: str | None, device: str, threads: int) -> float | None:
    """The most memory, MB, of a new process that runs a batch, or only imports darkpose; None if it is not known."""
    arguments = format_json([way, schema, device, threads])
    call = [sys.executable, "-c", f"from darkpose.deploy.benchmark_ways import _run_once; _run_once({arguments!r})"]
    ended = subprocess.run(call, capture_output=True, text=True, check=False)
    lines = ended.stdout.split()
    return float(lines[-1]) if ended.returncode == 0 and lines and lines[-1] != "None" else None


def _run_once(arguments: str) -> None:
    """Run a way once on a batch of 8, and print the most memory that this process has used, MB."""
    way, schema, device, threads = parse_json(arguments)
    torch.set_num_threads(threads)
    if way is not None:
        opened = open_way(Way(*way), schema, device, threads)
        crops = np.zeros((MEMORY_BATCH, opened.config.crop_size, opened.config.crop_size, 3), np.uint8)
        opened.time(crops, np.zeros((MEMORY_BATCH, 2)), np.ones((MEMORY_BATCH, 2)))
    print(_most_memory())


def _most_memory() -> float | None:
    """The most memory that this process has used, MB.

    `getrusage` would not do: there, a process starts with the memory of its parent.
    """
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), None)
