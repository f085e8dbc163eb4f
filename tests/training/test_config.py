"""A run's values."""

from dataclasses import replace
from typing import Any

import pytest

from darkpose.errors import DarkposeError
from darkpose.schema import WFLW_98
from darkpose.training.config import TrainConfig
from darkpose.weights.checkpoint import HRNetConfig


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"crop_size": 100}, "crop_size must be a positive multiple of 32, got 100"),
        ({"batch_size": 0}, "must be at least 1"),
        ({"held_out": 1.0}, "held_out is a share of the training images, from 0 to below 1, got 1.0"),
        ({"select": "best"}, 'select="best" needs held-out training images .* "?best-on-test-set"? says so'),
        (
            {"select": "best-on-test-set", "held_out": 0.2},
            'needs the test set, but held_out is 0.2; select="best" keeps',
        ),
        ({"patience": 3}, "stopping after 3 epochs needs held-out training images"),
    ],
)
def test_values_that_make_no_run_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(DarkposeError, match=message.replace('"?best-on-test-set"?', 'select="best-on-test-set"')):
        TrainConfig(**values)


def test_the_last_weights_are_kept_and_nothing_is_held_out_unless_asked_otherwise() -> None:
    config = TrainConfig()
    assert (config.select, config.held_out, config.patience) == ("last", 0.0, 0)
    assert TrainConfig(select="best", held_out=0.1, patience=3).patience == 3


def test_a_network_has_a_heatmap_for_every_landmark_and_equal_runs_the_same_text() -> None:
    assert TrainConfig().network_for(WFLW_98) == HRNetConfig(98)
    assert TrainConfig().to_json() == TrainConfig().to_json() != replace(TrainConfig(), seed=1).to_json()
