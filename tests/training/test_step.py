"""Normalisation on the device; the step itself is tested in test_loop."""

import numpy as np
import torch

from darkpose.image.pixels import Normalisation
from darkpose.training.step import normalise_on_device


def test_normalisation_on_the_device_equals_that_of_images() -> None:
    crops = np.random.default_rng(0).integers(0, 255, (2, 8, 9, 3), np.uint8)
    on_device = normalise_on_device(torch.from_numpy(crops).permute(0, 3, 1, 2), Normalisation())
    np.testing.assert_allclose(on_device.numpy(), Normalisation()(crops), atol=1e-6)
