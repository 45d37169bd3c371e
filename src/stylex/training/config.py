"""What a training is made of, as plain data: one group for each owner, presets, and reading from JSON (no torch)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, cast, get_args, get_origin, get_type_hints

from stylex.core.errors import ConfigError
from stylex.models.config import DiscriminatorConfig, DiscriminatorKind, EncoderConfig, GeneratorConfig, most_of

ClassInput = Literal["all", "coarse", "fine", "none"]
"""Which layers of the generator are conditioned on c."""

ClassEncoder = Literal["never", "after", "always"]
"""When the encoder is conditioned on c."""


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Widths of the networks; image size and channels come from the data, c from the classifier.

    Attributes:
        resolution: image side in pixels; must be the data's.
        generator_widths: feature channels of the generator at 4, 8, ... px.
        discriminator_widths: feature channels of the discriminator at 4, 8, ... px.
        encoder_widths: feature channels of the encoder at 4, 8, ... px.
        z_dim: length of the noise vector.
        w_dim: length of the latent w.
        mapping_layers: layers of the mapping network.
        discriminator_mapping_layers: layers that map c for the discriminator's projection.
        class_input: which affine layers get the classifier's output beside w: ``all``; ``coarse``, those of the lower
            half of the resolutions (the middle one included: 4, 8 and 16 of 64 px); ``fine``, the others; or ``none``.
        class_encoder: when the encoder is conditioned on the classifier's output too: ``never``; ``after``,
            from when on it learns alone (``schedule.encoder_after``); or ``always``.
        conditional_discriminator: condition the discriminator on the classifier's output.
        map_resolutions: in pixels, in order; there the encoder gives the generator's convolutions a map of the image
            for their noise: w says what is to be seen, the maps where it lies. None: w says all.
        map_noise: deviation of the noise that is added to the maps in training (theirs is 1), so that they can hold
            little.
        map_width: feature channels of the network that makes the maps.
    """

    resolution: int
    generator_widths: tuple[int, ...]
    discriminator_widths: tuple[int, ...]
    encoder_widths: tuple[int, ...]
    z_dim: int
    w_dim: int
    mapping_layers: int
    discriminator_mapping_layers: int
    class_input: ClassInput = "all"
    class_encoder: ClassEncoder = "never"
    conditional_discriminator: bool = True
    map_resolutions: tuple[int, ...] = ()
    map_noise: float = 0.5
    map_width: int = 32

    def __post_init__(self) -> None:
        for name in ("generator_widths", "discriminator_widths", "encoder_widths", "map_resolutions"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        inputs = get_args(ClassInput)
        _require(
            self.class_input in inputs,
            f"model.class_input is {self.class_input!r}, but must be one of {', '.join(inputs)}",
        )
        times = get_args(ClassEncoder)
        _require(
            self.class_encoder in times,
            f"model.class_encoder is {self.class_encoder!r}, but must be one of {', '.join(times)}",
        )
        _require(
            0 <= self.map_noise < math.inf,
            f"model.map_noise is {self.map_noise}, but must be a number and not negative",
        )
        for name in ("z_dim", "w_dim", "mapping_layers", "discriminator_mapping_layers", "map_width"):
            value, most = getattr(self, name), most_of(name)
            _require(1 <= value <= most, f"model.{name} is {value}, but must lie in 1..{most}")

    def generator(self, channels: int, k: int) -> GeneratorConfig:
        """The generator's shape for images of ``channels`` and a classifier of ``k`` outputs."""
        return GeneratorConfig(
            resolution=self.resolution,
            channels=channels,
            widths=self.generator_widths,
            z_dim=self.z_dim,
            w_dim=self.w_dim,
            c_dim=0 if self.class_input == "none" else k,
            mapping_layers=self.mapping_layers,
            class_layers="all" if self.class_input == "none" else self.class_input,
            map_resolutions=self.map_resolutions,
        )

    def discriminator(self, channels: int, k: int) -> DiscriminatorConfig:
        """The discriminator's shape."""
        return DiscriminatorConfig(
            resolution=self.resolution,
            channels=channels,
            widths=self.discriminator_widths,
            c_dim=k if self.conditional_discriminator else 0,
            mapping_layers=self.discriminator_mapping_layers,
        )

    def encoder(self, channels: int, k: int) -> EncoderConfig:
        """The encoder's shape."""
        return EncoderConfig(
            resolution=self.resolution,
            channels=channels,
            widths=self.encoder_widths,
            w_dim=self.w_dim,
            c_dim=0 if self.class_encoder == "never" else k,
            map_resolutions=self.map_resolutions,
            map_width=self.map_width,
        )


SEES_FEATURES = ("classifier", "efficientnet")
"""Perceptual nets beside which the classifier's own features are at hand."""


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of the losses.

    Attributes:
        adversarial: non-saturating logistic loss.
        pixel: mean absolute error on [-1, 1].
        perceptual: distance of the perceptual features.
        perceptual_net: what is compared: features of the explained ``classifier`` (of one that shows none, the same as
            multiscale, and ``classifier`` counts, with 1 if it is 0), of ``efficientnet`` (trained on ImageNet, an
            extra) or ``lpips`` (an extra), ``multiscale``: the image at all sizes down to 4 px, without a network; or
            ``none``.
        latent: mean absolute error of E(x_rec) against E(x).
        latent_moments: pulls the encoder's latents to zero mean, unit variance and no correlation.
        latent_every: steps between evaluations of the latent term (its weight is multiplied by this).
        classifier: KL(C(x) || C(x_rec)).
        swap: KL(C(x) || C(G(w, maps of another image))): what the classifier sees must be in w, not in the maps.
        swap_features: the same of the classifier's features, averaged over the image, as it needs
            ``perceptual_net: classifier`` or ``efficientnet``.
        noise_kl: on noise steps too: the classifier is to see in a sample what c the generator was given.
        discriminator: ``stylegan2``: a residual network of its own, with the logistic loss and a gradient penalty; or
            ``projected``: heads on the maps of EfficientNet-Lite0 (an extra), with the hinge loss and no penalty.
        r1_gamma: gradient penalty on real images (not of ``projected``).
        r1_every: steps between gradient penalties.
        path_length: weight of the path-length penalty, 0 turns it off.
        path_length_every: noise steps between path-length penalties.
    """

    adversarial: float = 1.0
    pixel: float = 1.0
    perceptual: float = 0.1
    perceptual_net: Literal["classifier", "efficientnet", "lpips", "multiscale", "none"] = "classifier"
    latent: float = 0.1
    latent_moments: float = 0.1
    latent_every: int = 1
    classifier: float = 1.0
    swap: float = 0.0
    swap_features: float = 0.0
    noise_kl: bool = False
    discriminator: DiscriminatorKind = "stylegan2"
    r1_gamma: float = 1.0
    r1_every: int = 16
    path_length: float = 0.0
    path_length_every: int = 4

    def __post_init__(self) -> None:
        every = ("latent_every", "r1_every", "path_length_every")
        for name in {weight.name for weight in dataclasses.fields(self)} - {
            *every,
            "perceptual_net",
            "noise_kl",
            "discriminator",
        }:
            value = getattr(self, name)
            _require(0 <= value < math.inf, f"loss.{name} is {value}, but must be a number and not negative")
        _require(
            not self.noise_kl or self.classifier > 0,
            "loss.noise_kl is weighted by loss.classifier, which is 0; give that a weight, such as 1, or turn it off",
        )
        _require(
            self.swap_features == 0 or (self.perceptual_net in SEES_FEATURES and self.perceptual > 0),
            "loss.swap_features compares the classifier's features, which only loss.perceptual with perceptual_net "
            "classifier or efficientnet looks at; use that, or set loss.swap_features to 0",
        )
        for name in every:
            _require(getattr(self, name) >= 1, f"loss.{name} is {getattr(self, name)}, but must be 1 or more")


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Random changes of the images that the discriminator sees, for small sets.

    Attributes:
        mode: ``none``; ``ada``: as often as keeps the discriminator from learning the images by heart; or ``fixed``.
        p: probability of each change: all the time (fixed), or in the beginning (ada).
        target: how sure of real images the discriminator may be, as the mean sign of its logits, -1..1 (ada).
        speed_kimg: thousands of images over which p can rise from 0 to 1 (ada).
        flip: mirror left and right.
        turn: turn by quarters and by any angle.
        move: shift.
        size: change size and proportions.
        colour: change brightness and contrast, invert, turn the hue, change the saturation.
    """

    mode: Literal["none", "ada", "fixed"] = "none"
    p: float = 0.0
    target: float = 0.6
    speed_kimg: float = 100.0
    flip: bool = True
    turn: bool = True
    move: bool = True
    size: bool = True
    colour: bool = True

    def __post_init__(self) -> None:
        _require(0 <= self.p <= 1, f"augment.p is {self.p}, but must lie in 0..1")
        _require(-1 < self.target < 1, f"augment.target is {self.target}, but must lie between -1 and 1")
        _require(0 < self.speed_kimg < math.inf, f"augment.speed_kimg is {self.speed_kimg}, but must be positive")
        _require(
            self.mode == "none" or any((self.flip, self.turn, self.move, self.size, self.colour)),
            f"augment.mode is {self.mode}, but all changes are turned off; leave one on, or use mode none",
        )
        _require(self.mode != "fixed" or self.p > 0, "augment.mode is fixed, but augment.p is 0; give a larger one")


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Adam for each network.

    Attributes:
        generator_lr: learning rate of mapping and synthesis.
        discriminator_lr: learning rate of the discriminator.
        encoder_lr: learning rate of the encoder.
        encoder_warmup_nimg: images over which the encoder's learning rate rises from zero.
        beta1: first moment's decay beside the adversarial loss.
        beta1_reconstruction: first moment's decay while only reconstructing.
        beta2: second moment's decay.
        decay: the last fraction of the training over which learning rates fall linearly to a tenth.
    """

    generator_lr: float = 2e-3
    discriminator_lr: float = 2e-3
    encoder_lr: float = 2e-3
    encoder_warmup_nimg: int = 2_000
    beta1: float = 0.0
    beta1_reconstruction: float = 0.9
    beta2: float = 0.99
    decay: float = 0.25

    def __post_init__(self) -> None:
        for name in ("generator_lr", "discriminator_lr", "encoder_lr"):
            value = getattr(self, name)
            _require(0 < value < math.inf, f"optimizer.{name} is {value}, but must be positive")
        for name in ("beta1", "beta1_reconstruction", "beta2"):
            value = getattr(self, name)
            _require(0 <= value < 1, f"optimizer.{name} is {value}, but must be 0 or more and below 1")
        _require(
            self.encoder_warmup_nimg >= 0,
            f"optimizer.encoder_warmup_nimg is {self.encoder_warmup_nimg}, but must not be negative",
        )
        _require(0 <= self.decay <= 1, f"optimizer.decay is {self.decay}, but must lie in 0..1")


class Step(NamedTuple):
    """What a step of the training does.

    Attributes:
        number: how many steps went before.
        adversarial: the discriminator takes part, and learns.
        from_noise: images are sampled from noise, not reconstructed; the encoder does not learn.
        encoder_alone: nothing else learns; images are drawn by the generator's moving average.
        consistent: the classifier's answers on image and reconstruction are compared.
        follows: the classifier's answers on image and reconstruction with another image's maps are compared.
    """

    number: int
    adversarial: bool
    from_noise: bool
    encoder_alone: bool
    consistent: bool
    follows: bool

    @property
    def trains(self) -> tuple[Literal["generator", "encoder"], ...]:
        """Who learns to draw; the discriminator learns apart."""
        if self.encoder_alone:
            return ("encoder",)
        return ("generator",) if self.from_noise else ("generator", "encoder")


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """How long, in which order, and how often something is written. Progress is counted in images.

    Attributes:
        kimg: length of the training in thousands of images.
        batch: images a step, over all processes.
        reconstruct_first: first fraction of the training without the discriminator.
        noise_every: after that, every so many-th step draws from noise instead of the encoder (0: never).
        classifier_from: fraction of the training after which ``loss.classifier`` counts: from then on reconstructions
            are held to what the classifier says of the images.
        swap_from: the same of ``loss.swap``: before it, only ``loss.swap_features`` keeps the classifier's causes in w.
        encoder_after: last fraction of the training, in which the encoder alone is fitted to the finished generator.
            With it, ``reconstruct_first`` 0 and ``noise_every`` 1, a StyleGAN2 is trained, and an encoder afterwards.
        class_dropout: fraction of the images whose c the generator is not given, but zeros.
        swap_share: fraction of the images that are also drawn with another image's maps, where ``loss.swap`` or
            ``loss.swap_features`` counts.
        classifier_share: fraction of a step's images, the first ones, whose reconstructions are shown to the
            classifier, and of those drawn with other maps likewise. Where the classifier is the larger part of the
            work (ImageNet's networks), a quarter makes a step two to three times as fast.
        map_dropout: fraction of the images whose maps are replaced by noise.
        style_mixing: fraction of the noise steps' images whose styles come from a second latent, from some layer on.
        ema_nimg: half-life of the weights' moving average, in images.
        tick_nimg: images between reports and training states.
        snapshot_nimg: images between snapshots.
    """

    kimg: float
    batch: int = 16
    reconstruct_first: float = 0.4
    noise_every: int = 2
    classifier_from: float = 0.0
    swap_from: float = 0.0
    encoder_after: float = 0.0
    class_dropout: float = 0.0
    swap_share: float = 0.5
    classifier_share: float = 1.0
    map_dropout: float = 0.0
    style_mixing: float = 0.0
    ema_nimg: int = 10_000
    tick_nimg: int = 4_000
    snapshot_nimg: int = 50_000

    def __post_init__(self) -> None:
        _require(0 < self.kimg < math.inf, f"schedule.kimg is {self.kimg}, but must be positive")
        _require(self.batch >= 1, f"schedule.batch is {self.batch}, but must be 1 or more")
        fractions = (
            "reconstruct_first", "classifier_from", "swap_from", "encoder_after", "class_dropout", "swap_share",
            "classifier_share", "map_dropout", "style_mixing",
        )  # fmt: skip
        for name in fractions:
            value = getattr(self, name)
            _require(0 <= value <= 1, f"schedule.{name} is {value}, but must lie in 0..1")
        _require(
            self.classifier_share > 0, "schedule.classifier_share is 0, but the classifier must be shown some images"
        )
        _require(
            self.reconstruct_first + self.encoder_after <= 1,
            f"schedule.reconstruct_first {self.reconstruct_first} and encoder_after {self.encoder_after} are fractions "
            "of one training and must not exceed 1 together",
        )
        for name in ("ema_nimg", "tick_nimg", "snapshot_nimg"):
            _require(getattr(self, name) >= 1, f"schedule.{name} is {getattr(self, name)}, but must be 1 or more")
        _require(self.noise_every >= 0, f"schedule.noise_every is {self.noise_every}, but must not be negative")

    @property
    def total_nimg(self) -> int:
        """Images of the whole training, a multiple of the batch."""
        return max(1, round(self.kimg * 1000 / self.batch)) * self.batch

    @property
    def encoder_alone_nimg(self) -> float:
        """From which image on the encoder learns alone; the end, when never."""
        return self.total_nimg * (1 - self.encoder_after)

    @property
    def encoder_from_nimg(self) -> float:
        """From which image on the encoder learns."""
        return 0 if self.reconstruct_first > 0 or self.noise_every != 1 else self.encoder_alone_nimg

    def sampled_by(self, nimg: int) -> bool:
        """Whether the generator has learnt from noise long enough, before image ``nimg``, for samples to be pictures.

        That is 5,000 images, or half of a short training.
        """
        if self.noise_every == 0:
            return False
        since = min(nimg, self.encoder_alone_nimg) - self.total_nimg * self.reconstruct_first
        return since >= min(5000, 0.5 * self.total_nimg)

    def step(self, nimg: int) -> Step:
        """What the step after ``nimg`` images does."""
        number = nimg // self.batch
        encoder_alone = nimg >= self.encoder_alone_nimg
        adversarial = nimg >= self.total_nimg * self.reconstruct_first and not encoder_alone
        from_noise = adversarial and self.noise_every > 0 and number % self.noise_every == self.noise_every - 1
        consistent = nimg >= self.total_nimg * self.classifier_from
        follows = nimg >= self.total_nimg * self.swap_from
        return Step(number, adversarial, from_noise, encoder_alone, consistent, follows)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that decides a training's result, together with data and classifier.

    Attributes:
        model: network shapes.
        loss: loss weights.
        augment: changes of what the discriminator sees.
        optimizer: learning rates.
        schedule: length and order.
        seed: all randomness follows from it and the image counter.
        mirror: show half of the images mirrored (only where left and right mean the same).
        precision: ``bf16`` autocast, ``fp32``, or ``auto``: bf16 where the processor has it in hardware.
    """

    model: ModelConfig
    loss: LossConfig = field(default_factory=LossConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig
    seed: int = 0
    mirror: bool = False
    precision: Literal["auto", "bf16", "fp32"] = "auto"

    def __post_init__(self) -> None:
        # A step's random numbers are drawn by seed * 2**40 + images seen, which must stay below 2**64.
        _require(0 <= self.seed < 2**24, f"seed is {self.seed}, but must lie in 0..{2**24 - 1}")
        _require(
            not self.loss.noise_kl or self.model.class_input != "none",
            "loss.noise_kl compares samples with what the generator was given, but model.class_input is none; "
            "turn one of them off",
        )
        _require(
            self.model.class_encoder != "after" or self.schedule.encoder_after > 0,
            "model.class_encoder is after, but schedule.encoder_after is 0, so that the encoder never learns alone; "
            "give it a fraction, or give it c always",
        )

        _require(
            bool(self.model.map_resolutions) or not self.swaps,
            "loss.swap exchanges maps, but model.map_resolutions is empty; give some, or set loss.swap and "
            "loss.swap_features to 0",
        )

    def discriminator(self, channels: int, k: int) -> DiscriminatorConfig:
        """The discriminator's shape, and its kind."""
        return replace(self.model.discriminator(channels, k), kind=self.loss.discriminator)

    @property
    def swaps(self) -> bool:
        """Whether images are also drawn with the maps of others."""
        return self.loss.swap > 0 or self.loss.swap_features > 0

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> TrainConfig:
        """Read what ``to_json`` wrote.

        Raises:
            ConfigError: a field is unknown or missing, or its value cannot be meant.
        """
        config = _read(cls, tree, "")
        assert isinstance(config, TrainConfig)
        return config


def _read(kind: type[Any], tree: Any, where: str) -> Any:
    at = f"training options {where or 'at the top'}"
    _require(isinstance(tree, Mapping), f"{at}: expected names with values, got {tree!r}")
    hints = get_type_hints(kind)
    unknown = sorted(set(tree) - set(hints))
    _require(not unknown, f"unknown training option {where}{unknown[0] if unknown else ''}; known: {sorted(hints)}")
    values = {name: _value(hints[name], value, f"{where}{name}") for name, value in tree.items()}
    needed = [x.name for x in dataclasses.fields(kind) if x.default is x.default_factory is dataclasses.MISSING]
    absent = [name for name in needed if name not in values]
    _require(not absent, f"{at}: missing {', '.join(absent)}")
    try:
        return kind(**values)
    except TypeError as error:
        raise ConfigError(f"{at}: {error}") from None


def _value(hint: Any, value: Any, name: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return _read(cast(type[Any], hint), value, f"{name}.")
    if hint is bool:
        _require(isinstance(value, bool), f"{name} is {value!r}, but must be true or false")
    elif isinstance(value, bool):
        value = _FORMERLY.get((name, value), value)
    if get_origin(hint) is Literal:
        _require(value in get_args(hint), f"{name} is {value!r}, but must be one of {', '.join(get_args(hint))}")
    return tuple(value) if isinstance(value, list) else value


_FORMERLY: Mapping[tuple[str, bool], str] = {("model.class_input", True): "all", ("model.class_input", False): "none"}
"""Truth values that older trainings have where there are names now."""


_TINY = TrainConfig(
    model=ModelConfig(
        resolution=16,
        generator_widths=(16, 16, 8),
        discriminator_widths=(16, 16, 8),
        encoder_widths=(16, 16, 8),
        z_dim=16,
        w_dim=16,
        mapping_layers=2,
        discriminator_mapping_layers=1,
    ),
    loss=LossConfig(r1_gamma=0.1),
    schedule=ScheduleConfig(kimg=2, batch=8, tick_nimg=500, snapshot_nimg=1_000, ema_nimg=500),
)

_SMALL = TrainConfig(
    model=ModelConfig(
        resolution=32,
        generator_widths=(64, 64, 64, 32),
        discriminator_widths=(64, 64, 64, 32),
        encoder_widths=(64, 64, 64, 32),
        z_dim=64,
        w_dim=64,
        mapping_layers=4,
        discriminator_mapping_layers=1,
        class_input="none",  # given the answer, the generator draws the strongest cause from it, and w does not hold it
    ),
    loss=LossConfig(
        adversarial=0.1,
        pixel=5.0,
        perceptual=0.5,
        latent_moments=0.1,
        latent_every=16,
        classifier=0.0,  # held to the classifier's answer, w holds the answer, and not apart what it is made of
        r1_gamma=0.1,
    ),
    optimizer=OptimizerConfig(generator_lr=4e-3, encoder_lr=4e-3),
    schedule=ScheduleConfig(kimg=160, batch=8, reconstruct_first=0.95, noise_every=4),
)

_MEDIUM = replace(
    _SMALL,
    model=replace(
        _SMALL.model,
        resolution=64,
        generator_widths=(64, 64, 64, 48, 24),
        discriminator_widths=(64, 64, 64, 48, 24),
        encoder_widths=(64, 64, 64, 48, 24),
        z_dim=96,
        w_dim=96,
        map_resolutions=(16, 32),
    ),
    loss=replace(_SMALL.loss, r1_gamma=0.3, classifier=1.0, swap=1.0),  # maps keep the picture, w the answer
    schedule=replace(_SMALL.schedule, kimg=50, reconstruct_first=0.9, noise_every=2, map_dropout=0.3),
)

_LARGE = replace(
    _MEDIUM,
    model=replace(
        _MEDIUM.model,
        resolution=128,
        generator_widths=(64, 64, 64, 64, 32, 16),
        discriminator_widths=(64, 64, 64, 64, 32, 16),
        encoder_widths=(64, 64, 64, 64, 32, 16),
        z_dim=128,
        w_dim=128,
        map_resolutions=(32, 64),
        class_encoder="after",
    ),
    # Drawn sharply first; in the last third the encoder alone goes on, told the answer, and is held to it.
    loss=replace(_MEDIUM.loss, r1_gamma=1.0, swap=3.0, swap_features=3.0),
    schedule=replace(
        _MEDIUM.schedule, kimg=60, reconstruct_first=0.65, encoder_after=1 / 3, classifier_from=2 / 3, swap_from=2 / 3
    ),
)

_PAPER_WIDTHS = (512, 512, 512, 512, 512, 256, 128)
_PAPER = TrainConfig(
    model=ModelConfig(
        resolution=256,
        generator_widths=_PAPER_WIDTHS,
        discriminator_widths=_PAPER_WIDTHS,
        encoder_widths=_PAPER_WIDTHS,
        z_dim=512,
        w_dim=512,
        mapping_layers=8,
        discriminator_mapping_layers=8,
    ),
    loss=LossConfig(perceptual_net="lpips", latent_moments=0.0, r1_gamma=10.0, path_length=2.0),
    optimizer=OptimizerConfig(encoder_warmup_nimg=10_000, beta1_reconstruction=0.0, decay=0.0),
    schedule=ScheduleConfig(kimg=4_000, reconstruct_first=0.0, snapshot_nimg=200_000),
)

PRESETS: dict[str, TrainConfig] = {
    "tiny-16": _TINY,
    "small-32": _SMALL,
    "medium-64": _MEDIUM,
    "large-128": _LARGE,
    "paper-256": _PAPER,
}
"""Named starting points: tests; two cores in under an hour, in an hour or two, in hours; and the published size."""


def preset(name: str) -> TrainConfig:
    """The preset of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in PRESETS:
        raise ConfigError(f"no preset {name!r}; the presets are {', '.join(PRESETS)}")
    return PRESETS[name]


def preset_for(resolution: int) -> str:
    """The first preset for images of that resolution.

    Raises:
        ConfigError: there is none.
    """
    for name, config in PRESETS.items():
        if config.model.resolution == resolution:
            return name
    known = ", ".join(f"{name} ({config.model.resolution} px)" for name, config in PRESETS.items())
    raise ConfigError(
        f"no preset is for images of {resolution} px; the presets are {known}; prepare with one of these resolutions, "
        "or give config"
    )


def resolved(name: str | None, config: TrainConfig | None, *, kimg: float | None, seed: int | None) -> TrainConfig:
    """The settings that a training runs with: all given, or a preset's, with length and seed where given.

    Raises:
        ConfigError: no such preset, or values that cannot be meant.
    """
    assert config is not None or name is not None
    if config is not None and not isinstance(config, TrainConfig):
        raise ConfigError(
            f"config is a {type(config).__name__}; give a TrainConfig, as of stylex.preset('small-32'), or "
            "TrainConfig.from_json(...) of a mapping"
        )
    options = config if config is not None else preset(str(name))
    if kimg is not None:
        options = replace(options, schedule=replace(options.schedule, kimg=kimg))
    return options if seed is None else replace(options, seed=seed)
