"""Learning rates: the reference's curves and the two kinds of decay."""

import numpy as np
import pytest

from conftest import Golden
from darkpose.training.schedule import Cosine, Schedule, Steps


@pytest.mark.parametrize("per_epoch", [15, 40, 118])
def test_the_rates_of_sixty_epochs_equal_the_reference(golden: Golden, per_epoch: int) -> None:
    expected = golden("f_train")[f"lr_{per_epoch}"]
    total = 60 * per_epoch
    schedule = Schedule(2e-3, Steps())
    rates = [schedule(i, per_epoch, total) for i in range(total)]
    np.testing.assert_allclose(rates, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("iteration", "factor"),
    [
        pytest.param(0, 1.0, id="first"),
        pytest.param(9, 1.0, id="last of the first epoch"),
        pytest.param(10, 0.5, id="first of epoch 1"),
        pytest.param(29, 0.5, id="last before epoch 3"),
        pytest.param(30, 0.25, id="first of epoch 3"),
        pytest.param(99, 0.25, id="long after"),
    ],
)
def test_steps_act_from_the_first_iteration_of_their_epoch(iteration: int, factor: float) -> None:
    assert Steps((1, 3), 0.5)(iteration, 10, 100) == factor


@pytest.mark.parametrize("final", [0.0, 0.1])
def test_a_cosine_falls_from_one_to_its_final_factor(final: float) -> None:
    cosine = Cosine(final)
    factors = [cosine(i, 10, 200) for i in range(201)]
    assert factors[0] == 1
    assert factors[100] == pytest.approx((1 + final) / 2)
    assert factors[200] == pytest.approx(final, abs=1e-15)
    assert (np.diff(factors) < 0).all()


def test_warm_up_rises_linearly_and_ends_at_its_iteration() -> None:
    schedule = Schedule(2.0, Steps((100,)), warmup=10, warmup_ratio=0.1)
    rates = [schedule(i, 5, 50) for i in range(12)]
    np.testing.assert_allclose(rates[:11], np.linspace(0.2, 2.0, 11))
    assert rates[11] == 2.0


def test_without_warm_up_the_first_rate_is_the_peak() -> None:
    assert Schedule(3e-4, Cosine(), warmup=0)(0, 10, 100) == 3e-4
