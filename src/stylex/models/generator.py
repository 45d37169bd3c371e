"""The generator: a mapping network from noise to w, and a synthesis network driven through StyleSpace.

Sources: Karras et al., CVPR 2020 (networks); Lang et al., ICCV 2021 (c appended to w before every affine layer);
Wu et al., CVPR 2021 (StyleSpace).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from stylex.core.stylespace import StyleLayer, StyleSpace
from stylex.models.config import GeneratorConfig
from stylex.models.ops import (
    GAIN,
    SLOPE,
    Linear,
    activated,
    channel_kernels,
    channels_last,
    conv,
    demodulation,
    from_rows,
    to_rows,
    upsample,
)

Noise = Literal["const", "none"] | Sequence[Tensor]
"""Fixed noise maps of the network, none at all, or one map ``n 1 r r`` for each convolution in synthesis order.

A convolution that has a map in the style vector takes that, whatever the noise."""


_MAP_STRENGTH = 0.1
"""How strongly an image's map shows in the features, in the beginning."""


def normalize(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Scale each row to a second moment of 1."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


class Mapping(nn.Module):
    """z (and c, when conditional) -> w."""

    w_avg: Tensor

    def __init__(self, z_dim: int, c_dim: int, w_dim: int, *, layers: int, lr_multiplier: float) -> None:
        super().__init__()
        self.z_dim, self.c_dim = z_dim, c_dim
        self.embed = Linear(c_dim, w_dim) if c_dim else None
        sizes = [z_dim + (w_dim if c_dim else 0)] + [w_dim] * layers
        self.fc = nn.ModuleList(
            Linear(a, b, activate=True, lr_multiplier=lr_multiplier) for a, b in zip(sizes, sizes[1:], strict=False)
        )
        self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(
        self, z: Float[Tensor, "n z_dim"], c: Float[Tensor, "n c_dim"] | None = None, *, truncation: float = 1.0
    ) -> Float[Tensor, "n w_dim"]:
        """Map noise to latents; ``truncation`` < 1 pulls them towards the average latent."""
        with torch.autocast(z.device.type, enabled=False):
            parts = [normalize(z)] if self.z_dim else []
            if self.embed is not None:
                assert c is not None, "a conditional mapping needs c"
                parts.append(normalize(self.embed(c)))
            w = torch.cat(parts, dim=1)
            for layer in self.fc:
                w = layer(w)
        return w if truncation == 1.0 else torch.lerp(self.w_avg, w, truncation)


class SynthesisState(NamedTuple):
    """What synthesis has computed before a step: features and image so far (None before there are any)."""

    x: Tensor | None
    image: Tensor | None

    def expand(self, n: int) -> SynthesisState:
        """The state of one image, repeated (without copying) for ``n``."""
        return SynthesisState(*(None if t is None else t.expand(n, *t.shape[1:]) for t in self))

    def pick(self, index: int) -> SynthesisState:
        """The state of one image of the batch."""
        return SynthesisState(*(None if t is None else t[index : index + 1] for t in self))


class Response(NamedTuple):
    """A convolution taken apart, so that one style can be replaced without repeating it.

    Attributes:
        rows: ``[n p o]``, the convolution of the modulated input, before demodulation (``ops.to_rows``).
        shift: ``[1 p o]``, or ``[n p o]`` where each image has its own map: noise and bias.
        kernels: ``[ci 9 o]``, what each channel adds (``ops.channel_kernels``).
        norms, norm: ``[ci co]`` and ``[n co]``, squared norms of the weights, plain and modulated.
    """

    rows: Tensor
    shift: Tensor
    kernels: Tensor
    norms: Tensor
    norm: Tensor

    def of(self, image: Tensor) -> Response:
        """The same of some images of the batch."""
        shift = self.shift if len(self.shift) == 1 else self.shift[image]
        return self._replace(rows=self.rows[image], shift=shift, norm=self.norm[image])


class Basis(NamedTuple):
    """What a step's pictures with one style replaced are drawn from; made by ``Synthesis.basis``.

    Attributes:
        step: the step.
        s: style vectors of the unchanged images.
        x: features before the step (one image's for all, at the first step).
        response: the step's convolution, taken apart; of a ToRGB step None.
        image: the image before the step (None before there is any); of a ToRGB step the finished pictures.
    """

    step: int
    s: Tensor
    x: Tensor
    response: Response | None
    image: Tensor | None


class StyledConv(nn.Module):
    """Modulated 3x3 convolution, demodulated, with noise, bias and activation.

    Where the noise is an image's own map, each channel takes it in its own strength.
    """

    noise_const: Tensor

    def __init__(
        self, inputs: int, outputs: int, affine_inputs: int, *, resolution: int, up: bool, mapped: bool = False
    ) -> None:
        super().__init__()
        self.affine = Linear(affine_inputs, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_strength = nn.Parameter(torch.full((outputs, 1, 1), _MAP_STRENGTH) if mapped else torch.zeros(()))
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.up = up

    def forward(
        self, x: Float[Tensor, "#n ci h w"], s: Float[Tensor, "n ci"], noise: Float[Tensor, "#n 1 r r"] | None
    ) -> Float[Tensor, "n co r r"]:
        """Apply the layer under the styles ``s``."""
        y = conv(x * s[:, :, None, None].to(x.dtype), self.weight, up=self.up)
        # The activation's gain is folded into scale, bias and noise: the leaky ReLU is homogeneous.
        scale = demodulation(self.weight, s) * GAIN
        return activated(y, scale, self.bias * GAIN, noise, self.noise_strength * GAIN)

    def response(
        self, x: Float[Tensor, "#n ci h w"], s: Float[Tensor, "n ci"], noise: Float[Tensor, "#n 1 r r"] | None
    ) -> Response:
        """The layer under the styles ``s``, taken apart."""
        y = conv(x * s[:, :, None, None].to(x.dtype), self.weight, up=self.up)
        shift = (self.bias * GAIN)[None, :, None, None].expand(1, -1, *y.shape[2:])
        if noise is not None:
            shift = shift + noise * (self.noise_strength * GAIN)
        norms = self.weight.square().sum(dim=(2, 3)).T
        with torch.autocast(s.device.type, enabled=False):
            norm = s.square() @ norms
        return Response(
            rows=to_rows(y, up=self.up).float(),
            shift=to_rows(shift, up=self.up),
            kernels=channel_kernels(self.weight, up=self.up),
            norms=norms,
            norm=norm,
        )

    def moved(
        self,
        x: Float[Tensor, "j h w"],
        response: Response,
        channel: Int64[Tensor, " j"],
        before: Float[Tensor, " j"],
        after: Float[Tensor, " j"],
    ) -> Float[Tensor, "j co r r"]:
        """``forward`` with one style replaced in each row: new are one channel's part, and the scale.

        Args:
            x: the channel of the input whose style is replaced.
            response: of the rows, or one for all.
            channel: of the style.
            before, after: its old and its new value.
        """
        # In float32 whatever the features' type: on CPU these narrow products take ten times as long in bfloat16.
        with torch.autocast(x.device.type, enabled=False):
            norm = response.norm + (after.square() - before.square())[:, None] * response.norms[channel]
            scale = (norm.clamp(min=0) + 1e-8).rsqrt() * GAIN
            scale = scale.repeat(1, response.kernels.shape[2] // scale.shape[1])[:, None]
            kernels = response.kernels[channel] * (scale * (after - before)[:, None, None])
            rows = torch.addcmul(response.shift, response.rows, scale)
            surroundings = F.unfold(x[:, None].float(), 3, padding=1).transpose(1, 2)
            rows.baddbmm_(surroundings, kernels)
            F.leaky_relu(rows, SLOPE, inplace=True)
        return from_rows(rows, x.shape[1] * (2 if self.up else 1), up=self.up)


class ToRGB(nn.Module):
    """Modulated 1x1 convolution to image channels, without demodulation."""

    def __init__(self, inputs: int, channels: int, affine_inputs: int) -> None:
        super().__init__()
        self.affine = Linear(affine_inputs, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(channels, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.weight_gain = inputs**-0.5

    def forward(self, x: Float[Tensor, "#n ci h w"], s: Float[Tensor, "n ci"]) -> Float[Tensor, "n c h w"]:
        """Draw the features in image channels, float32."""
        weight = self.weight[None, :, :, 0, 0] * (s * self.weight_gain)[:, None, :]
        y = torch.matmul(x.permute(0, 2, 3, 1).flatten(1, 2), weight.transpose(1, 2).to(x.dtype))
        y = y.float().transpose(1, 2).unflatten(2, x.shape[2:])
        return y + self.bias[:, None, None]


class Synthesis(nn.Module):
    """StyleSpace -> image. Runs from w, from s, or from s starting at any step with cached features.

    Attributes:
        space: layout of s.
        steps: names of the style layers in the order in which they are applied.
        w_layers: how many latents an image has where each layer reads its own.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.c_dim = config.c_dim if config.style_conditional else 0
        self.const = nn.Parameter(torch.randn(config.widths[0], 4, 4))
        self.layers = nn.ModuleDict()
        conv_layers: list[StyleLayer] = []
        torgb_layers: list[StyleLayer] = []
        maps: dict[str, StyleLayer] = {}
        steps: list[str] = []
        previous = config.widths[0]
        for stage, width in enumerate(config.widths):
            resolution = 4 << stage
            affine_inputs = config.w_dim + (config.c_dim if config.tells(resolution) else 0)
            for name, inputs in ([("conv0", previous)] if stage else []) + [("conv1", width)]:
                key = f"b{resolution}.{name}"
                mapped = resolution in config.map_resolutions
                self.layers[_slot(key)] = StyledConv(
                    inputs, width, affine_inputs, resolution=resolution, up=name == "conv0", mapped=mapped
                )
                if mapped:
                    maps[key] = StyleLayer(name=f"{key}.map", kind="map", resolution=resolution, channels=resolution**2)
                conv_layers.append(StyleLayer(name=key, kind="conv", resolution=resolution, channels=inputs))
                steps.append(key)
            key = f"b{resolution}.torgb"
            self.layers[_slot(key)] = ToRGB(width, config.channels, affine_inputs)
            torgb_layers.append(StyleLayer(name=key, kind="torgb", resolution=resolution, channels=width))
            steps.append(key)
            previous = width
        self.space = StyleSpace([*conv_layers, *torgb_layers, *maps.values()])
        self.steps = tuple(steps)
        self._maps = {name: (self.space.slice(layer.name), layer.resolution) for name, layer in maps.items()}
        self._styled = tuple(layer.name for layer in (*conv_layers, *torgb_layers))
        convs = [layer.name for layer in conv_layers]
        after = {layer.resolution: i + 1 for i, layer in enumerate(conv_layers)}
        self._reads = {name: i for i, name in enumerate(convs)} | {t.name: after[t.resolution] for t in torgb_layers}
        self.w_layers = len(convs) + 1
        self._conv_position = {layer.name: i for i, layer in enumerate(conv_layers)}

    def styles(
        self,
        w: Float[Tensor, "n w_dim"],
        c: Float[Tensor, "n c_dim"] | None = None,
        maps: Float[Tensor, "n m_dim"] | None = None,
    ) -> Float[Tensor, "n s_dim"]:
        """The style vector of latents w and of c, and of an image's maps (None: flat ones, which show no place)."""
        assert (c is not None) == bool(self.c_dim), f"this synthesis is conditioned on {self.c_dim} values of c"
        return self._with_maps(self._styles(w if c is None else torch.cat([w, c], dim=1)), maps)

    def layer_styles(
        self,
        w: Float[Tensor, "n layers w_dim"],
        c: Float[Tensor, "n c_dim"] | None = None,
        maps: Float[Tensor, "n m_dim"] | None = None,
    ) -> Float[Tensor, "n s_dim"]:
        """The style vector where each layer has a latent of its own, ``w_layers`` of them.

        Convolution i reads latent i, a ToRGB layer the one after its resolution's last convolution, as the next
        resolution's first one does. Source: Karras et al. 2020, whose path lengths are taken along these.
        """
        styles = []
        for name, i in self._reads.items():
            affine = self._layer(name).affine
            given = w[:, i] if c is None or affine.weight.shape[1] == w.shape[2] else torch.cat([w[:, i], c], dim=1)
            with torch.autocast(w.device.type, enabled=False):
                styles.append(affine(given.float()))
        return self._with_maps(torch.cat(styles, dim=1), maps)

    def _with_maps(self, styles: Tensor, maps: Tensor | None) -> Tensor:
        if not self._maps:
            return styles
        if maps is None:
            return F.pad(styles, (0, self.space.s_dim - self.space.style_dim))
        return torch.cat([styles, maps], dim=1)

    def _styles(self, given: Tensor) -> Tensor:
        affines = [self._layer(name).affine for name in self._styled]
        width = given.shape[1]
        # One product for all layers; float32, because it is small and everything hangs on it.
        with torch.autocast(given.device.type, enabled=False):
            # A layer that is not conditioned on c has zeros in its place.
            weight = torch.cat([F.pad(a.weight * a.weight_gain, (0, width - a.weight.shape[1])) for a in affines])
            return F.linear(given.float(), weight, torch.cat([affine.bias for affine in affines]))

    def forward(
        self,
        s: Float[Tensor, "n s_dim"],
        *,
        noise: Noise = "const",
        start: int = 0,
        state: SynthesisState | None = None,
    ) -> Float[Tensor, "n c h w"]:
        """Draw the image of style vectors (float32, nominally in [-1, 1], not clamped).

        Args:
            s: style vectors.
            noise: noise maps to use.
            start: first step to compute; the earlier ones come from ``state``.
            state: what ``prefix`` returned for that step, of the same images (or one image for all).
        """
        state = self.between(s, start, len(self.steps), noise=noise, state=state)
        assert state.image is not None
        return state.image

    def between(
        self,
        s: Float[Tensor, "n s_dim"],
        start: int,
        stop: int,
        *,
        noise: Noise = "const",
        state: SynthesisState | None = None,
    ) -> SynthesisState:
        """The state before step ``stop``, given the one before step ``start``."""
        state = state or SynthesisState(None, None)
        for step in range(start, stop):
            state = self._take(step, state, s, noise)
        return state

    def prefix(self, s: Float[Tensor, "n s_dim"], *, noise: Noise = "const") -> list[SynthesisState]:
        """The state before each step, to start again from there."""
        states = [SynthesisState(None, None)]
        for step in range(len(self.steps) - 1):
            states.append(self._take(step, states[-1], s, noise))
        return states

    def basis(
        self, s: Float[Tensor, "n s_dim"], step: int, state: SynthesisState, drawn: Float[Tensor, "n c h w"]
    ) -> Basis:
        """What ``moved`` needs to replace styles of one step (noise fixed).

        Args:
            s: style vectors.
            step: the step.
            state: what ``prefix`` returned for it.
            drawn: the images' pictures.
        """
        layer = self._layer(self.steps[step])
        x = self._input(state)
        if isinstance(layer, ToRGB):
            return Basis(step, s, x, None, drawn)
        style = s[:, self.space.slice(self.steps[step])]
        noise = self._noise(self.steps[step], layer, s, "const")
        return Basis(step, s, x, layer.response(x, style, noise), state.image)

    def moved(
        self, basis: Basis, image: Int64[Tensor, " j"], index: Int64[Tensor, " j"], value: Float[Tensor, " j"]
    ) -> Float[Tensor, "j c h w"]:
        """Draw pictures in which one style of the basis's step is replaced; the same as drawing them from ``s``.

        A convolution is not repeated: the replaced style changes it by one channel's part. A ToRGB style changes the
        picture linearly, and nothing is drawn again at all.

        Args:
            basis: of the step.
            image: which of the basis's images each picture is of.
            index: flat index of the replaced style.
            value: its value.
        """
        name = self.steps[basis.step]
        layer, channel = self._layer(name), index - self.space.offsets[name]
        before = basis.s[image, index]
        x = basis.x[0, channel] if len(basis.x) == 1 else basis.x[image, channel]
        # What is one image's is shared by all rows, without copying.
        alone = len(basis.s) == 1
        picture = basis.image if basis.image is None or alone else basis.image[image]
        if isinstance(layer, ToRGB):
            assert picture is not None
            feature = upsample(x[:, None], times=(picture.shape[2] // x.shape[1]).bit_length() - 1)
            colour = layer.weight[:, channel, 0, 0].T * ((value - before) * layer.weight_gain)[:, None]
            return torch.addcmul(picture, feature, colour[:, :, None, None])
        assert basis.response is not None
        response = basis.response if alone else basis.response.of(image)
        state = SynthesisState(layer.moved(x, response, channel, before, value), picture)
        s = basis.s.expand(len(image), -1) if alone else basis.s[image]
        for step in range(basis.step + 1, len(self.steps)):
            state = self._take(step, state, s, "const")
        assert state.image is not None
        return state.image

    def draw_noise(self, n: int, generator: torch.Generator) -> list[Tensor]:
        """Fresh noise maps for ``n`` images, from a (CPU) random generator."""
        sides = [layer.resolution for layer in self.space.layers if layer.kind == "conv"]
        return [torch.randn(n, 1, side, side, generator=generator) for side in sides]

    def _layer(self, name: str) -> StyledConv | ToRGB:
        layer = self.layers[_slot(name)]
        assert isinstance(layer, StyledConv | ToRGB)
        return layer

    def _input(self, state: SynthesisState) -> Tensor:
        return self.const[None].contiguous(memory_format=torch.channels_last) if state.x is None else state.x

    def _take(self, step: int, state: SynthesisState, s: Tensor, noise: Noise) -> SynthesisState:
        name = self.steps[step]
        layer = self._layer(name)
        style = s[:, self.space.slice(name)]
        if isinstance(layer, ToRGB):
            assert state.x is not None
            rgb = layer(state.x, style)
            return SynthesisState(state.x, rgb if state.image is None else upsample(state.image) + rgb)
        return SynthesisState(layer(self._input(state), style, self._noise(name, layer, s, noise)), state.image)

    def _noise(self, name: str, layer: StyledConv, s: Tensor, noise: Noise) -> Tensor | None:
        if name in self._maps:
            part, side = self._maps[name]
            return s[:, part].view(-1, 1, side, side)
        if noise == "const":
            return layer.noise_const[None, None]
        return None if noise == "none" else noise[self._conv_position[name]]


class Generator(nn.Module):
    """Mapping and synthesis together."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.mapping = Mapping(
            config.z_dim,
            config.c_dim if config.mapping_conditional else 0,
            config.w_dim,
            layers=config.mapping_layers,
            lr_multiplier=config.mapping_lr_multiplier,
        )
        self.synthesis = Synthesis(config)
        channels_last(self)

    def with_synthesis(self, synthesis: Synthesis) -> Generator:
        """The same mapping network in front of another synthesis network; this one stays as it is."""
        other = copy.copy(self)
        other._modules = {**self._modules, "synthesis": synthesis}
        return other

    def condition(self, c: Float[Tensor, "n k"]) -> Float[Tensor, "n k"] | None:
        """What of c the affine layers receive: c, or nothing in an unconditional generator."""
        return c if self.synthesis.c_dim else None

    def forward(
        self,
        w: Float[Tensor, "n w_dim"],
        c: Float[Tensor, "n k"],
        maps: Float[Tensor, "n m_dim"] | None = None,
        *,
        noise: Noise = "const",
    ) -> Float[Tensor, "n c h w"]:
        """Draw the image of latents w and of c, and of an image's maps."""
        return self.synthesis(self.synthesis.styles(w, self.condition(c), maps), noise=noise)


def _slot(name: str) -> str:
    # Module names may not hold dots.
    return name.replace(".", "_")
