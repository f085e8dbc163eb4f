"""Work shared among threads: every part once, errors raised, any number of callers."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, current_thread

import pytest

from darkpose.codec import threads as module
from darkpose.codec.threads import in_threads


@pytest.fixture(params=[1, 2, 5])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(module, "thread_count", lambda: request.param)
    return int(request.param)


@pytest.mark.parametrize("count", [0, 1, 3, 40, 1001])
def test_every_number_is_worked_on_once(threads: int, count: int) -> None:
    seen: list[int] = []
    in_threads(lambda first, last: seen.extend(range(first, last)), count)
    assert sorted(seen) == list(range(count))


def test_the_caller_and_its_helpers_work_at_the_same_time(threads: int) -> None:
    together, names = Barrier(threads, timeout=60), set()

    def work(first: int, last: int) -> None:
        if current_thread().name not in names:
            names.add(current_thread().name)
            together.wait()

    in_threads(work, 1000)
    assert len(names) == threads
    assert current_thread().name in names


@pytest.mark.parametrize("wrong", [0, 39])
def test_an_error_is_raised_after_all_have_ended(threads: int, wrong: int) -> None:
    running: list[int] = []

    def work(first: int, last: int) -> None:
        running.append(first)
        try:
            if first <= wrong < last:
                raise ValueError("here")
        finally:
            running.remove(first)

    with pytest.raises(ValueError, match="here"):
        in_threads(work, 40)
    assert running == []


def test_many_callers_at_once_all_get_their_work_done(threads: int) -> None:
    def call(count: int) -> int:
        seen: list[int] = []
        in_threads(lambda first, last: seen.extend(range(first, last)), count)
        return len(set(seen))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(call, range(200))) == list(range(200))


# ------------------------------------------------------------------------------------------------- number of threads


@pytest.mark.parametrize(("limit", "expected"), [("", 3), ("2", 2), ("0", 3), ("4,2", 3)])
def test_without_torch_it_is_the_environments_or_that_of_the_cpus(
    limit: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "loaded_torch", lambda: None)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 4, 5}, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", limit)
    assert module.thread_count() == expected


def test_where_torch_is_imported_it_is_its_number() -> None:
    pytest.importorskip("torch")
    script = """
from darkpose.codec.threads import thread_count
first = thread_count()
import torch
torch.set_num_threads(5)
print(first, thread_count())
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"OMP_NUM_THREADS": "3"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["3", "5"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize("torch", [False, True], ids=["torch not imported", "torch imported"])
def test_a_forked_process_keeps_working(torch: bool) -> None:
    if torch:
        pytest.importorskip("torch")
    script = """
import os, sys
if int(sys.argv[1]):
    import torch
    torch.set_num_threads(2)
from darkpose.codec.threads import in_threads, survive_fork, thread_count
in_threads(lambda first, last: None, 100)
child = os.fork()
if child == 0:
    survive_fork()
    seen = []
    in_threads(lambda first, last: seen.extend(range(first, last)), 100)
    os._exit(0 if len(seen) == 100 and thread_count() == (1 if int(sys.argv[1]) else 2) else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(int(torch))],
        env=os.environ | {"OMP_NUM_THREADS": "2"},
        check=True,
        timeout=120,
    )
