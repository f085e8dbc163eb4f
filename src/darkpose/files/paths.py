"""File checks that return False where `pathlib` raises: folders without permission, names that are too long."""

import os
from pathlib import Path


def is_folder(path: str | Path) -> bool:
    """Whether the path is a folder."""
    return os.path.isdir(path)  # noqa: PTH112  (Path.is_dir raises)


def is_file(path: str | Path) -> bool:
    """Whether the path is a file."""
    return os.path.isfile(path)  # noqa: PTH113  (Path.is_file raises)


def is_link(path: str | Path) -> bool:
    """Whether the path is a symbolic link."""
    return os.path.islink(path)  # noqa: PTH114  (Path.is_symlink raises)


def exists(path: str | Path) -> bool:
    """Whether the path exists."""
    return os.path.exists(path)  # noqa: PTH110  (Path.exists raises)
