"""Work done in threads ahead of whoever takes the results: in order, and never far ahead."""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def read_ahead(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    threads: int,
    most: int,
    weight: Callable[[Result], float] = lambda _: 0,
    heaviest: float = float("inf"),
) -> Generator[tuple[Item, Result], None, None]:
    """Items with what `work` makes of them, in their order.

    Args:
        work: called in threads, for several items at once; what it raises is raised here, in its turn.
        items: taken one at a time, as they are needed.
        threads: how many; none: work is done when its result is asked for.
        most: items taken and not yet given out.
        weight: of a result that waits to be given out; work on further items begins while all that wait weigh less
            than `heaviest`. So what is held weighs less than that and `threads` results together.
        heaviest: see there.
    """
    if threads < 1:
        yield from ((item, work(item)) for item in items)
        return
    queue = _Queue(work, items, most, weight, heaviest)
    workers = [threading.Thread(target=queue.run, name=f"read ahead {n}", daemon=True) for n in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield from queue
    finally:
        queue.stop()
        for worker in workers:  # OpenCV aborts where Python ends its threads
            if worker is not threading.current_thread():
                worker.join()


class _Queue(Generic[Item, Result]):
    """What the threads share; everything but `work` and the next item, which may be long in coming, under one lock."""

    def __init__(
        self,
        work: Callable[[Item], Result],
        items: Iterable[Item],
        most: int,
        weight: Callable[[Result], float],
        heaviest: float,
    ) -> None:
        self._work, self._items, self._most = work, iter(items), most
        self._weight, self._heaviest = weight, heaviest
        self._changed = threading.Condition()
        self._taking = threading.Lock()  # by one thread at a time
        self._done: dict[int, tuple[Item, Result, float] | BaseException] = {}
        self._taken = self._given = 0
        self._waiting = 0.0  # weight of what is done
        self._ended = False  # no further item is to be taken

    def run(self) -> None:
        """Take items and work on them, until there are none."""
        while (taken := self._take()) is not None:
            number, item = taken
            done: tuple[Item, Result, float] | BaseException
            try:
                result = self._work(item)
                done = (item, result, self._weight(result))
            except BaseException as error:  # it is raised where the result is taken
                done = error
            del item
            with self._changed:
                self._done[number] = done
                self._waiting += done[2] if isinstance(done, tuple) else 0
                self._changed.notify_all()
            del done, taken

    def _take(self) -> tuple[int, Item] | None:
        with self._taking:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._ended or (self._taken - self._given < self._most and self._waiting < self._heaviest)
                )
                if self._ended:
                    return None
            try:
                item = next(self._items)
            except BaseException as error:
                with self._changed:
                    self._ended = True
                    self._done[self._taken] = error
                    self._changed.notify_all()
                return None
            with self._changed:
                self._taken += 1
                return self._taken - 1, item

    def __iter__(self) -> Iterator[tuple[Item, Result]]:
        """What is done, in order."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._given in self._done)
                done = self._done.pop(self._given)
                if isinstance(done, StopIteration):
                    return
                if isinstance(done, BaseException):
                    raise done
                item, result, weight = done
                self._given += 1
                self._waiting -= weight
                self._changed.notify_all()
            del done
            yield item, result
            del item, result

    def stop(self) -> None:
        """Take no further items."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
