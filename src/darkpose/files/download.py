"""Downloads that are resumed, cached and checked by their hash."""

import errno
import hashlib
import os
import sys
from pathlib import Path

from darkpose.errors import DarkposeError, shown
from darkpose.files.lock import file_lock

WHOLE = 64  # hex digits of a SHA-256
# Errors of the folder, not of the connection.
_OF_FOLDER = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.ENOTDIR, errno.ENOENT, errno.EEXIST)


def cache_folder() -> Path:
    """The folder for downloads: $DARKPOSE_CACHE, else $XDG_CACHE_HOME/darkpose, else ~/.cache/darkpose.

    Raises:
        DarkposeError: neither variable is set and there is no home folder.
    """
    if own := os.environ.get("DARKPOSE_CACHE"):
        return Path(own)
    shared = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(shared) if shared else Path.home() / ".cache") / "darkpose"
    except RuntimeError as error:
        raise DarkposeError("there is no home folder for downloads; set DARKPOSE_CACHE to a folder") from error


def fetch(url: str, target: Path, *, sha256_prefix: str) -> Path:
    """Download a file unless it exists; its hash is checked in both cases.

    An interrupted download is kept as `<target>.part` and resumed by the next call. Processes that need the same file
    wait for the first one, by a lock on `<target>.lock`.

    Args:
        url: http or https.
        target: path of the file; its folder is made.
        sha256_prefix: the SHA-256 of the file in hex, or its first digits where no more are known, which is told on
            stderr after a download.

    Returns:
        The target.

    Raises:
        DarkposeError: there is no connection, the server refuses, the disk is full or the hash is wrong. The message
            says where to save the file by hand.
    """
    try:
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            with file_lock(target.with_name(target.name + ".lock"), work=f"to download {target.name}"):
                if not target.exists():
                    _download(url, target, sha256_prefix)
        _check(target, sha256_prefix)
    except OSError as error:
        local = error.errno in _OF_FOLDER
        way = "set DARKPOSE_CACHE to a folder that can be written to" if local else "run again to resume"
        raise DarkposeError(
            f"{url} could not be downloaded: {str(error) or type(error).__name__}; {way}, or download it by other "
            f"means and save it as {target.absolute()}"
        ) from error
    return target


def _download(url: str, target: Path, sha256_prefix: str) -> None:
    """Download into a part and rename it to the target if its hash is right, else remove it."""
    from darkpose.files.http import receive  # urllib and tqdm are slow to import

    part = target.with_name(target.name + ".part")
    receive(url, part, target.name)
    digest = _digest(part)
    if not digest.startswith(sha256_prefix):
        part.unlink()
        raise DarkposeError(
            f"{url}: expected a file whose sha256 begins with {sha256_prefix}, got {digest}; the download was removed; "
            f"run again, or download the file by other means and save it as {target.absolute()}"
        )
    part.replace(target)
    if len(sha256_prefix) < WHOLE:
        print(f"{shown(str(target))}: {weak_check(sha256_prefix)}", file=sys.stderr)


def weak_check(sha256_prefix: str) -> str:
    """How far a file is checked of whose SHA-256 only the first digits are known; "" if all are."""
    if len(sha256_prefix) >= WHOLE:
        return ""
    return f"checked by the only {len(sha256_prefix)} hex digits of its SHA-256 that are published: a weak check"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(target: Path, sha256_prefix: str) -> None:
    digest = _digest(target)
    if not digest.startswith(sha256_prefix):
        raise DarkposeError(
            f"{target.absolute()}: expected a file whose sha256 begins with {sha256_prefix}, got {digest}; "
            "remove it to download it again"
        )
