"""What a benchmark was made with."""

import platform

import torch

from darkpose.deploy.machine import commit, machine


def surroundings() -> dict[str, str]:
    """Commit, processor, threads and versions."""
    threads = torch.get_num_threads()
    return {
        "commit": commit(),
        "machine": f"{machine()}, {threads} thread{'' if threads == 1 else 's'}",
        "versions": f"Python {platform.python_version()}, torch {torch.__version__}",
    }
