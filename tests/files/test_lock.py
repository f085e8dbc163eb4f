"""Locks between processes."""

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from darkpose.files.lock import file_lock


@pytest.mark.skipif(sys.platform == "win32", reason="locks files by flock")
def test_who_does_not_wait_is_refused_until_the_holder_lets_go(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    code = "from pathlib import Path\nfrom darkpose.files.lock import file_lock\n"
    code += f"with file_lock(Path({str(lock)!r}), wait=False): pass"
    with file_lock(lock):
        refused = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "BlockingIOError" in refused.stderr
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="locks files by flock")
def test_a_wait_for_another_process_is_told_after_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("darkpose.files.lock.MOMENT", 0.0)
    told, locked = threading.Event(), threading.Event()

    def tell(message: str, **_: object) -> None:
        sys.stderr.write(message)
        told.set()

    monkeypatch.setattr("builtins.print", tell)

    def lock() -> None:
        with file_lock(tmp_path / "lock", work="to download x"):
            locked.set()

    other = threading.Thread(target=lock)
    with file_lock(tmp_path / "lock", work="to download x"):
        other.start()
        assert told.wait(60)
        assert not locked.is_set()
    assert locked.wait(60)
    other.join()
    assert capsys.readouterr().err == f"waiting for another process to download x ({tmp_path / 'lock'})"


@pytest.mark.skipif(sys.platform == "win32", reason="locks files by flock")
def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    code = (
        "import os, signal\nfrom pathlib import Path\nfrom darkpose.files.lock import file_lock\n"
        f"with file_lock(Path({str(lock)!r})): os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with file_lock(lock, wait=False):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="locks files by flock")
def test_a_killed_process_leaves_the_lock_to_no_child_of_its_own(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    code = (
        "import os, signal, time\nfrom pathlib import Path\nfrom darkpose.files.lock import file_lock\n"
        f"with file_lock(Path({str(lock)!r})):\n"
        "    child = os.fork()\n"
        "    if child:\n"
        "        print(child, flush=True)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    os.close(1)\n"
        "    time.sleep(60)"
    )
    killed = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=False)
    try:
        assert killed.returncode == -9
        with file_lock(lock, wait=False):
            pass
    finally:
        os.kill(int(killed.stdout), signal.SIGKILL)


@pytest.mark.skipif(sys.platform == "win32", reason="locks files by flock")
def test_a_file_system_without_locks_is_no_reason_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(number: int) -> None:
        raise OSError(number, os.strerror(number))

    for number in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
        monkeypatch.setattr("fcntl.flock", lambda *_, number=number: refuse(number))
        with file_lock(tmp_path / "lock", wait=False):
            pass
    monkeypatch.setattr("fcntl.flock", lambda *_: refuse(errno.EWOULDBLOCK))
    with pytest.raises(BlockingIOError), file_lock(tmp_path / "lock", wait=False):
        pass
