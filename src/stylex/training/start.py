"""Networks that a training begins with instead of fresh ones; here those of a run whose generator is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from stylex.core.errors import ConfigError
from stylex.core.wording import option
from stylex.models.config import Freeze
from stylex.models.encoder import Encoder
from stylex.models.generator import Generator
from stylex.models.generator import Mapping as MappingNetwork
from stylex.models.projected import Judge
from stylex.models.snapshot import Snapshot
from stylex.training.config import TrainConfig


@runtime_checkable
class Start(Protocol):
    """What a training begins with."""

    @property
    def draws_classes(self) -> bool:
        """Whether the generator's pictures show the classes of the training's classifier from the beginning."""
        ...

    def begin(self, generator: Generator, encoder: Encoder, discriminator: Judge) -> None:
        """Give fresh networks the weights to begin with."""
        ...

    def latents_of(self, mapping: MappingNetwork, z: Float[Tensor, "n z_dim"]) -> Float[Tensor, "n w_dim"]:
        """The latents to draw pictures from."""
        ...

    def samples(self, learnt: bool) -> bool:
        """Whether the mapping network samples pictures, given whether it has learnt to in this training."""
        ...

    def finished(self, generator: Generator) -> Generator:
        """The generator as it is to be used."""
        ...

    def files(self, generator: Generator) -> Mapping[str, bytes]:
        """More files for a snapshot's folder, by name."""
        ...


def take_fitting(network: torch.nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give a network the weights that are of the same name and shape; the others stay."""
    own = network.state_dict()
    fitting = {name: w for name, w in weights.items() if name in own and own[name].shape == w.shape}
    network.load_state_dict(fitting, strict=False)


@dataclass(frozen=True, eq=False, kw_only=True)
class GivenGenerator:
    """A training that begins with the generator of a run, imported or trained.

    Attributes:
        snapshot: the run's; its encoder, where it has one of the same shape, and what fits of its discriminator are
            where these begin.
        freeze: what stays as it is.
    """

    snapshot: Snapshot
    freeze: Freeze

    @property
    def draws_classes(self) -> bool:
        """It was given because it does."""
        return True

    def settings(self, options: TrainConfig, *, channels: int, k: int) -> TrainConfig:
        """The settings of a training that begins so: the given networks' shapes, and the order that ``freeze`` needs.

        Args:
            options: all other settings.
            channels: of the images.
            k: answers of the classifier.

        Raises:
            ConfigError: the generator draws other images, or is told another number of answers.
        """
        generator, discriminator = self.snapshot.generator.config, self.snapshot.discriminator.config
        if (generator.resolution, generator.channels) != (options.model.resolution, channels):
            raise ConfigError(
                f"{self.snapshot.path} draws {generator.resolution} px with {generator.channels} channel(s), the "
                f"images are of {options.model.resolution} px with {channels}; prepare them with "
                f"{option('resolution', generator.resolution)} and {option('channels', generator.channels)}"
            )
        if generator.c_dim not in (0, k):
            raise ConfigError(
                f"{self.snapshot.path} is told {generator.c_dim} answers of its classifier, this one gives {k}; give "
                f"one with as many, or a {option('generator')} that is told none"
            )
        model = replace(
            options.model,
            generator_widths=generator.widths,
            discriminator_widths=discriminator.widths,
            z_dim=generator.z_dim,
            w_dim=generator.w_dim,
            mapping_layers=generator.mapping_layers,
            class_input=generator.class_layers if generator.c_dim else "none",
            conditional_discriminator=discriminator.c_dim > 0,
            discriminator_mapping_layers=discriminator.mapping_layers,
            map_resolutions=generator.map_resolutions,
        )
        loss = replace(options.loss, latent_moments=0.0)  # a generator sets the scale of its latents itself
        if not generator.map_resolutions:
            loss = replace(loss, swap=0.0, swap_features=0.0)
        if self.freeze == "nothing":
            return replace(options, model=model, loss=loss)
        schedule = replace(options.schedule, reconstruct_first=0.0, noise_every=1, encoder_after=1.0)
        return replace(options, model=model, loss=replace(loss, path_length=0.0, noise_kl=False), schedule=schedule)

    def begin(self, generator: Generator, encoder: Encoder, discriminator: Judge) -> None:
        """The given generator; the encoder, if there is one of this shape, and what fits of the discriminator.

        A new encoder's latents begin where the mapping network's lie: about the average one, as wide along each axis.
        """
        given = self.snapshot
        generator.load_state_dict(given.generator.state_dict())
        take_fitting(discriminator, given.discriminator.state_dict())
        if given.has_encoder and given.encoder.config == encoder.config:
            encoder.load_state_dict(given.encoder.state_dict())
            return
        with torch.no_grad():
            z = torch.randn(1_000, generator.config.z_dim, generator=torch.Generator().manual_seed(0))
            w = generator.mapping(z)
            encoder.out.weight.mul_(w.std(dim=0)[:, None])
            encoder.out.bias.copy_(w.mean(dim=0))

    def latents_of(self, mapping: MappingNetwork, z: Float[Tensor, "n z_dim"]) -> Float[Tensor, "n w_dim"]:
        """The mapping network's."""
        w: Tensor = mapping(z)
        return w

    def samples(self, learnt: bool) -> bool:
        """One that stays as it is samples as it did when it was given."""
        return learnt or self.freeze == "generator"

    def finished(self, generator: Generator) -> Generator:
        """It is used as it is trained."""
        return generator

    def files(self, generator: Generator) -> Mapping[str, bytes]:
        """None."""
        return {}

    def to_json(self) -> dict[str, Any]:
        """What decides the result beside the settings of the training."""
        return {"parent": self.snapshot.sha256, "freeze": self.freeze}
