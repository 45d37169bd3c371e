"""Each change against its closed form, and the control of how often they are made."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stylex.core.errors import ConfigError
from stylex.training import augment
from stylex.training.augment import LARGEST_P, Augmentation, draw_numbers
from stylex.training.config import AugmentConfig

try:
    Augmentation(AugmentConfig(mode="ada"))
except ConfigError as error:
    pytest.skip(str(error), allow_module_level=True)

CHANGES = augment._CHANGES
FIXED = AugmentConfig(mode="fixed", p=0.5)


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def only(amounts: dict[str, Tensor], n: int) -> Tensor:
    """Random numbers with which just these changes are made at p = 0.5; half of an amount is uniform, half normal."""
    numbers = torch.zeros(n, 3, len(CHANGES))
    numbers[:, 0] = 0.9
    for name, amount in amounts.items():
        numbers[:, 0, CHANGES.index(name)] = 0.1
        numbers[:, 1:, CHANGES.index(name)] = amount.view(-1, 1)
    return numbers


def changed(x: Tensor, **amounts: Any) -> Tensor:
    table = {name: torch.as_tensor(amount, dtype=torch.float32).expand(len(x)) for name, amount in amounts.items()}
    return Augmentation(FIXED)(x, only(table, len(x)))


def noise(channels: int = 3, side: int = 16, n: int = 5) -> Tensor:
    return torch.randn(n, channels, side, side, generator=rng())


def bumps(right: Tensor, down: Tensor) -> Tensor:
    """A smooth picture without symmetries, as a function of places in -1..1."""
    return torch.exp(-8 * ((right - 0.3) ** 2 + 2 * (down + 0.1) ** 2)) - torch.exp(
        -9 * (right + 0.2) ** 2 - 5 * down**2
    )


def picture(right: Tensor, down: Tensor) -> Tensor:
    return bumps(right, down)[None, None]


def places(side: int = 32) -> tuple[Tensor, Tensor]:
    down, right = torch.meshgrid(*[(torch.arange(side) * 2 + 1) / side - 1] * 2, indexing="ij")
    return right, down


@pytest.mark.parametrize("mode", ["none", "ada"])
@pytest.mark.parametrize("channels", [1, 3])
def test_without_probability_nothing_is_changed(mode: Any, channels: int) -> None:
    x = noise(channels)
    assert torch.equal(Augmentation(AugmentConfig(mode=mode))(x, draw_numbers(5, rng())), x)


def test_images_that_are_not_drawn_stay_the_same_to_the_last_bit() -> None:
    x = noise(n=400)
    y = Augmentation(replace(FIXED, p=0.03))(x, draw_numbers(400, rng()))
    same = (x == y).all(dim=(1, 2, 3)).float().mean()
    assert 0.5 < same < 0.85  # 0.97^13 and those that drew a change without effect


def test_whole_pixels_are_moved_exactly() -> None:
    x = noise()
    assert torch.equal(changed(x, flip=0.2), x.flip(3))
    assert torch.equal(changed(x, flip=0.7), x)
    for quarters in range(4):
        assert torch.equal(changed(x, quarter=quarters / 4 + 0.1), x.rot90(-quarters, (2, 3)))
    down = changed(x, shift_down=1.0)  # an eighth of 16
    assert torch.equal(down[:, :, 2:], x[:, :, :-2])
    assert torch.equal(down[:, :, :2], x[:, :, :2].flip(2))
    right = changed(x, shift_right=0.0)
    assert torch.equal(right[:, :, :, :-2], x[:, :, :, 2:])
    together = changed(x, flip=0.0, quarter=0.3, shift_right=1.0)
    expected = x.flip(3).rot90(-1, (2, 3))
    assert torch.equal(together[:, :, :, 2:], expected[:, :, :, :-2])


def test_size_stretch_turn_and_move_sample_the_picture_elsewhere() -> None:
    right, down = places()
    inner = (right.abs() < 0.6) & (down.abs() < 0.6)

    def assert_is(y: Tensor, expected: Tensor) -> None:
        assert (y - expected)[:, :, inner].abs().max() < 0.02

    x = picture(right, down)
    scale = 2**0.2
    assert_is(changed(x, size=1.0), picture(right / scale, down / scale))
    assert_is(changed(x, stretch=1.0), picture(right / scale, down * scale))
    assert_is(changed(x, move_right=1.0), picture(right - 0.25, down))
    assert_is(changed(x, move_down=-1.0), picture(right, down + 0.25))
    angle = math.pi / 4
    for turn in ("turn_before", "turn_after"):
        # A clockwise turn: what is drawn at a place came from the place turned back.
        came_right = right * math.cos(angle) + down * math.sin(angle)
        came_down = down * math.cos(angle) - right * math.sin(angle)
        assert_is(_turned(x, turn, angle), picture(came_right, came_down))
    # Stretched first and then turned.
    came_right = right * math.cos(angle) + down * math.sin(angle)
    came_down = down * math.cos(angle) - right * math.sin(angle)
    numbers = only({"stretch": torch.ones(1), "turn_after": torch.ones(1)}, 1)
    numbers[:, 0, CHANGES.index("turn_after")] = 0.01
    numbers[:, 1, CHANGES.index("turn_after")] = (angle / math.pi + 1) / 2
    assert_is(Augmentation(FIXED)(x, numbers), picture(came_right / scale, came_down * scale))


def _turned(x: Tensor, name: str, angle: float) -> Tensor:
    return changed(x, **{name: (angle / math.pi + 1) / 2})


def test_colours_follow_their_formulas() -> None:
    x = noise()
    assert torch.allclose(changed(x, brightness=1.5), x + 0.3, atol=1e-5)
    assert torch.allclose(changed(x, contrast=2.0), x * 2, atol=1e-5)
    grey = x.mean(dim=1, keepdim=True)
    assert torch.allclose(changed(x, luma=0.1), x - 2 * grey, atol=1e-5)
    assert torch.allclose(changed(x, luma=0.9), x, atol=1e-5)
    assert torch.allclose(changed(x, saturation=-1.0), grey + (x - grey) / 2, atol=1e-5)
    third = (2 / 3 + 1) / 2  # a third of the circle turns one colour channel into the next
    assert torch.allclose(changed(x, hue=third), x.roll(1, dims=1), atol=1e-5)
    one = noise(channels=1)
    assert torch.allclose(changed(one, luma=0.1, contrast=2.0, brightness=1.0), -2 * (one + 0.2), atol=1e-5)
    assert torch.allclose(changed(one, hue=third, saturation=2.0), one, atol=1e-5)


def of_one_kind(kind: str, x: Tensor) -> Tensor:
    kinds = ("flip", "turn", "move", "size", "colour")
    config = AugmentConfig(mode="fixed", p=1.0, **{name: name == kind for name in kinds})  # type: ignore[arg-type]
    y = Augmentation(config)(x, draw_numbers(len(x), rng()))
    assert not torch.equal(x, y)
    return y


def test_what_is_turned_off_is_never_made() -> None:
    x = noise(channels=1, n=30)
    flipped = of_one_kind("flip", x)
    same, mirrored = ((flipped == one).all(dim=(1, 2, 3)) for one in (x, x.flip(3)))
    assert (same | mirrored).all()
    coloured, plain = ((one - one.mean(dim=(2, 3), keepdim=True)).flatten(1) for one in (of_one_kind("colour", x), x))
    assert F.cosine_similarity(coloured, plain).abs().min() > 0.999


def test_first_and_second_derivatives_flow() -> None:
    x = noise(side=8, n=2).double().requires_grad_(True)
    numbers = draw_numbers(2, rng()).double()
    made = Augmentation(replace(FIXED, p=0.9))
    assert torch.autograd.gradcheck(lambda x: made(x, numbers).sin(), x, fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda x: made(x, numbers).sin(), x, fast_mode=True)


def test_p_goes_where_the_signs_are_at_their_target() -> None:
    adaptive = Augmentation(AugmentConfig(mode="ada", target=0.6, speed_kimg=10))
    for _ in range(2000):
        adaptive.adapt(1 - adaptive.p, 16)  # a discriminator that is the less sure the more is changed
    assert adaptive.p.item() == pytest.approx(0.4, abs=0.05)
    assert adaptive.signs.item() == pytest.approx(0.6, abs=0.05)
    assert adaptive.alarms() == []


def test_p_rises_at_its_speed_and_stays_within_its_bounds() -> None:
    adaptive = Augmentation(AugmentConfig(mode="ada", speed_kimg=1))
    adaptive.adapt(torch.tensor(1.0), 100)
    assert adaptive.p.item() == pytest.approx(0.1)
    for _ in range(20):
        adaptive.adapt(torch.tensor(1.0), 100)
    assert adaptive.p.item() == pytest.approx(LARGEST_P)
    assert adaptive.alarms()[0].startswith("augmentation is at its strongest, and the discriminator still knows")
    for _ in range(50):
        adaptive.adapt(torch.tensor(-1.0), 100)
    assert adaptive.p.item() == 0
    fixed = Augmentation(FIXED)
    fixed.adapt(torch.tensor(1.0), 100)
    assert fixed.p.item() == 0.5


def test_a_torch_without_second_derivatives_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def once(*args: Any, **options: Any) -> Tensor:
        raise RuntimeError("derivative for aten::grid_sampler_2d_backward is not implemented")

    monkeypatch.setattr(torch.autograd, "grad", once)
    with pytest.raises(ConfigError, match=r"install a newer torch, or use augment.mode='none'"):
        Augmentation(FIXED)
