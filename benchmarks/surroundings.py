"""What a measurement was made with."""

import platform
import subprocess
from pathlib import Path

import torch


def surroundings() -> dict[str, str]:
    """Commit, processor, threads and versions."""
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    names = [line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")]
    processor = f"{len(names)} x {names[0]}" if names else platform.machine()
    return {
        "commit": commit.stdout.strip(),
        "machine": f"{processor}, {torch.get_num_threads()} threads",
        "versions": f"Python {platform.python_version()}, torch {torch.__version__}",
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
