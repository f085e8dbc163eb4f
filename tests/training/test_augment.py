"""Random augmentations: the published distributions, and draws that depend on the generator alone."""

from dataclasses import replace

import numpy as np
import pytest

from darkpose.training.augment import Augmentation, AugmentConfig, Light, draw_augmentation
from darkpose.training.degrade import Damage

DRAWS = 20_000


@pytest.fixture(scope="module")
def draws() -> list[Augmentation]:
    rng = np.random.default_rng(0)
    return [draw_augmentation(AugmentConfig(), rng) for _ in range(DRAWS)]


# The numbers are the published recipes'; a tolerance is about four standard errors of 20,000 draws (the seed is fixed).


def test_half_of_the_crops_are_mirrored(draws: list[Augmentation]) -> None:
    assert np.mean([draw.flip for draw in draws]) == pytest.approx(0.5, abs=0.014)


def test_scales_are_normal_around_one_and_clipped_at_a_quarter(draws: list[Augmentation]) -> None:
    scale = np.array([draw.scale for draw in draws])
    assert (scale.min(), scale.max()) == (0.75, 1.25)
    assert np.mean(scale == 0.75) == pytest.approx(0.1587, abs=0.0105)
    assert np.mean(scale == 1.25) == pytest.approx(0.1587, abs=0.0105)
    assert scale.mean() == pytest.approx(1, abs=0.005)
    assert scale.std() == pytest.approx(0.18, abs=0.004)


def test_rotations_are_normal_clipped_at_sixty_degrees_and_absent_in_two_fifths(draws: list[Augmentation]) -> None:
    rotation = np.array([draw.rotation for draw in draws])
    assert np.mean(rotation == 0) == pytest.approx(0.4, abs=0.014)
    assert np.mean(np.abs(rotation) == 60) == pytest.approx(0.027, abs=0.0046)
    assert np.abs(rotation).max() == 60
    turned = rotation[rotation != 0]
    assert turned.mean() == pytest.approx(0, abs=1.05)
    assert turned.std() == pytest.approx(28.8, abs=0.6)


def test_flip_scale_and_rotation_are_independent(draws: list[Augmentation]) -> None:
    table = np.array([(draw.flip, draw.scale, draw.rotation, draw.rotation == 0) for draw in draws], float)
    correlation = np.corrcoef(table.T) - np.eye(4)
    assert np.abs(correlation).max() < 4 / np.sqrt(DRAWS)


def test_the_published_crops_are_not_shifted_and_a_shift_has_the_given_deviation(draws: list[Augmentation]) -> None:
    assert {draw.shift for draw in draws} == {(0.0, 0.0)}
    rng, config = np.random.default_rng(1), AugmentConfig(shift_std=0.05)
    shifts = np.array([draw_augmentation(config, rng).shift for _ in range(DRAWS)])
    np.testing.assert_allclose(shifts.mean(axis=0), 0, atol=0.0015)
    np.testing.assert_allclose(shifts.std(axis=0), 0.05, rtol=0.02)
    assert abs(np.corrcoef(shifts.T)[0, 1]) < 4 / np.sqrt(DRAWS)


def test_the_same_seed_draws_the_same_and_another_seed_does_not() -> None:
    first, again, other = (draw_augmentation(AugmentConfig(), np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("setting", "value", "may_change"),
    [
        ("flip", 1.0, "flip"),
        ("scale_std", 0.1, "scale"),
        ("scale_limit", 0.01, "scale"),
        ("rotation_std", 5.0, "rotation"),
        ("rotation_limit", 1.0, "rotation"),
        ("rotation_probability", 0.0, "rotation"),
        ("shift_std", 0.3, "shift"),
        ("gamma_std", 0.3, "light"),
        ("gain_std", 0.3, "light"),
        ("grey", 0.5, "light"),
        ("patch", 0.5, "damage"),
        ("blur", 0.5, "damage"),
        ("noise", 0.5, "damage"),
        ("compress", 0.5, "damage"),
    ],
)
def test_one_setting_changes_neither_another_draw_nor_the_next_sample(
    setting: str, value: float, may_change: str
) -> None:
    published, changed = AugmentConfig(), replace(AugmentConfig(), **{setting: value})
    rng, other = np.random.default_rng(5), np.random.default_rng(5)
    seen = set()
    for _ in range(50):
        draw, altered = draw_augmentation(published, rng), draw_augmentation(changed, other)
        seen |= {name for name, drawn in vars(draw).items() if vars(altered)[name] != drawn}
    assert seen == {may_change}
    assert rng.bit_generator.state == other.bit_generator.state


def test_the_published_crops_keep_their_light_and_other_settings_change_it(draws: list[Augmentation]) -> None:
    assert {draw.light for draw in draws} == {Light()}
    rng, config = np.random.default_rng(1), AugmentConfig(gamma_std=0.3, gain_std=0.15, grey=0.1)
    lights = [draw_augmentation(config, rng).light for _ in range(DRAWS)]
    logs = np.log([(light.gamma, *light.gains) for light in lights])
    np.testing.assert_allclose(logs.mean(axis=0), 0, atol=0.009)
    np.testing.assert_allclose(logs.std(axis=0), [0.3, 0.15, 0.15, 0.15], rtol=0.02)
    assert np.mean([light.grey for light in lights]) == pytest.approx(0.1, abs=0.009)


DAMAGING = AugmentConfig(patch=0.3, blur=0.2, noise=0.15, compress=0.1)
PROBABILITIES = {"patch": 0.3, "blur": 0.2, "noise": 0.15, "quality": 0.1}


@pytest.fixture(scope="module")
def damages() -> list[Damage]:
    rng = np.random.default_rng(2)
    return [draw_augmentation(DAMAGING, rng).damage for _ in range(DRAWS)]


def happens(damage: Damage) -> dict[str, bool]:
    return {name: vars(damage)[name] != vars(Damage())[name] for name in PROBABILITIES}


def test_the_published_crops_are_not_damaged(draws: list[Augmentation]) -> None:
    assert {draw.damage for draw in draws} == {Damage()}


def test_every_kind_of_damage_has_its_probability_and_is_independent(damages: list[Damage]) -> None:
    table = np.array([[*happens(damage).values()] for damage in damages], float)
    for name, share in zip(PROBABILITIES, table.mean(axis=0), strict=True):
        probability = PROBABILITIES[name]
        assert share == pytest.approx(probability, abs=4 * np.sqrt(probability * (1 - probability) / DRAWS)), name
    assert np.abs(np.corrcoef(table.T) - np.eye(4)).max() < 4 / np.sqrt(DRAWS)
    untouched = {damage for damage, row in zip(damages, table, strict=True) if not row.any()}
    assert untouched == {Damage()}


def test_patches_have_all_sizes_and_places(damages: list[Damage]) -> None:
    x, y, across, down = np.array([damage.patch for damage in damages if happens(damage)["patch"]]).T
    for side in (across, down):
        assert 0.1 <= side.min() < 0.101
        assert 0.399 < side.max() <= 0.4
        assert side.mean() == pytest.approx(0.25, abs=4 * 0.3 / np.sqrt(12 * len(side)))
    for middle in (x + across / 2, y + down / 2):
        assert -1e-12 < middle.min() < 0.003
        assert 0.997 < middle.max() < 1 + 1e-12
        assert middle.mean() == pytest.approx(0.5, abs=4 / np.sqrt(12 * len(middle)))
    numbers = np.corrcoef([x + across / 2, y + down / 2, across, down])
    assert np.abs(numbers - np.eye(4)).max() < 4 / np.sqrt(len(x))
    colours = np.array([damage.colour for damage in damages if happens(damage)["patch"]])
    assert (colours.min(axis=0) == 0).all()
    assert (colours.max(axis=0) == 255).all()
    assert {type(channel) for damage in damages for channel in damage.colour} == {int}


def test_blur_noise_and_compression_are_drawn_from_their_whole_ranges(damages: list[Damage]) -> None:
    blur, noise = ([d[name] for d in map(vars, damages) if d[name]] for name in ("blur", "noise"))
    for drawn, largest in ((blur, 0.012), (noise, 20)):
        assert min(drawn) < 0.01 * largest
        assert 0.99 * largest < max(drawn) <= largest
        assert np.mean(drawn) == pytest.approx(largest / 2, abs=4 * largest / np.sqrt(12 * len(drawn)))
    assert {damage.quality for damage in damages} == {0, *range(10, 61)}
    both = np.array([(damage.blur, damage.noise) for damage in damages if damage.blur and damage.noise])
    assert abs(np.corrcoef(both.T)[0, 1]) < 4 / np.sqrt(len(both))


def test_every_noise_has_another_seed(damages: list[Damage]) -> None:
    seeds = [damage.seed for damage in damages if damage.noise]
    assert len(set(seeds)) > 0.999 * len(seeds)
    assert {damage.seed for damage in damages if not damage.noise} == {0}
