"""Adapting a trained generator to another domain: a training that begins with a snapshot and learns few parameters.

Sources: Alanov et al., StyleDomain, ICCV 2023 (what is trained); Karras et al., NeurIPS 2020 (few-shot training: the
adversarial loss with adaptive augmentation, the discriminator trained whole).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from stylex.core.errors import ConfigError
from stylex.core.wording import option
from stylex.models.config import AdaptMethod
from stylex.models.domain import (
    METHODS,
    DomainVector,
    block_for,
    is_adapted,
    read_domain,
    reparametrise,
    trained_parameters,
)
from stylex.models.encoder import Encoder
from stylex.models.generator import Generator
from stylex.models.generator import Mapping as MappingNetwork
from stylex.models.latents import normal_axes
from stylex.models.projected import Judge
from stylex.models.snapshot import Snapshot
from stylex.training.config import AugmentConfig, TrainConfig
from stylex.training.start import take_fitting

Latents = Literal["auto", "mapping", "encoder"]
"""Where the latents of the pictures come from that the discriminator judges."""

RATES: Mapping[AdaptMethod, float] = {
    "affine+": 0.02,
    "affinelight+": 0.008,
    "affine": 0.02,
    "stylespace": 0.02,
    "stylespace-sparse": 0.02,
    "full": 0.002,
    "mapping": 0.002,
    "synthesis-convs": 0.002,
}
"""Learning rates: the published ones, and for all that trains whole networks those of a training."""

SPARSE = 0.2
"""The fraction of a StyleSpace vector that ``stylespace-sparse`` keeps."""
_SPEED_KIMG = 100.0
"""The slowest adaptive augmentation, as in a training; a short adaptation's rises over its own length."""
_WARMUP = 0.1
"""The first fraction of the encoder's own training over which its learning rate rises."""


@dataclass(frozen=True, kw_only=True)
class AdaptConfig:
    """What an adaptation trains, and how long.

    Attributes:
        method: what of the generator is trained.
        kimg: how long, in thousands of pictures that the generator draws.
        encoder_kimg: how long the encoder is fitted to the finished generator afterwards; 0 keeps it as it is.
        lr: the generator's learning rate; None: by the method.
        block: resolution in pixels of the block that methods with a plus train; None: by the image's.
        keep: the fraction of what was learnt that is kept, the largest by magnitude; None: all, of stylespace-sparse
            a fifth.
        latents: from the ``mapping`` network's, from ones like the ``encoder``'s, or the encoder's unless the run
            learnt from noise alone.
        seed: all randomness follows from it and the image counter.
    """

    method: AdaptMethod = "affine+"
    kimg: float = 10.0
    encoder_kimg: float = 4.0
    lr: float | None = None
    block: int | None = None
    keep: float | None = None
    latents: Latents = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in (("method", tuple(METHODS)), ("latents", get_args(Latents))):
            if getattr(self, name) not in known:
                raise ConfigError(f"{option(name)} is {getattr(self, name)!r}, but must be one of {', '.join(known)}")
        if not 0 < self.kimg < 1e6:
            raise ConfigError(f"{option('kimg')} is {self.kimg}, but must be positive")
        if not 0 <= self.encoder_kimg < 1e6:
            raise ConfigError(f"{option('encoder_kimg')} is {self.encoder_kimg}, but must be 0 or more")
        if self.lr is not None and not 0 < self.lr < 10:
            raise ConfigError(f"{option('lr')} is {self.lr}, but must be positive, such as {RATES[self.method]}")
        if self.keep is not None and not 0 < self.keep <= 1:
            raise ConfigError(f"{option('keep')} is {self.keep}, but must be a fraction above 0 and not above 1")
        if self.keep not in (None, 1) and METHODS[self.method].low_rank:
            raise ConfigError(
                f"{option('keep')} is {self.keep}, but {self.method} learns factors of low rank, which cannot be "
                f"pruned one by one; leave {option('keep')} out, or use another method"
            )


@dataclass(frozen=True, eq=False, kw_only=True)
class Adaptation:
    """What a training begins with when it adapts a snapshot.

    Attributes:
        snapshot: its networks are where the training begins.
        method, block, keep: what of the generator is trained, and how much of it is kept.
        axes: ``[1 + z_dim, w_dim]``, the centre and the axes of the encoder's latents, where pictures are drawn from
            these; None: from the mapping network's.
    """

    snapshot: Snapshot
    method: AdaptMethod
    block: int
    keep: float
    axes: Float[Tensor, "rows w_dim"] | None

    @classmethod
    def planned(cls, snapshot: Snapshot, config: AdaptConfig) -> Adaptation:
        """What the settings mean for a snapshot.

        Raises:
            ConfigError: latents that it does not have.
        """
        generator = snapshot.generator.config
        of_encoder = config.latents == "encoder" or (
            config.latents == "auto"
            and config.method != "mapping"
            and snapshot.latents is not None
            and not _from_noise_alone(snapshot)
        )
        if of_encoder and (snapshot.latents is None or config.method == "mapping"):
            raise ConfigError(
                f"{snapshot.path} keeps no latents of its encoder, or the mapping network is to be trained; use "
                f"{option('latents', 'mapping')}"
            )
        return cls(
            snapshot=snapshot,
            method=config.method,
            block=config.block or block_for(generator.resolution),
            keep=config.keep or (SPARSE if config.method == "stylespace-sparse" else 1.0),
            axes=normal_axes(snapshot.latents, generator.z_dim)
            if of_encoder and snapshot.latents is not None
            else None,
        )

    @property
    def draws_classes(self) -> bool:
        """Not the other domain's: its own answers would give its pictures away."""
        return False

    def begin(self, generator: Generator, encoder: Encoder, discriminator: Judge) -> None:
        """Give fresh networks the snapshot's weights, and reparametrise the generator.

        The discriminator of another classifier begins with new layers where it reads the classifier's answer.
        """
        generator.load_state_dict(self.snapshot.generator.state_dict())
        encoder.load_state_dict(self.snapshot.encoder.state_dict())
        take_fitting(discriminator, self.snapshot.discriminator.state_dict())
        reparametrise(generator, self.method, self.block)

    def latents_of(self, mapping: MappingNetwork, z: Float[Tensor, "n z_dim"]) -> Float[Tensor, "n w_dim"]:
        """The latents to draw pictures from."""
        if self.axes is None:
            w: Tensor = mapping(z)
            return w
        axes = self.axes.to(z)
        return torch.addmm(axes[0], z, axes[1:])

    def samples(self, learnt: bool) -> bool:
        """Latents like the encoder's are none of the mapping network's."""
        return learnt and self.axes is None

    def learnt(self, generator: Generator) -> DomainVector:
        """What a reparametrised generator has learnt, pruned."""
        return DomainVector.of(generator, self.to_json()).pruned(self.keep)

    def finished(self, generator: Generator) -> Generator:
        """The ordinary generator, ready to use, that a reparametrised one stands for, pruned."""
        plain = self.learnt(generator).added_to(self.snapshot.generator)
        return plain.to(next(generator.parameters()).device).eval()

    def files(self, generator: Generator) -> Mapping[str, bytes]:
        """The domain vector."""
        return self.learnt(generator).files()

    def to_json(self) -> dict[str, Any]:
        """What decides the result beside the settings of the training."""
        return {
            "method": self.method,
            "block": self.block,
            "keep": self.keep,
            "latents": "mapping" if self.axes is None else "encoder",
            "parent": self.snapshot.sha256,
        }


def source_config(snapshot: Snapshot) -> TrainConfig:
    """The settings that a snapshot was trained with.

    Raises:
        ConfigError: they are none of ours.
    """
    return TrainConfig.from_json(snapshot.training)


def _from_noise_alone(snapshot: Snapshot) -> bool:
    """Whether the generator has learnt from the mapping network's latents only, as a StyleGAN2 does.

    One that learnt with its encoder draws well where the encoder's latents lie, and hardly elsewhere.
    """
    if is_adapted(snapshot.path):
        return read_domain(snapshot.path).record.get("latents") == "mapping"
    schedule = source_config(snapshot).schedule
    return schedule.noise_every == 1 and schedule.reconstruct_first == 0


def training_config(snapshot: Snapshot, config: AdaptConfig) -> TrainConfig:
    """The settings of the training that an adaptation is: pictures from noise alone, then the encoder alone.

    All that is not said here stays as it was in the snapshot's training: networks, batch, weights of the
    reconstruction's losses for the encoder, precision.
    """
    trained = source_config(snapshot)
    total = config.kimg + config.encoder_kimg
    encoder_after = "always" if trained.model.class_encoder == "after" else trained.model.class_encoder
    return replace(
        trained,
        seed=config.seed,
        model=replace(trained.model, class_encoder=encoder_after),
        loss=replace(trained.loss, adversarial=1.0, path_length=0.0, noise_kl=False, swap=0.0, swap_features=0.0),
        augment=AugmentConfig(mode="ada", speed_kimg=min(_SPEED_KIMG, config.kimg)),
        optimizer=replace(
            trained.optimizer,
            generator_lr=config.lr or RATES[config.method],
            encoder_warmup_nimg=round(_WARMUP * config.encoder_kimg * 1000),
        ),
        schedule=replace(
            trained.schedule,
            kimg=total,
            reconstruct_first=0.0,
            noise_every=1,
            classifier_from=0.0,
            swap_from=0.0,
            encoder_after=config.encoder_kimg / total,
            class_dropout=0.0,
            map_dropout=0.0,
            style_mixing=0.0,
            tick_nimg=max(1, min(trained.schedule.tick_nimg, round(total * 100))),
        ),
    )


def what_is_trained(adaptation: Adaptation, config: AdaptConfig) -> str:
    """What an adaptation trains and how many parameters these are, in a line."""
    snapshot = adaptation.snapshot
    generator = copy.deepcopy(snapshot.generator)
    whole = sum(weight.numel() for weight in generator.parameters())
    reparametrise(generator, adaptation.method, adaptation.block)
    others = {"discriminator": snapshot.discriminator, "encoder": snapshot.encoder}
    sizes = {name: sum(weight.numel() for weight in network.parameters()) for name, network in others.items()}
    said = METHODS[adaptation.method].said.format(adaptation.block)
    kept = f", of which {adaptation.keep:.0%} are kept" if adaptation.keep < 1 else ""
    encoder = (
        f"then the encoder's {sizes['encoder']:,} for {config.encoder_kimg:g} kimg"
        if config.encoder_kimg
        else "the encoder is kept"
    )
    return (
        f"{adaptation.method} trains {trained_parameters(generator):,} parameters beside the generator's {whole:,} "
        f"({said}){kept}, with the discriminator's {sizes['discriminator']:,}, for {config.kimg:g} kimg; {encoder}"
    )
