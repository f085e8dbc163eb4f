"""Moving average of weights."""

import numpy as np
import torch
from torch import nn

from darkpose.training.average import WeightAverage


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))


def test_the_average_equals_its_recurrence() -> None:
    model, seen = small(), []
    average = WeightAverage(model, 0.5)
    for step in range(20):
        with torch.no_grad():
            model[0].weight.fill_(float(step**2))  # type: ignore[index]
            model[1].running_mean.fill_(float(-step))  # type: ignore[index]
            model[1].num_batches_tracked.fill_(step)  # type: ignore[index]
        average.update(model)
        seen.append((float(step**2), float(-step)))
    expected = np.array(seen[0])
    for n, values in enumerate(seen[1:], 1):
        decay = min(0.5, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * np.array(values)
    state = average.module.state_dict()
    np.testing.assert_allclose([state["0.weight"][0].item(), state["1.running_mean"][0].item()], expected, rtol=1e-6)
    assert int(state["1.num_batches_tracked"]) == 19


def test_an_average_continues_from_its_state() -> None:
    model, straight = small(), WeightAverage(small(), 0.9)
    resumed = WeightAverage(small(), 0.9)
    for step in range(6):
        with torch.no_grad():
            model[0].weight.add_(step)  # type: ignore[index]
        straight.update(model)
        if step == 2:
            resumed.load_state_dict(straight.state_dict())
        if step > 2:
            resumed.update(model)
    for name, value in straight.module.state_dict().items():
        assert torch.equal(resumed.module.state_dict()[name], value), name
    assert straight.updates == resumed.updates == 6


def test_averaged_weights_are_not_trained_and_do_not_touch_the_network() -> None:
    model = small()
    average = WeightAverage(model, 0.9)
    assert not any(parameter.requires_grad for parameter in average.module.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())
    before = model[0].weight.clone()  # type: ignore[index]
    average.update(model)
    average.update(model)
    assert torch.equal(model[0].weight, before)  # type: ignore[index]
