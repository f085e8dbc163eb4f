"""The folder of a training run: one run at a time, whose weights and log are not lost to another."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from darkpose.errors import DarkposeError
from darkpose.files.atomic import make_folder, remove_leftovers
from darkpose.files.lock import file_lock
from darkpose.training.log import read_log


def first_process() -> bool:
    """Whether this is the process that prints and writes, of those that a launcher started."""
    return int(os.environ.get("RANK", "0")) == 0


@contextmanager
def own_folder(folder: Path, *, first: bool = True) -> Iterator[None]:
    """Make a run's folder if it is not there, and keep it from other runs.

    Args:
        folder: of the run.
        first: whether this is the process that writes there, of those of the run.

    Raises:
        DarkposeError: a run is going on in it, it cannot be written to, or it holds weights or validations of a run
            whose state is gone, which a new one would replace.
    """
    make_folder(folder)
    with ExitStack() as held:
        if first:
            try:
                held.enter_context(file_lock(folder / ".lock", wait=False))
            except BlockingIOError as error:
                raise DarkposeError(f"{folder}: another run is going on in this folder; choose another") from error
            except OSError as error:
                raise DarkposeError(f"{folder}: cannot be written to: {error.strerror or error}") from error
            remove_leftovers(folder)
            _check_abandoned(folder)
        yield


def _check_abandoned(folder: Path) -> None:
    """Refuse what only a run leaves that has come as far as a validation, where its state is not there."""
    weights, log = folder / "weights.safetensors", folder / "log.jsonl"
    if (folder / "state.pt").exists():
        return
    found = [weights.name] if weights.exists() else []
    if log.exists() and any(line.get("mode") == "val" for line in read_log(log)):
        found.append(log.name)
    if found:
        raise DarkposeError(
            f"{folder} holds {' and '.join(found)} of a run, but not its state.pt, so it cannot go on; "
            "choose another folder, or remove them to start anew"
        )
