"""Faults at the n-th change of a folder: Ctrl-C, a disk that is full from then on, or a kill."""

import builtins
import errno
import io
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest

from darkpose.files.paths import exists

Kind = Literal["interrupt", "full", "kill"]
KINDS: tuple[Kind, ...] = ("interrupt", "full", "kill")


class Killed(BaseException):
    """Ends a process; nothing of it changes the folder any more, not even its cleaning up."""


class Faults:
    """Counts the changes of a folder, and lets one of them fail: a write of a file leaves half of it.

    Args:
        folder: which is watched, with all folders in it.
        at: number of the change, from 1, that fails; 0: none.
        kind: of the fault.
        die: what is called for a kill.

    Attributes:
        count: of the changes so far.
    """

    def __init__(self, folder: Path, at: int = 0, kind: Kind = "kill", die: Callable[[], object] = lambda: None):
        self._folder, self._at, self._kind, self._die, self.count = os.path.realpath(folder), at, kind, die, 0

    def change(self, path: Any, *, takes_space: bool = True, half: Callable[[], object] = lambda: None) -> None:
        """Count a change before it is made, and let it fail."""
        if not os.path.realpath(os.fspath(path)).startswith(f"{self._folder}{os.sep}"):
            return
        self.count += 1
        if not self._at or self.count < self._at or (self._kind == "full" and not takes_space):
            return
        if self.count == self._at:
            half()
        if self._kind == "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self._kind == "kill":
            self._die()
            raise Killed
        if self.count == self._at:
            raise KeyboardInterrupt

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch the folder."""
        with pytest.MonkeyPatch.context() as patch:
            for module in (builtins, io):  # io.open: of pathlib
                patch.setattr(module, "open", partial(self._open, builtins.open if module is builtins else io.open))
            for name in ("replace", "unlink", "truncate", "mkdir"):
                patch.setattr(os, name, partial(self._call, getattr(os, name), name))
            for name in ("fsync", "ftruncate"):
                patch.setattr(os, name, partial(self._call_open, getattr(os, name), name))
            yield

    def _open(self, real: Callable[..., Any], path: Any, mode: str = "r", *rest: Any, **more: Any) -> Any:
        if isinstance(path, int) or not set("wax+") & set(mode):
            return real(path, mode, *rest, **more)
        if "w" in mode or ("r" not in mode and not exists(path)):
            self.change(path)
        return _Watched(real(path, mode, *rest, **more), partial(self.change, path))

    def _call(self, real: Callable[..., Any], name: str, path: Any, *rest: Any, **more: Any) -> Any:
        if exists(path) != (name == "mkdir"):
            self.change(path, takes_space=name == "mkdir")
        return real(path, *rest, **more)

    def _call_open(self, real: Callable[..., Any], name: str, file: int, *rest: Any) -> Any:
        self.change(f"/proc/self/fd/{file}", takes_space=name == "fsync")
        return real(file, *rest)


class _Watched:
    """A file that is open for writing."""

    def __init__(self, file: Any, change: Callable[..., None]) -> None:
        self._file, self._change = file, change

    def write(self, data: Any) -> Any:
        self._change(half=lambda: (self._file.write(data[: len(data) // 2]), self._file.flush()))
        return self._file.write(data)

    def writelines(self, lines: Iterable[Any]) -> None:
        all_lines = list(lines)
        self.write(all_lines[0][:0].join(all_lines) if all_lines else "")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "_Watched":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._file)
