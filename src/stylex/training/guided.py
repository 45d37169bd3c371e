"""Adapting without images of the other domain: a network that sees pictures and reads words says which way to go.

Sources: Gal et al., StyleGAN-NADA, SIGGRAPH 2022 (the direction of words); Zhu et al., Mind the Gap, ICLR 2022, and
Zhang et al., DiFa, NeurIPS 2022 (of one image); Alanov et al., StyleDomain, ICCV 2023 (a StyleSpace vector learns it,
and pictures stay as unlike each other as they were).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from stylex.core.errors import ConfigError, TrainingError, first_line
from stylex.core.progress import Done, Listener, Started, Step, silent
from stylex.core.wording import option
from stylex.models.domain import METHODS, DomainVector, reparametrise, trained_parameters
from stylex.training.adaptation import Adaptation

TEMPLATES = ("a photo of {}", "a picture of {}", "a close-up of {}", "a small photo of {}", "a drawing of {}", "{}")
"""Words are read in all of these, and the mean is taken."""
_LEAST_MOVE = 0.05
"""Of pictures on the unit sphere."""
_COMPARED = 64
"""Pictures of the run whose mean one image is compared with."""


@runtime_checkable
class Guide(Protocol):
    """A network with one space for pictures and words."""

    name: str

    def see(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Where pictures in [-1, 1] lie."""
        ...

    def read(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        """Where words lie."""
        ...


@dataclass(frozen=True, kw_only=True)
class GuidedConfig:
    """How an adaptation by a guide learns; the published values.

    Attributes:
        steps: how many.
        batch: pictures a step.
        lr: learning rate of the vector.
        in_domain: weight of the loss that keeps pictures as unlike each other as they were.
        seed: of the pictures.
    """

    steps: int = 250
    batch: int = 4
    lr: float = 0.05
    in_domain: float = 0.25
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= 10**6 or not 0 < self.lr < 10:
            raise ConfigError(
                f"{option('steps')} is {self.steps} and {option('lr')} {self.lr}; expected 1 step or more, and a rate "
                "like 0.05"
            )


def direction_loss(
    before: Float[Tensor, "n d"], after: Float[Tensor, "n d"], aim: Float[Tensor, " d"]
) -> Float[Tensor, ""]:
    """How far pictures move in another direction than the aim: 1 less the cosine. Source: Gal et al. 2022.

    Where they have hardly moved their length counts as more, or the first steps' gradients would be without bound.
    """
    moved = after - before
    length = moved.norm(dim=1).clamp(min=_LEAST_MOVE) * aim.norm()
    return (1 - moved @ aim / length).mean()


def in_domain_loss(before: Float[Tensor, "n d"], after: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """How much the pictures' likeness to each other changes: squared differences of the cosines of all pairs."""

    def likeness(rows: Tensor) -> Tensor:
        unit = F.normalize(rows, dim=1)
        return unit @ unit.T

    return (likeness(after) - likeness(before)).square().mean()


def aim_of_words(guide: Guide, words: str, instead_of: str) -> Float[Tensor, " d"]:
    """The direction from some words to others, each read in several sentences."""
    to, begin = (
        F.normalize(guide.read([template.format(text) for template in TEMPLATES]), dim=1).mean(dim=0)
        for text in (words, instead_of)
    )
    return to - begin


def aim_of_image(guide: Guide, x: Float[Tensor, "1 c h w"], others: Float[Tensor, "n c h w"]) -> Float[Tensor, " d"]:
    """The direction from the run's own pictures to one image."""
    return F.normalize(guide.see(x), dim=1)[0] - F.normalize(guide.see(others), dim=1).mean(dim=0)


class Pictures:
    """Draws latents of an adaptation's snapshot, by a seed, and their pictures."""

    def __init__(self, adaptation: Adaptation, seed: int) -> None:
        self.adaptation, self.snapshot = adaptation, adaptation.snapshot
        self.random = torch.Generator().manual_seed(seed)
        self.on = next(self.snapshot.generator.parameters()).device

    def latents(self, n: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """Latents, answers (undecided ones) and maps."""
        z = torch.randn(n, self.snapshot.generator.config.z_dim, generator=self.random).to(self.on)
        k = len(self.snapshot.classifier["labels"])
        with torch.no_grad():
            w = self.adaptation.latents_of(self.snapshot.generator.mapping, z)
        return w, torch.full((n, k), 1 / k, device=self.on), self.snapshot.some_maps(n)

    @torch.no_grad()
    def some(self, n: int = _COMPARED) -> Float[Tensor, "n c h w"]:
        """Pictures of the run as it is."""
        return self.snapshot.generator(*self.latents(n)).clamp(-1, 1)


def guided(
    adaptation: Adaptation,
    guides: Sequence[tuple[Guide, Float[Tensor, " d"]]],
    config: GuidedConfig,
    *,
    listener: Listener = silent,
) -> DomainVector:
    """Learn what moves the run's pictures along an aim.

    Args:
        adaptation: what is adapted, and what of it learns.
        guides: networks, each with the direction that pictures are to move in its space.
        config: how it learns.
        listener: hears the losses.

    Raises:
        TrainingError: the losses are no longer finite.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        own = copy.deepcopy(adaptation.snapshot.generator)
        reparametrise(own, adaptation.method, adaptation.block)
    pictures = Pictures(adaptation, config.seed)
    learnt = [weight for weight in own.parameters() if weight.requires_grad]
    optimizer = torch.optim.Adam(learnt, lr=config.lr, betas=(0.9, 0.999))
    listener(Started(task="guide", total=config.steps, unit="steps"))
    for step in range(1, config.steps + 1):
        given = pictures.latents(config.batch)
        with torch.no_grad():
            x = adaptation.snapshot.generator(*given)
        x_new = own(*given)
        direction, kept = torch.zeros((), device=pictures.on), torch.zeros((), device=pictures.on)
        for guide, aim in guides:
            with torch.no_grad():
                before = guide.see(x)
            after = guide.see(x_new)
            direction = direction + direction_loss(F.normalize(before, dim=1), F.normalize(after, dim=1), aim)
            kept = kept + in_domain_loss(before, after)
        loss = direction + config.in_domain * kept
        if not loss.isfinite():
            raise TrainingError(f"the losses are no longer finite after {step - 1} steps; use a lower lr")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        listener(Step(task="guide", done=step, figures={"direction": direction.item(), "in_domain": kept.item()}))
    listener(Done(task="guide"))
    return adaptation.learnt(own)


def what_is_learnt(adaptation: Adaptation, config: GuidedConfig) -> str:
    """What an adaptation by a guide trains, and how many parameters these are, in a line."""
    generator = copy.deepcopy(adaptation.snapshot.generator)
    reparametrise(generator, adaptation.method, adaptation.block)
    said = METHODS[adaptation.method].said.format(adaptation.block)
    return (
        f"{adaptation.method} trains {trained_parameters(generator):,} parameters ({said}) for {config.steps} steps of "
        f"{config.batch} pictures; nothing else learns, and the encoder is kept"
    )


class OpenClip:
    """A CLIP of the package open_clip, which downloads its weights on first use. Source: Radford et al. 2021."""

    def __init__(self, name: str, weights: str, device: str) -> None:
        try:
            package = import_module("open_clip")
        except ImportError as error:
            raise TrainingError(
                f"adapting by words or one image needs open_clip, which cannot be imported "
                f"({first_line(error)}); install it (pip install open_clip_torch), or adapt to images"
            ) from None
        try:
            model = package.create_model(name, pretrained=weights, device=device)
            self._tokens: Any = package.get_tokenizer(name)
        except Exception as error:  # whatever a package that downloads makes of a missing name, file or network
            raise TrainingError(
                f"open_clip has no network {name} with weights {weights} here ({first_line(error)[:120]}); put them "
                "into its cache, or adapt to images"
            ) from error
        self.name, self._model, self._on = f"{name} ({weights})", model.eval().requires_grad_(False), device
        size = model.visual.image_size
        self._side = size if isinstance(size, int) else size[0]
        self._mean = torch.tensor(model.visual.image_mean or _MEAN, device=device)[:, None, None]
        self._std = torch.tensor(model.visual.image_std or _STD, device=device)[:, None, None]

    def see(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Where pictures in [-1, 1] lie."""
        x = F.interpolate(x.expand(-1, 3, -1, -1), size=self._side, mode="bicubic", antialias=True).clamp(-1, 1)
        seen: Tensor = self._model.encode_image(((x + 1) / 2 - self._mean) / self._std)
        return seen.float()

    @torch.no_grad()
    def read(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        """Where words lie."""
        read: Tensor = self._model.encode_text(self._tokens(list(texts)).to(self._on))
        return read.float()


_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's own training."""


def open_clip_guides(device: str) -> list[Guide]:
    """The published two: ViT-B/32 and ViT-B/16.

    Raises:
        TrainingError: open_clip or its weights are not there.
    """
    return [OpenClip(name, "openai", device) for name in ("ViT-B-32-quickgelu", "ViT-B-16-quickgelu")]
