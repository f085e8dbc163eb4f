"""What lies at a path, as far as one may look: no error where a folder may not be entered or a name is too long."""

import os
from pathlib import Path


def is_folder(path: str | Path) -> bool:
    """Whether there is a folder that can be seen."""
    return os.path.isdir(path)  # noqa: PTH112  (Path.is_dir raises)


def is_file(path: str | Path) -> bool:
    """Whether there is a file that can be seen."""
    return os.path.isfile(path)  # noqa: PTH113  (Path.is_file raises)


def is_link(path: str | Path) -> bool:
    """Whether there is a symbolic link that can be seen."""
    return os.path.islink(path)  # noqa: PTH114  (Path.is_symlink raises)


def exists(path: str | Path) -> bool:
    """Whether there is anything that can be seen."""
    return os.path.exists(path)  # noqa: PTH110  (Path.exists raises)
