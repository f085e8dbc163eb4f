"""Writing of files of predictions (see `datasets.predictions_file`): face by face, and continued after a stop."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from darkpose.datasets.predictions_file import VERSION, read_predictions
from darkpose.errors import DarkposeError
from darkpose.files.atomic import append
from darkpose.files.json_text import format_json, parse_json, shortened
from darkpose.files.lock import lock_open_file

_MAY_DIFFER = ("weights", "provenance", "recipe")  # between two runs that predict the same


@contextmanager
def only_writer(path: Path) -> Iterator[None]:
    """Keep other evaluations from writing to a file of predictions; a missing file is made.

    Raises:
        DarkposeError: another evaluation is writing to the file, or it cannot be written.
    """
    with ExitStack() as held:
        try:
            held.enter_context(lock_open_file(held.enter_context(path.open("a", encoding="utf-8")), wait=False))
        except BlockingIOError as error:
            busy = "another evaluation is writing to it; wait for it, or name another file"
            raise DarkposeError(f"{path}: {busy}") from error
        except OSError as error:
            raise DarkposeError(f"{path}: cannot be written: {error.strerror or error}") from error
        try:
            yield
        finally:
            if path.exists() and not path.stat().st_size:
                path.unlink()


class PredictionsWriter:
    """Appends faces to a file of predictions; an existing file of the same run is continued."""

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        """Begin or continue the file.

        Raises:
            DarkposeError: the file is of another run (the difference is named), or cannot be read or written.
        """
        self.path = path
        self.header = {"darkpose_predictions": VERSION, **header}
        self.done: set[int] = set()
        try:
            begun, first = path.read_bytes() if path.exists() else b"", format_json(self.header) + "\n"
            if first.encode().startswith(begun):  # empty, or a part of the first line
                path.write_text(first, encoding="utf-8")  # in place, so that locks on the file stay
            else:
                self._continue()
        except OSError as error:
            raise DarkposeError(f"{path}: cannot be written: {error.strerror or error}") from error

    def _continue(self) -> None:
        found = read_predictions(self.path)
        wanted = parse_json(format_json(self.header))
        for name in sorted({*found.header, *wanted} - set(_MAY_DIFFER)):
            there, here = found.header.get(name), wanted.get(name)
            if there != here:
                difference = f"{name}: there {shortened(there, 40)}, here {shortened(here, 40)}"
                raise DarkposeError(
                    f"{self.path}: the file has the predictions of another run ({difference}); name another file or "
                    "remove it"
                )
        self.done = set(found.keypoints)
        content = self.path.read_bytes()
        if not content.endswith(b"\n"):  # the run was killed within a line, or just before its end
            tail = content[content.rfind(b"\n") + 1 :]
            if _is_whole(tail):
                with self.path.open("ab") as file:
                    file.write(b"\n")
            else:
                os.truncate(self.path, len(content) - len(tail))

    def write(self, faces: Sequence[Mapping[str, Any]]) -> None:
        """Append faces, each with "face" and "keypoints" at least.

        Raises:
            DarkposeError: the file cannot be written.
        """
        try:
            append(self.path, "".join(format_json(face) + "\n" for face in faces))
        except OSError as error:
            raise DarkposeError(f"{self.path}: cannot be written: {error.strerror or error}") from error
        self.done.update(face["face"] for face in faces)


def _is_whole(line: bytes) -> bool:
    try:
        parse_json(line.decode())
    except ValueError:
        return False
    return True
