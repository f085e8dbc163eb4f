"""The folder of a training run, used by one run at a time."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from darkpose.errors import DarkposeError
from darkpose.files.atomic import make_folder, remove_leftovers
from darkpose.files.lock import file_lock
from darkpose.training.log import read_log


def first_process() -> bool:
    """Whether this is the process that prints and writes, if a launcher started several."""
    return int(os.environ.get("RANK", "0")) == 0


@contextmanager
def own_folder(folder: Path, *, first: bool = True) -> Iterator[None]:
    """Make the folder of a run if needed, and lock it against other runs.

    Args:
        folder: of the run.
        first: whether this is the process of the run that writes.

    Raises:
        DarkposeError: another run uses it, it cannot be written to, or it holds weights or validations of a run
            without its state, which a new run would replace.
    """
    make_folder(folder)
    with ExitStack() as held:
        if first:
            try:
                held.enter_context(file_lock(folder / ".lock", wait=False))
            except BlockingIOError as error:
                raise DarkposeError(f"{folder}: another run uses this folder; choose another") from error
            except OSError as error:
                raise DarkposeError(f"{folder}: cannot be written to: {error.strerror or error}") from error
            remove_leftovers(folder)
            _check_abandoned(folder)
        yield


def _check_abandoned(folder: Path) -> None:
    """Refuse a folder with weights or validations of a run but without its state."""
    weights, log = folder / "weights.safetensors", folder / "log.jsonl"
    if (folder / "state.pt").exists():
        return
    found = [weights.name] if weights.exists() else []
    if log.exists() and any(line.get("mode") == "val" for line in read_log(log)):
        found.append(log.name)
    if found:
        raise DarkposeError(
            f"{folder} holds {' and '.join(found)} of a run, but not its state.pt, so it cannot continue; "
            "choose another folder, or remove them to start again"
        )
