"""The state of a run in a file, `state.pt`: everything a killed run needs to continue bit for bit.

A line with the SHA-256 of the rest, then a file of torch.save.
"""

import io
import sys
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.files.atomic import write_atomically
from darkpose.files.paths import check_regular
from darkpose.network.checkpoint import model_fingerprint
from darkpose.network.hrnet import HRNet
from darkpose.network.safe_pickle import unpickle_bytes
from darkpose.schema import KeypointSchema
from darkpose.training.config import TrainConfig
from darkpose.training.run import Run

_HEADER = b"darkpose state 1, sha256 "


class StateFile:
    """The file that a run is saved to and resumed from.

    Attributes:
        path: of the file.
        faces: description of the training faces; a state of other faces is refused.
        origin: description of initial weights, teacher and validation; a state of another origin is refused.
        every: seconds between two saves within an epoch.
    """

    def __init__(self, path: Path, config: TrainConfig, *, faces: str, origin: str, every: float) -> None:
        self.path, self.faces, self.origin, self.every = path, faces, origin, every
        self._config = config.to_json()
        self._saved = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether it is time to save."""
        return time.monotonic() - self._saved >= self.every

    def save(self, run: Run) -> None:
        """Replace the state in one rename: a kill leaves the old or the new state, never half of one.

        Raises:
            DarkposeError: the file cannot be written, or the weights are not finite; the old state stays.
        """
        self._saved = time.monotonic()  # a failed save is tried again when the next is due
        self.check_weights(run)
        state = {"config": self._config, "faces": self.faces, "origin": self.origin, **run.state()}
        data = io.BytesIO()  # torch.save to a file hides why a write fails
        torch.save(state, data)
        content = data.getbuffer()
        header = _HEADER + sha256(content).hexdigest().encode() + b"\n"

        def write(temporary: Path) -> None:
            with temporary.open("wb") as file:
                file.write(header)
                file.write(content)

        write_atomically(self.path, write)

    def check_weights(self, run: Run) -> None:
        """Refuse weights that are not finite.

        Raises:
            DarkposeError: they are not.
        """
        tensors = (*run.network.state_dict().values(), *run.result.state_dict().values())
        if not _are_finite([tensor for tensor in tensors if tensor.is_floating_point()]):
            raise DarkposeError(f"the weights are no longer finite; {self.path} is left as it was")

    def save_or_warn(self, run: Run) -> None:
        """Save within an epoch: on a full disk the old state stays, and saving is tried again later.

        Raises:
            DarkposeError: the weights are not finite.
        """
        try:
            self.save(run)
        except DarkposeError as error:
            if not isinstance(error.__cause__, OSError):
                raise
            tqdm.write(f"{error}; training continues, and saving is tried again later", file=sys.stderr)

    def resume(self, run: Run) -> bool:
        """Restore a saved state; returns False if there is none.

        Raises:
            DarkposeError: the file is damaged, or of another configuration, other faces or another origin.
        """
        if not self.path.exists():
            return False
        try:
            state = _read(self.path)
            same, faces, origin = state["config"] == self._config, state["faces"], state["origin"]
        except (OSError, DarkposeError, LookupError, TypeError) as error:
            raise self._refusal(error) from error
        if not same:
            folder = self.path.parent
            raise DarkposeError(f"{folder} holds a run of another configuration; choose another folder or remove it")
        if faces != self.faces:
            raise DarkposeError(f"{self.path} is of {faces}; this run is of {self.faces}; choose another folder")
        if origin != self.origin:
            raise DarkposeError(f"{self.path} is of a run {origin}; this one is {self.origin}; choose another folder")
        try:
            run.restore(state)
        except Exception as error:  # torch raises many types where a state has other tensors
            raise self._refusal("it does not fit the network of this run") from error
        return True

    def _refusal(self, reason: object) -> DarkposeError:
        folder = self.path.parent
        return DarkposeError(
            f"{self.path}: not the state of a run ({reason}); choose another folder, or remove {folder} to start again"
        )


def _read(path: Path) -> dict[str, Any]:
    """What a state holds.

    Raises:
        OSError: it cannot be read.
        DarkposeError: it is damaged or of another kind.
    """
    check_regular(path)
    data = path.read_bytes()
    head, _, content = data.partition(b"\n")
    if data.startswith(b"PK"):  # torch.save alone, as states were first written
        head, content = _HEADER + sha256(data).hexdigest().encode(), data
    if not head.startswith(_HEADER):
        raise DarkposeError("of another version, or damaged")
    if head.removeprefix(_HEADER) != sha256(content).hexdigest().encode():
        raise DarkposeError("damaged: its checksum is another")
    found: dict[str, Any] = unpickle_bytes(content)
    return found


# The two descriptions are stored in states and compared: with another wording, no run could be resumed.


def describe_faces(samples: Sequence[Sample], schema: KeypointSchema, step_size: int) -> str:
    """Number and digest of the training faces, their schema, and the number of crops in a step."""
    digest = sha256()
    for sample in samples:
        digest.update(sample.image.name.encode(errors="surrogateescape"))
        digest.update(sample.box.tobytes() + sample.keypoints.tobytes() + sample.visible.tobytes())
    faces = f"{len(samples)} faces ({digest.hexdigest()[:8]}) with the landmarks of {schema.name}"
    return f"{faces}, {step_size} a step"


def describe_origin(initial: HRNet | None, teacher: HRNet | None, validation: str) -> str:
    """Initial weights, teacher and validation of a run."""
    words = [f"from {'nothing' if initial is None else f'weights {model_fingerprint(initial)[:8]}'}"]
    words += [] if teacher is None else [f"taught by {model_fingerprint(teacher)[:8]}"]
    return ", ".join([*words, *([validation] if validation else [])])


def _are_finite(tensors: Sequence[torch.Tensor]) -> bool:
    norms = torch.stack(torch._foreach_norm([tensor.detach() for tensor in tensors]))
    return bool(torch.isfinite(norms).all())
