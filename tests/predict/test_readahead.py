"""Work ahead of whoever takes it: in order, and bounded."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from darkpose.predict.readahead import read_ahead


@pytest.mark.parametrize("threads", [0, 1, 4])
def test_results_come_in_the_order_of_the_items_however_long_each_takes(threads: int) -> None:
    def work(item: int) -> int:
        time.sleep(random.Random(item).random() / 200)
        return item * item

    done = list(read_ahead(work, range(100), threads=threads, most=10))
    assert done == [(item, item * item) for item in range(100)]


def test_work_is_done_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=30)
    assert [item for item, _ in read_ahead(lambda _: both.wait(), range(10), threads=2, most=4)] == list(range(10))


def test_items_are_taken_no_farther_ahead_than_said() -> None:
    taken, given = 0, 0

    def items() -> Iterator[int]:
        nonlocal taken
        for item in range(500):
            assert taken - given < 7
            taken += 1
            yield item

    for _ in read_ahead(lambda item: item, items(), threads=3, most=7):
        given += 1
    assert taken == given == 500


def test_what_waits_weighs_less_than_the_limit_and_a_result_per_thread() -> None:
    lock, alive, most_alive, given = threading.Lock(), 0, 0, []

    def work(item: int) -> int:
        nonlocal alive, most_alive
        with lock:
            alive += 10
            most_alive = max(most_alive, alive)
        return item

    for item, _ in read_ahead(work, range(300), threads=2, most=100, weight=lambda _: 10, heaviest=40):
        time.sleep(0.0002)
        with lock:
            alive -= 10
        given.append(item)
    assert given == list(range(300))
    assert most_alive <= 40 + 2 * 10 + 10  # and the one that was given out and is not yet let go


def test_a_single_result_heavier_than_the_limit_stops_nothing() -> None:
    done = read_ahead(lambda item: item, range(20), threads=3, most=5, weight=lambda _: 1000, heaviest=1)
    assert [item for item, _ in done] == list(range(20))


@pytest.mark.parametrize("threads", [0, 3])
def test_what_work_raises_is_raised_in_its_turn(threads: int) -> None:
    def work(item: int) -> int:
        if item == 5:
            raise KeyError(item)
        return item

    done = read_ahead(work, range(50), threads=threads, most=10)
    assert [next(done)[0] for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(KeyError, match="5"):
        next(done)


def test_what_the_items_raise_comes_behind_those_before() -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise OSError("the list ends")

    done = read_ahead(lambda item: item, items(), threads=2, most=8)
    assert [next(done)[0] for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="the list ends"):
        next(done)


def test_no_thread_is_left_when_the_taker_goes_away() -> None:
    before = threading.active_count()
    with closing(read_ahead(lambda item: item, iter(int, 1), threads=3, most=5)) as endless:
        next(endless)
        assert threading.active_count() == before + 3
    assert threading.active_count() == before


def test_what_is_done_does_not_wait_for_an_item_that_is_long_in_coming() -> None:
    come = threading.Event()

    def items() -> Iterator[int]:
        yield from range(3)
        assert come.wait(60)
        yield 3

    with closing(read_ahead(lambda item: item, items(), threads=2, most=10)) as ahead:
        assert [next(ahead)[0] for _ in range(3)] == [0, 1, 2]
        come.set()
        assert next(ahead) == (3, 3)
