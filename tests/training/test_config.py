"""Settings of a run."""

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
        ({"held_out": 1.0}, "held_out must be a share .* got 1.0"),
        ({"select": "best"}, "needs held-out training images"),
        ({"select": "best-on-test-set", "held_out": 0.2}, "held_out is 0.2"),
        ({"patience": 3}, "stopping after 3 epochs needs held-out"),
    ],
)
def test_impossible_settings_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(DarkposeError, match=message):
        TrainConfig(**values)


def test_by_default_the_last_weights_are_kept_and_nothing_is_held_out() -> None:
    config = TrainConfig()
    assert (config.select, config.held_out, config.patience) == ("last", 0.0, 0)
    assert TrainConfig(select="best", held_out=0.1, patience=3).patience == 3


def test_a_network_has_a_heatmap_for_every_landmark_and_equal_settings_have_equal_text() -> None:
    assert TrainConfig().network_for(WFLW_98) == HRNetConfig(98)
    assert TrainConfig().to_json() == TrainConfig().to_json() != replace(TrainConfig(), seed=1).to_json()
