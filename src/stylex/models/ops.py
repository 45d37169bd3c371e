"""Layers of StyleGAN2 in plain torch: equalised layers, FIR resampling, modulated convolution.

Source: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020. The modulated
convolution is computed as scale -> ordinary convolution -> scale, which is the same function as one
convolution a sample and is faster in channels_last and in double backward.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

SLOPE = 0.2
"""Slope of the leaky ReLU."""
GAIN = math.sqrt(2)
"""Gain after the leaky ReLU, which keeps the second moment at 1."""

FIR = (1 / 8, 3 / 8, 3 / 8, 1 / 8)
"""The separable low-pass filter of every resampling."""


def _fir_kernel(x: Tensor, gain: float) -> Tensor:
    taps = torch.tensor(FIR, dtype=torch.float32, device=x.device)
    kernel = torch.outer(taps, taps) * gain
    return kernel.expand(x.shape[1], 1, 4, 4)


def fir(x: Float[Tensor, "n c h w"], *, padding: int, stride: int = 1, gain: float = 1.0) -> Float[Tensor, "n c h2 w2"]:
    """Low-pass filter each channel. The taps are exact in bfloat16, and sums are taken in float32 either way."""
    # With a stride, bfloat16's backward pass takes thirteen times as long on CPU.
    inside = x.dtype if stride == 1 else torch.float32
    with torch.autocast(x.device.type, enabled=False):
        kernel = _fir_kernel(x, gain).to(inside)
        y = F.conv2d(x.to(inside), kernel, padding=padding, stride=stride, groups=x.shape[1])
    return y.to(x.dtype)


def upsample(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
    """Double the size with the FIR filter."""
    with torch.autocast(x.device.type, enabled=False):
        return F.conv_transpose2d(x.float(), _fir_kernel(x, 4.0), stride=2, padding=1, groups=x.shape[1])


def downsample(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
    """Halve the size with the FIR filter."""
    return fir(x, padding=1, stride=2)


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


class Linear(nn.Module):
    """Fully connected layer with equalised learning rate: weights are stored unscaled, the gain is applied here."""

    def __init__(
        self, inputs: int, outputs: int, *, activate: bool = False, lr_multiplier: float = 1.0, bias: float = 0.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
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
