"""Layers of StyleGAN2 in plain torch: equalised layers, FIR resampling, modulated convolution.

Source: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020. The modulated
convolution is computed as scale -> ordinary convolution -> scale, which is the same function as one
convolution a sample and is faster in channels_last and in double backward.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32
from numpy import ndarray
from torch import Tensor, nn

SLOPE = 0.2
"""Slope of the leaky ReLU."""
GAIN = math.sqrt(2)
"""Gain after the leaky ReLU, which keeps the second moment at 1."""

FIR = (1 / 8, 3 / 8, 3 / 8, 1 / 8)
"""The separable low-pass filter of every resampling."""
# What is constant is kept in numpy: a tensor would be of the mode (inference, tracing) in which it happened to be made.
_FIR_2D = np.outer(FIR, FIR).astype(np.float32)


def _taps(device: torch.device) -> Tensor:
    # FIR, made where it is used: numbers that come from the host would make a GPU wait at every filter.
    return (4 - (2 * torch.arange(4, device=device) - 3).abs()) / 8


def _fir_kernel(x: Tensor, gain: float) -> Tensor:
    if x.device.type == "cpu":
        kernel = torch.from_numpy(_FIR_2D).to(x.dtype)
    else:
        taps = _taps(x.device)
        kernel = torch.outer(taps, taps).to(x.dtype)
    return (kernel if gain == 1 else kernel * gain).expand(x.shape[1], 1, 4, 4)


def fir(x: Float[Tensor, "n c h w"], *, padding: int, gain: float = 1.0) -> Float[Tensor, "n c h2 w2"]:
    """Low-pass filter each channel. The taps are exact in bfloat16, and sums are taken in float32 either way."""
    with torch.autocast(x.device.type, enabled=False):
        return F.conv2d(x, _fir_kernel(x, gain), padding=padding, groups=x.shape[1])


@lru_cache(maxsize=64)
def _upsampling(side: int, times: int) -> Float32[ndarray, "out side"]:
    matrix = np.eye(side, dtype=np.float32)
    for _ in range(times):
        spread = np.zeros((2 * len(matrix) + 3, side), dtype=np.float32)
        for shift, tap in enumerate(FIR):
            spread[shift : shift + 2 * len(matrix) : 2] += np.float32(2 * tap) * matrix
        matrix = spread[1 : 1 + 2 * len(matrix)].copy()
    return matrix


def upsampling(side: int, times: int, like: Tensor) -> Float[Tensor, "out side"]:
    """The matrix that doubles a column of ``side`` values so many times with the FIR filter; not to be written to."""
    if like.device.type == "cpu":
        return torch.from_numpy(_upsampling(side, times))
    columns = torch.eye(side, device=like.device)[:, None]
    taps = 2 * _taps(like.device)[None, None]
    for _ in range(times):
        columns = F.conv_transpose1d(columns, taps, stride=2, padding=1)
    return columns[:, 0].T


def upsample(x: Float[Tensor, "n c h w"], *, times: int = 1) -> Float[Tensor, "n c h2 w2"]:
    """Double the size with the FIR filter, ``times`` times; float32."""
    # Rows and columns are filtered alike, and products of matrices take a third of a transposed convolution's time.
    with torch.autocast(x.device.type, enabled=False):
        rows, columns = (upsampling(int(side), times, x) for side in x.shape[2:])
        return rows @ x.float() @ columns.T


class _Downsample(torch.autograd.Function):
    """Filter and drop every second row and column, in the features' own type.

    The backward pass is written out, because torch's own takes fifty times as long in bfloat16 on CPU.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return F.conv2d(x, _fir_kernel(x, 1.0), padding=1, stride=2, groups=x.shape[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _Spread.apply(gradient)  # type: ignore[no-untyped-call]


class _Spread(torch.autograd.Function):
    """The transpose of ``_Downsample``: zeros between the values, then the filter."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        spread = x.new_zeros(n, 2 * h - 1, 2 * w - 1, c).permute(0, 3, 1, 2)
        spread[:, :, ::2, ::2] = x
        return F.conv2d(spread, _fir_kernel(x, 1.0), padding=2, groups=c)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _Downsample.apply(gradient)  # type: ignore[no-untyped-call]


def downsample(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
    """Halve the (even) size with the FIR filter."""
    with torch.autocast(x.device.type, enabled=False):
        if x.dtype == torch.bfloat16:
            out: Tensor = _Downsample.apply(x)  # type: ignore[no-untyped-call]
            return out
        return F.conv2d(x, _fir_kernel(x, 1.0), padding=1, stride=2, groups=x.shape[1])


def conv(
    x: Float[Tensor, "n ci h w"],
    weight: Float[Tensor, "co ci k k"],
    bias: Float[Tensor, " co"] | None = None,
    *,
    up: bool = False,
    down: bool = False,
) -> Float[Tensor, "n co h2 w2"]:
    """Convolve ("same" size), or convolve and double, or filter and convolve to half the size; then add the bias."""
    if up:
        assert bias is None, "a bias would be filtered too"
        y = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
        return fir(y, padding=1, gain=4.0)
    if down and weight.shape[-1] == 1:
        return F.conv2d(downsample(x), weight, bias)
    if down:
        return F.conv2d(fir(x, padding=2), weight, bias, stride=2)
    return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)


def activated(
    y: Float[Tensor, "n c h w"],
    scale: Float[Tensor, "n c"],
    bias: Float[Tensor, " c"],
    noise: Float[Tensor, "#n 1 h w"] | None,
    strength: Float[Tensor, "#c 1 1"] | Float[Tensor, ""],
) -> Float[Tensor, "n c h w"]:
    """The leaky ReLU (without its gain) of ``y * scale + bias + noise * strength``, in the features' own type."""
    scale, bias, strength = (given.to(y.dtype) for given in (scale, bias, strength))
    if y.dtype != torch.bfloat16:
        y = torch.addcmul(bias[:, None, None], y, scale[:, :, None, None])
        if noise is not None:
            y = y.addcmul_(noise.to(y.dtype), strength)
        return F.leaky_relu(y, SLOPE, inplace=True)
    # What is repeated over pixels or channels is added element by element in bfloat16 on CPU, in five to ten times a
    # product's time: bias and noise are a product of matrices instead, of [1 noise] at each pixel and [bias strength].
    y = y * scale[:, :, None, None]
    n, c, h, w = y.shape
    there, weight = y.new_ones(n, h * w, 1), bias[None]
    if noise is not None:
        own = noise.to(y.dtype).reshape(-1, h * w, 1).expand(n, -1, -1)
        there, weight = torch.cat([there, own], dim=2), torch.stack([bias, strength.reshape(-1).expand(c)])
    rows = torch.baddbmm(y.permute(0, 2, 3, 1).reshape(n, h * w, c), there, weight.expand(n, -1, -1))
    rows = F.leaky_relu(rows, SLOPE, inplace=True)  # before it is seen as pictures: writing to views costs copies
    return rows.view(n, h, w, c).permute(0, 3, 1, 2)


def channel_kernels(weight: Float[Tensor, "co ci 3 3"], *, up: bool) -> Float[Tensor, "ci 9 o"]:
    """What each input channel adds to ``conv``: products of its 3x3 surroundings with nine rows of ``o`` outputs.

    Going ``up``, convolution and filter are one kernel of 6x6, of which each of the four phases of the doubled image
    sees 3x3: o is 4 co, in the order of ``to_rows``.
    """
    if not up:
        return weight.permute(1, 2, 3, 0).flatten(1, 2)
    outputs, inputs = weight.shape[:2]
    flat = F.pad(weight.float().reshape(-1, 1, 3, 3), (3, 3, 3, 3))
    both = F.conv2d(flat, _fir_kernel(flat, 4.0)).view(outputs, inputs, 6, 6)
    rows = torch.arange(3, device=weight.device)
    taps = 4 - 2 * rows + rows[:2, None]  # 4 2 0, 5 3 1
    phases = both[:, :, taps[:, None, :, None], taps[None, :, None, :]]  # co ci 2 2 3 3
    return phases.permute(1, 4, 5, 2, 3, 0).reshape(inputs, 9, -1)


def to_rows(y: Float[Tensor, "n c h2 w2"], *, up: bool) -> Float[Tensor, "n p o"]:
    """One row of channels for each pixel; going ``up``, for each 2x2 pixels."""
    if not up:
        return y.permute(0, 2, 3, 1).flatten(1, 2)
    n, c, h, w = y.shape
    return y.view(n, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 3, 5, 1).reshape(n, h * w // 4, 4 * c)


def from_rows(rows: Float[Tensor, "n p o"], side: int, *, up: bool) -> Float[Tensor, "n c side side"]:
    """What ``to_rows`` made rows of, ``side`` pixels wide; channels last in memory."""
    if up:
        rows = rows.view(len(rows), side // 2, side // 2, 2, 2, -1).transpose(2, 3)
    return rows.reshape(len(rows), side, side, -1).permute(0, 3, 1, 2)


class Linear(nn.Module):
    """Fully connected layer with equalised learning rate: weights are stored unscaled, the gain is applied here."""

    def __init__(
        self, inputs: int, outputs: int, *, activate: bool = False, lr_multiplier: float = 1.0, bias: float = 0.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs).div_(lr_multiplier))
        self.bias = nn.Parameter(torch.full((outputs,), bias / lr_multiplier))
        self.weight_gain = lr_multiplier / math.sqrt(inputs)
        self.bias_gain = lr_multiplier
        self.activate = activate

    def forward(self, x: Float[Tensor, "n i"]) -> Float[Tensor, "n o"]:
        """Apply the layer."""
        y = F.linear(x, self.weight * self.weight_gain, self.bias * self.bias_gain)
        return F.leaky_relu(y, SLOPE) * GAIN if self.activate else y


class Conv(nn.Module):
    """Convolution with equalised learning rate, optionally to half the size, optionally activated."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        bias: bool = True,
        activate: bool = True,
        down: bool = False,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.down, self.activate = down, activate
        # The leaky ReLU is homogeneous, so its gain goes into the weights and saves a pass over the features.
        self.bias_gain = gain * (GAIN if activate else 1.0)
        self.weight_gain = self.bias_gain / math.sqrt(inputs * kernel**2)

    def forward(self, x: Float[Tensor, "n ci h w"]) -> Float[Tensor, "n co h2 w2"]:
        """Apply the layer."""
        bias = None if self.bias is None else self.bias * self.bias_gain
        y = conv(x, self.weight * self.weight_gain, bias, down=self.down)
        return F.leaky_relu(y, SLOPE, inplace=True) if self.activate else y


def demodulation(
    weight: Float[Tensor, "co ci k k"], s: Float[Tensor, "n ci"], eps: float = 1e-8
) -> Float[Tensor, "n co"]:
    """The factor per output channel that brings the modulated weights back to unit norm."""
    return (s.square() @ weight.square().sum(dim=(2, 3)).T + eps).rsqrt()


def channels_last(network: nn.Module) -> None:
    """Store the convolutions' weights in the memory order that is fastest on CPU and GPU."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
