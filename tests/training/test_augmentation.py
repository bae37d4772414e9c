"""Augmentation: each example as a plain loop would change it, and the same again from seed, epoch and batch."""

import pytest
import torch
from torch import Tensor

from variate.errors import UsageError
from variate.training.augmentation import AUGMENTATIONS, augmented

SHAPE = (3, 12, 8)  # not square: rows and columns must not be mixed up
PLACE = {"seed": 0, "epoch": 2, "batch": 5}


def images(count: int = 6) -> Tensor:
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(0)).clamp(min=0.01)


def whole(coin: Tensor, places: int) -> int:
    return min(int(coin * places), places - 1)


def slow_flip(image: Tensor, coins: Tensor) -> Tensor:
    return torch.stack([image[:, :, 7 - column] for column in range(8)], 2) if coins[0] < 0.5 else image


def slow_crop(image: Tensor, coins: Tensor) -> Tensor:
    down, across = whole(coins[0], 3) - 1, whole(coins[1], 3) - 1  # an eighth of 12, and of 8: one
    moved = torch.zeros_like(image)
    for row in range(12):
        for column in range(8):
            if 0 <= row + down < 12 and 0 <= column + across < 8:
                moved[:, row, column] = image[:, row + down, column + across]
    return moved


def slow_cutout(image: Tensor, coins: Tensor) -> Tensor:
    top, left = whole(coins[0], 12) - 3, whole(coins[1], 8) - 2
    hurt = image.clone()
    hurt[:, max(top, 0) : max(top + 6, 0), max(left, 0) : max(left + 4, 0)] = 0
    return hurt


@pytest.mark.parametrize(("name", "slow"), [("flip", slow_flip), ("crop", slow_crop), ("cutout", slow_cutout)])
def test_every_example_is_changed_as_a_loop_over_examples_would(name, slow):
    x = images(200)
    coins = torch.rand(200, 2, generator=torch.Generator().manual_seed(1))
    expected = torch.stack([slow(image, coin) for image, coin in zip(x, coins, strict=True)])
    assert torch.equal(AUGMENTATIONS[name](x, coins), expected)
    changed = (expected != x).flatten(1).any(1)
    assert int(changed.sum()) > 50


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_examples_of_one_batch_are_changed_differently(name):
    same = images(1).expand(64, *SHAPE)
    found = augmented(same, name, **PLACE)
    assert len({tuple(image.flatten().tolist()) for image in found}) > 1


def test_half_of_the_images_are_flipped():
    x = images(1).expand(2000, *SHAPE)
    flipped = (augmented(x, "flip", **PLACE) != x).flatten(1).any(1).float().mean()
    assert abs(float(flipped) - 0.5) < 5 * (0.25 / 2000) ** 0.5


def test_the_same_place_in_training_gives_the_same_images_and_any_other_does_not():
    x, text = images(), "flip+crop+cutout"
    before, state = x.clone(), torch.get_rng_state()
    first = augmented(x, text, **PLACE)
    assert torch.equal(first, augmented(x, text, **PLACE))
    assert torch.equal(x, before)
    assert torch.equal(state, torch.get_rng_state())
    for other in ({"seed": 1}, {"epoch": 3}, {"batch": 6}):
        assert not torch.equal(first, augmented(x, text, **{**PLACE, **other}))


def test_processes_that_share_a_batch_change_its_examples_as_one_would():
    x = images(5)
    together = augmented(x, "crop+cutout", **PLACE)
    for rank in (0, 1):
        alone = augmented(x[rank::2], "crop+cutout", **PLACE, rank=rank, world=2)
        assert torch.equal(alone, together[rank::2])


def test_augmented_images_stay_images():
    found = augmented(images(50), "flip+crop+cutout", **PLACE)
    assert found.shape == (50, *SHAPE)
    assert 0 <= float(found.min()) <= float(found.max()) <= 1


def test_what_cannot_be_augmented_is_named():
    with pytest.raises(UsageError, match="did you mean 'cutout'"):
        augmented(images(), "flip+cutuot", **PLACE)
    with pytest.raises(UsageError, match=r"shape \(6, 3\)"):
        augmented(torch.rand(6, 3), "flip", **PLACE)
