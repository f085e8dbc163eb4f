"""Which modules and tests need PyTorch: the others run where it is not installed."""

import ast
from functools import cache
from importlib.util import find_spec
from pathlib import Path

TESTS = Path(__file__).parent
IS_TORCH_INSTALLED = find_spec("torch") is not None

# Rooms and modules of darkpose that import torch; everything else can be imported without it.
NEEDS_TORCH = (
    "network",
    "deploy",
    "training",
    "runtime.torch",
    "codec.dark_torch",
    "codec.dark_triton",
    "codec.tensors",
)


@cache
def needs_torch(file: Path) -> bool:
    """Whether a test file imports torch at module level: itself, by a module of darkpose, or by another test file."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        if any(_is_torch(name) or any(map(needs_torch, _test_files(name))) for name in names):
            return True
    return False


def _is_torch(name: str) -> bool:
    rooms = tuple(f"darkpose.{room}." for room in NEEDS_TORCH)
    return name.split(".")[0] == "torch" or f"{name}.".startswith(rooms)


def _test_files(name: str) -> list[Path]:
    return [path for path in TESTS.rglob(f"{name.split('.')[0]}.py") if path.name != "conftest.py"]
