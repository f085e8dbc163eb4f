"""The step's own parts; the step itself is tested where it is taken, in test_train."""

import numpy as np
import torch

from darkpose.image.pixels import Normalisation
from darkpose.training.step import normalise_on_device


def test_normalisation_on_the_device_equals_the_one_for_files() -> None:
    crops = np.random.default_rng(0).integers(0, 255, (2, 8, 9, 3), np.uint8)
    on_device = normalise_on_device(torch.from_numpy(crops).permute(0, 3, 1, 2), Normalisation())
    np.testing.assert_allclose(on_device.numpy(), Normalisation()(crops), atol=1e-6)
