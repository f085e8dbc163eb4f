"""The order of the faces, and their division into steps and processes."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkpose.training.epoch_steps import EpochSteps


def test_every_epoch_visits_every_face_once_in_another_order() -> None:
    orders = []
    for seed, epoch in ((3, 0), (3, 1), (3, 2), (4, 2)):
        keys = [key for batch in EpochSteps(50, 8, seed=seed, epoch=epoch) for key in batch]
        assert sorted(keys) == [(epoch, index) for index in range(50)]
        assert keys == [key for batch in EpochSteps(50, 8, seed=seed, epoch=epoch) for key in batch]
        orders.append([index for _, index in keys])
    assert all(one != other for one, other in pairwise(orders))


def test_a_step_takes_its_faces_in_micro_batches_and_the_rest_is_split_evenly() -> None:
    order = EpochSteps(23, 4, 2, seed=0, epoch=0)
    assert order.steps == 3
    assert [[len(batch) for batch in order.micro_batches(step)] for step in range(3)] == [[4, 4], [4, 4], [4, 3]]
    assert [order.faces_in(step) for step in range(3)] == [8, 8, 7]
    assert [order.own_in(step) for step in range(3)] == [2, 2, 2]
    assert [len(batch) for batch in order] == [4, 4, 4, 4, 4, 3]


@given(
    faces=st.integers(1, 60),
    batch_size=st.integers(1, 8),
    accumulate=st.integers(1, 5),
    processes=st.integers(1, 4),
    data=st.data(),
)
def test_processes_share_every_step_and_have_equally_many_batches(
    faces: int, batch_size: int, accumulate: int, processes: int, data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, EpochSteps(faces, batch_size, accumulate, seed=0, epoch=1).steps))
    each = [
        EpochSteps(faces, batch_size, accumulate, seed=0, epoch=1, first=first, process=process, processes=processes)
        for process in range(processes)
    ]
    batches = [list(order) for order in each]
    assert {len(own) for own in batches} == {len(each[0])}
    assert all(0 < len(batch) <= batch_size for own in batches for batch in own)
    for step in range(first, each[0].steps):
        seen = [batch for order in each for batch in order.micro_batches(step)[order.process :: processes]]
        assert sum(map(len, seen)) == each[0].faces_in(step)
    whole = EpochSteps(faces, batch_size, accumulate, seed=0, epoch=1, processes=processes)
    assert {int(i) for step in range(whole.steps) for batch in whole.micro_batches(step) for i in batch} == set(
        range(faces)
    )


def test_two_processes_see_the_same_faces_as_one_that_accumulates() -> None:
    one = list(EpochSteps(16, 4, 2, seed=5, epoch=0))
    both = [list(EpochSteps(16, 4, 1, seed=5, epoch=0, process=process, processes=2)) for process in (0, 1)]
    assert one == [both[0][0], both[1][0], both[0][1], both[1][1]]


@pytest.mark.parametrize("first", [0, 1, 3])
def test_a_resumed_epoch_has_the_same_remaining_batches(first: int) -> None:
    whole = list(EpochSteps(23, 4, 2, seed=1, epoch=2))
    assert list(EpochSteps(23, 4, 2, seed=1, epoch=2, first=first)) == whole[2 * first :]


def test_a_step_of_fewer_faces_than_processes_repeats_some() -> None:
    each = [list(EpochSteps(9, 4, seed=0, epoch=0, process=process, processes=2)) for process in (0, 1)]
    assert [[len(batch) for batch in own] for own in each] == [[4, 1], [4, 1]]
    assert each[0][1] == each[1][1]
