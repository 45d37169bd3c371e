"""Random changes of the images that the discriminator sees, as often as keeps it from learning few images by heart.

Source: Karras et al., "Training Generative Adversarial Networks with Limited Data", NeurIPS 2020. Each change is made
with probability p, so that it can be told from the images as long as p stays well below 1: the generator does not
learn it.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from stylex.core.errors import ConfigError
from stylex.core.wording import option
from stylex.training.config import AugmentConfig

LARGEST_P = 0.8
"""Above it changes begin to leak into what is generated (Karras et al. 2020)."""
_REMEMBERED = 500
"""Images over which the discriminator's signs are averaged, about."""
_SHIFT = 0.125
"""Shifts, as a fraction of the side: the largest by whole pixels, the deviation of those by parts of pixels."""
_DOUBLINGS = 0.2
"""Standard deviation of sizes and stretches, in powers of two."""
_CHANGES = (
    "flip",
    "quarter",
    "shift_down",
    "shift_right",
    "size",
    "turn_before",
    "stretch",
    "turn_after",
    "move_right",
    "move_down",
    "brightness",
    "contrast",
    "luma",
    "hue",
    "saturation",
)

Numbers = Float[Tensor, "n 3 15"]
"""For each image and change: three random numbers; whether it is made, and how (uniform in 0..1, and normal)."""


def draw_numbers(n: int, random: torch.Generator) -> Numbers:
    """Random numbers for the changes of ``n`` images."""
    uniform = torch.rand(n, 2, len(_CHANGES), generator=random)
    return torch.cat([uniform, torch.randn(n, 1, len(_CHANGES), generator=random)], dim=1)


class Augmentation(nn.Module):
    """Changes images at random, differentiably; ``p`` follows the discriminator.

    Attributes:
        p: with which probability each change is made.
        signs: mean sign of the discriminator's logits on real images, lately; 1 says that it knows all of them.
    """

    p: Tensor
    signs: Tensor

    def __init__(self, config: AugmentConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("p", torch.tensor(config.p if config.mode != "none" else 0.0))
        self.register_buffer("signs", torch.tensor(config.target))
        if config.mode != "none":
            _require_second_derivatives()

    def forward(self, x: Float[Tensor, "n c h h"], numbers: Numbers) -> Float[Tensor, "n c h h"]:
        """The images as the discriminator is to see them; where nothing is changed, the same to the last bit."""
        if self.config.mode == "none":
            return x
        with torch.autocast(x.device.type, enabled=False):
            x = _on_the_grid(x, _Changes(numbers, self.p), self.config)
            x = _warped(x, _Changes(numbers, self.p), self.config)
            return _coloured(x, _Changes(numbers, self.p)) if self.config.colour else x

    def adapt(self, signs: Float[Tensor, ""], nimg: int) -> None:
        """Raise p when the discriminator is too sure of real images, else lower it.

        Args:
            signs: mean sign of its logits on a step's real images.
            nimg: how many they are.
        """
        if self.config.mode == "ada":
            self.signs.lerp_(signs, min(1.0, nimg / _REMEMBERED))
            self.p += torch.sign(self.signs - self.config.target) * (nimg / (self.config.speed_kimg * 1000))
            self.p.clamp_(0.0, LARGEST_P)

    def figures(self) -> dict[str, Tensor]:
        """What to report of it."""
        return {} if self.config.mode == "none" else {"augment_p": self.p.clone()}

    def alarms(self) -> list[str]:
        """What a person should know."""
        if self.config.mode != "ada" or self.p < LARGEST_P or self.signs <= self.config.target:
            return []
        return [
            f"augmentation is at its strongest, and the discriminator still knows the training images (mean sign "
            f"{self.signs.item():.2f}, target {self.config.target}); give more images, raise "
            f"{option('loss.r1_gamma')}, or stop at an earlier snapshot"
        ]


class _Changes:
    """Which images a change is made to, and how much."""

    def __init__(self, numbers: Tensor, p: Tensor) -> None:
        self.numbers, self.p = numbers, p
        self.any = torch.zeros(len(numbers), dtype=torch.bool, device=numbers.device)

    def made(self, name: str, allowed: bool = True, p: Tensor | None = None) -> Bool[Tensor, " n"]:
        happens = (self.numbers[:, 0, _CHANGES.index(name)] < (self.p if p is None else p)) & allowed
        self.any = self.any | happens
        return happens

    def uniform(self, name: str) -> Float[Tensor, " n"]:
        return self.numbers[:, 1, _CHANGES.index(name)]

    def normal(self, name: str) -> Float[Tensor, " n"]:
        return self.numbers[:, 2, _CHANGES.index(name)]


def _on_the_grid(x: Tensor, changes: _Changes, config: AugmentConfig) -> Tensor:
    """Mirror, turn by quarters and shift by whole pixels: every pixel is moved, none is mixed."""
    side = x.shape[-1]
    flip = changes.made("flip", config.flip) & (changes.uniform("flip") < 0.5)
    quarters = torch.where(changes.made("quarter", config.turn), (changes.uniform("quarter") * 4).long(), 0)
    shifts = [
        torch.where(changes.made(name, config.move), (changes.uniform(name) * 2 - 1) * _SHIFT * side, 0).round().long()
        for name in ("shift_down", "shift_right")
    ]
    # From where each pixel is taken: the changes undone one after the other, in coordinates -(side-1) ... side-1.
    at = torch.arange(side, device=x.device)
    down, right = (_reflected(at - shift[:, None], side) * 2 - (side - 1) for shift in shifts)
    down, right = down[:, :, None], right[:, None, :]
    # Of 0 to 3 quarters: 1 0 -1 0, and 0 1 0 -1.
    odd = (quarters % 2)[:, None, None]
    cosine, sine = (1 - quarters)[:, None, None] * (1 - odd), (2 - quarters)[:, None, None] * odd
    down, right = cosine * down - sine * right, cosine * right + sine * down
    right = torch.where(flip[:, None, None], -right, right)
    source = (down + side - 1) // 2 * side + (right + side - 1) // 2
    return x.flatten(2).gather(2, source.flatten(1)[:, None].expand(-1, x.shape[1], -1)).view(x.shape)


def _reflected(at: Tensor, side: int) -> Tensor:
    at = at % (2 * side)
    return torch.minimum(at, 2 * side - 1 - at)


def _warped(x: Tensor, changes: _Changes, config: AugmentConfig) -> Tensor:
    """Change size and proportions, turn freely and move by parts of pixels, in one resampling."""
    # Turned before and after stretching, each so often that both together are made with probability p.
    p_turn = 1 - (1 - changes.p).sqrt()
    turns = [
        torch.where(changes.made(name, config.turn, p_turn), (changes.uniform(name) * 2 - 1) * math.pi, 0.0)
        for name in ("turn_before", "turn_after")
    ]
    size, stretch = (
        torch.where(changes.made(name, config.size), torch.exp2(changes.normal(name) * _DOUBLINGS), 1.0)
        for name in ("size", "stretch")
    )
    move = torch.stack(
        [
            torch.where(changes.made(name, config.move), changes.normal(name) * 2 * _SHIFT, 0.0)
            for name in ("move_right", "move_down")
        ],
        dim=1,
    )
    # From where each pixel is taken: the changes undone, the last one first.
    undone = torch.diag_embed(torch.stack([1 / size, 1 / size], dim=1)) @ _rotation(-turns[0])
    undone = undone @ torch.diag_embed(torch.stack([1 / stretch, stretch], dim=1)) @ _rotation(-turns[1])
    theta = torch.cat([undone, -undone @ move[:, :, None]], dim=2).to(x.dtype)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    warped = F.grid_sample(x, grid, mode="bicubic", padding_mode="reflection", align_corners=False)
    return torch.where(changes.any[:, None, None, None], warped, x)


def _rotation(angle: Tensor) -> Tensor:
    """Turns (right, down) clockwise, as pictures are seen."""
    cosine, sine = angle.cos(), angle.sin()
    return torch.stack([torch.stack([cosine, -sine], dim=1), torch.stack([sine, cosine], dim=1)], dim=1)


def _coloured(x: Tensor, changes: _Changes) -> Tensor:
    """Change brightness and contrast, invert; in colour also turn the hue and change the saturation."""

    def power(name: str, doublings: float) -> Tensor:
        amount = torch.where(changes.made(name), torch.exp2(changes.normal(name) * doublings), 1.0)
        return amount[:, None, None, None]

    brightness = torch.where(changes.made("brightness"), changes.normal("brightness") * 0.2, 0.0)
    inverted = changes.made("luma") & (changes.uniform("luma") < 0.5)
    sign = torch.where(inverted, -1.0, 1.0)[:, None, None, None]
    y = (x + brightness[:, None, None, None]) * power("contrast", 0.5)
    luma = y.mean(dim=1, keepdim=True)
    chroma = y - luma
    y = luma * sign
    if x.shape[1] == 3:
        angle = torch.where(changes.made("hue"), (changes.uniform("hue") * 2 - 1) * math.pi, 0.0)[:, None, None, None]
        # At right angles to grey and to the chroma.
        across = (chroma.roll(-2, dims=1) - chroma.roll(-1, dims=1)) / math.sqrt(3)
        y = y + (chroma * angle.cos() + across * angle.sin()) * power("saturation", 1.0)
    return torch.where(changes.any[:, None, None, None], y.to(x.dtype), x)


def _require_second_derivatives() -> None:
    """The gradient penalty differentiates twice through the resampling, which older torch cannot.

    Raises:
        ConfigError: this one cannot.
    """
    x = torch.zeros(1, 1, 2, 2, requires_grad=True)
    weight = torch.zeros(1, 1, 2, 2, requires_grad=True)
    y = F.grid_sample(x, torch.zeros(1, 2, 2, 2), mode="bicubic", padding_mode="reflection", align_corners=False)
    try:
        (gradient,) = torch.autograd.grad((y * weight).sum(), x, create_graph=True)
        gradient.sum().backward()
    except RuntimeError as error:
        raise ConfigError(
            f"augment.mode needs second derivatives of grid_sample, which torch {torch.__version__} has not; install "
            f"a newer torch, or use {option('augment.mode', 'none')}"
        ) from error
