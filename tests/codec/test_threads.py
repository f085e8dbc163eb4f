"""Work shared among threads: every part once, errors raised, any number of callers."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, current_thread

import pytest
import torch

from darkpose.codec.threads import in_threads


@pytest.fixture(params=[1, 2, 5])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


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
