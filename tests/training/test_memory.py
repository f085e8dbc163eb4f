"""The process keeps freed memory."""

import ctypes
import subprocess
import sys
from types import SimpleNamespace

import pytest

from darkpose.training import memory

FAULTS = """
import resource
import torch
from darkpose.training.memory import keep_freed_memory
if {keep}:
    keep_freed_memory()
torch.ones(2**25)
faults = []
for _ in range(8):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(3 * 2**22)  # 48 MB
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(min(faults))
"""


@pytest.mark.slow
@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="needs glibc"
)
def test_a_large_tensor_reuses_the_pages_of_the_one_before() -> None:
    def pages(*, keep: bool) -> int:
        code = FAULTS.format(keep=keep)
        return int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env={}).stdout)

    assert pages(keep=True) < pages(keep=False)


@pytest.mark.parametrize(("platform", "library"), [("darwin", None), ("linux", SimpleNamespace())])
def test_without_glibc_nothing_is_done(platform: str, library: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    memory.keep_freed_memory()
