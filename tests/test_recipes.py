"""The runs as values."""

from darkpose.recipes import PUBLISHED, RECIPES


def test_the_published_set_up_is_the_published_one() -> None:
    assert (PUBLISHED.crop_size, PUBLISHED.sigma, PUBLISHED.unbiased, PUBLISHED.padding) == (256, 2.0, True, 1.25)
    assert (PUBLISHED.epochs, PUBLISHED.batch_size, PUBLISHED.weight_decay, PUBLISHED.ema) == (60, 64, 0.0, 0.0)
    augment = PUBLISHED.augment
    assert (augment.flip, augment.scale_std, augment.scale_limit, augment.shift_std) == (0.5, 0.25, 0.25, 0.0)
    assert (augment.rotation_std, augment.rotation_limit, augment.rotation_probability) == (30.0, 60.0, 0.6)


def test_names_and_crop_sizes_agree() -> None:
    assert RECIPES["300w-128"].crop_size == 128
    assert RECIPES["300w-256"].crop_size == RECIPES["300w-published"].crop_size == 256
