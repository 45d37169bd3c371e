"""The layers against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stylex.models.discriminator import minibatch_std
from stylex.models.generator import StyledConv, ToRGB, normalize
from stylex.models.ops import FIR, GAIN, SLOPE, Conv, Linear, activated, conv, demodulation, downsample, upsample


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def filtered(x: np.ndarray, before: int, after: int) -> np.ndarray:
    """The definition: pad with zeros, slide the 4 x 4 filter."""
    taps = np.outer(FIR, FIR)
    x = np.pad(x, [(0, 0), (0, 0), (before, after), (before, after)])
    windows = np.lib.stride_tricks.sliding_window_view(x, (4, 4), axis=(2, 3))
    return np.einsum("nchwij,ij->nchw", windows, taps)


def doubled(x: np.ndarray) -> np.ndarray:
    """Zeros between the pixels."""
    n, c, h, w = x.shape
    out = np.zeros((n, c, 2 * h, 2 * w), x.dtype)
    out[:, :, ::2, ::2] = x
    return out


def test_the_filter_keeps_brightness() -> None:
    assert sum(FIR) == 1
    flat = torch.full((1, 2, 8, 8), 3.0)
    torch.testing.assert_close(upsample(flat)[:, :, 1:-1, 1:-1], torch.full((1, 2, 14, 14), 3.0))
    torch.testing.assert_close(downsample(flat)[:, :, 1:-1, 1:-1], torch.full((1, 2, 2, 2), 3.0))


def test_doubling_is_zeros_between_pixels_then_the_filter() -> None:
    x = normal(2, 3, 5, 6)
    expected = 4 * filtered(doubled(x.numpy()), 2, 1)
    torch.testing.assert_close(upsample(x), torch.from_numpy(expected).float())


def test_halving_is_the_filter_then_every_second_pixel() -> None:
    x = normal(2, 3, 6, 8)
    expected = filtered(x.numpy(), 1, 1)[:, :, ::2, ::2]
    torch.testing.assert_close(downsample(x), torch.from_numpy(expected).float())


def test_a_convolution_to_double_size_is_zeros_convolution_filter() -> None:
    x, weight = normal(2, 3, 4, 4), normal(5, 3, 3, 3, seed=1)
    spread = torch.from_numpy(doubled(x.numpy()))[:, :, :-1, :-1]
    # The transposed convolution turns the kernel round.
    y = F.conv2d(spread, weight.flip(2, 3), padding=2)
    expected = 4 * filtered(y.numpy(), 1, 1)
    torch.testing.assert_close(conv(x, weight, up=True), torch.from_numpy(expected).float(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kernel", [1, 3])
def test_a_convolution_to_half_size_is_filter_convolution_every_second_pixel(kernel: int) -> None:
    x, weight = normal(2, 3, 8, 8), normal(5, 3, kernel, kernel, seed=1)
    low = torch.from_numpy(filtered(x.numpy(), kernel // 2 + 1, kernel // 2 + 1)).float()
    expected = F.conv2d(low, weight)[:, :, ::2, ::2]
    torch.testing.assert_close(conv(x, weight, down=True), expected, atol=1e-5, rtol=1e-5)


def test_filters_work_in_float32_under_autocast() -> None:
    x = normal(1, 2, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(upsample(x), upsample(x.clone()))
        assert downsample(x.bfloat16()).dtype == torch.bfloat16
        torch.testing.assert_close(downsample(x.bfloat16()), downsample(x.bfloat16().float()).bfloat16())


def test_equalised_layers_scale_their_weights_as_they_work() -> None:
    linear = Linear(6, 4, activate=True, lr_multiplier=0.01, bias=1.0)
    x = normal(3, 6)
    expected = F.leaky_relu(F.linear(x, linear.weight * 0.01 / 6**0.5, torch.ones(4)), SLOPE) * GAIN
    torch.testing.assert_close(linear(x), expected)
    layer = Conv(3, 4, 3, gain=0.5)
    x = normal(2, 3, 6, 6)
    plain = F.conv2d(x, layer.weight / 27**0.5, padding=1) + layer.bias[:, None, None]
    torch.testing.assert_close(layer(x), F.leaky_relu(plain, SLOPE) * GAIN * 0.5)


@pytest.mark.parametrize("up", [False, True])
def test_the_modulated_convolution_is_one_convolution_a_sample(up: bool) -> None:
    torch.manual_seed(0)
    layer = StyledConv(6, 5, 3, resolution=8, up=up)
    with torch.no_grad():
        layer.noise_strength.fill_(0.3)
        layer.bias.copy_(normal(5))
    x, s = normal(4, 6, 4 if up else 8, 4 if up else 8), normal(4, 6, seed=1)
    noise = layer.noise_const[None, None]
    # The published form: modulate and demodulate each sample's own weights.
    rows = []
    for one, style in zip(x, s, strict=True):
        weight = layer.weight * style[None, :, None, None]
        weight = weight * (weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).rsqrt()
        y = conv(one[None], weight, up=up) + noise * layer.noise_strength + layer.bias[:, None, None]
        rows.append(F.leaky_relu(y, SLOPE) * GAIN)
    torch.testing.assert_close(layer(x, s, noise), torch.cat(rows), atol=2e-6, rtol=1e-5)


def test_demodulation_forgets_the_styles_length() -> None:
    weight, s = normal(5, 6, 3, 3), normal(4, 6, seed=1)
    unit = s[:, :, None, None] * weight[:, None] * demodulation(weight, s).T[:, :, None, None, None]
    torch.testing.assert_close(unit.square().sum(dim=(2, 3, 4)), torch.ones(5, 4))


def test_torgb_is_a_modulated_convolution_of_one_pixel() -> None:
    torch.manual_seed(0)
    layer = ToRGB(6, 3, 2)
    x, s = normal(4, 6, 8, 8), normal(4, 6, seed=1)
    weight = layer.weight / 6**0.5
    expected = torch.cat([F.conv2d(one[None], weight * t[None, :, None, None]) for one, t in zip(x, s, strict=True)])
    torch.testing.assert_close(layer(x, s), expected + layer.bias[:, None, None], atol=2e-6, rtol=1e-5)


def second_derivative(y: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """As R1 has it: the gradient with respect to the weights of the gradient's length with respect to the image."""
    (slope,) = torch.autograd.grad(y.tanh().sum(), x, create_graph=True)
    (out,) = torch.autograd.grad(slope.square().sum(), weight)
    return out


@pytest.mark.parametrize(("way", "kernel"), [("same", 1), ("same", 3), ("up", 3), ("down", 1), ("down", 3)])
def test_second_derivatives_of_resampling_convolutions(way: str, kernel: int) -> None:
    x, weight = normal(2, 3, 8, 8).requires_grad_(), normal(4, 3, kernel, kernel, seed=1).requires_grad_()
    ours = second_derivative(conv(x, weight, up=way == "up", down=way == "down"), x, weight)
    # The definition in float64; a filter of each channel is a convolution with a diagonal of filters.
    x64, weight64 = x.detach().double().requires_grad_(), weight.detach().double().requires_grad_()
    taps = torch.outer(torch.tensor(FIR), torch.tensor(FIR)).double()

    def low(y: Tensor, padding: int) -> Tensor:
        return F.conv2d(y, torch.eye(y.shape[1]).double()[:, :, None, None] * taps, padding=padding)

    if way == "same":
        y = F.conv2d(x64, weight64, padding=kernel // 2)
    elif way == "up":
        y = 4 * low(F.conv_transpose2d(x64, weight64.transpose(0, 1), stride=2), 1)
    else:
        y = F.conv2d(low(x64, kernel // 2 + 1), weight64)[:, :, ::2, ::2]
    torch.testing.assert_close(ours.double(), second_derivative(y, x64, weight64), rtol=1e-4, atol=1e-4)


def test_second_derivatives_of_smooth_layers() -> None:
    torch.manual_seed(0)
    styled = StyledConv(2, 3, 2, resolution=4, up=False).double().requires_grad_(False)
    styled.noise_strength.fill_(0.3)
    linear = Linear(3, 2, activate=True).double().requires_grad_(False)
    weight = normal(3, 2, 3, 3).double().requires_grad_()
    x, s = normal(2, 2, 4, 4).double().requires_grad_(), normal(2, 2, seed=1).double().requires_grad_()
    noise = styled.noise_const[None, None]
    rows = normal(2, 3).double().requires_grad_()
    for function, given in (
        (demodulation, (weight, s)),
        (lambda x, s: styled(x, s, noise), (x, s)),
        (linear, (rows,)),
        (normalize, (rows,)),
    ):
        assert torch.autograd.gradcheck(function, given)
        assert torch.autograd.gradgradcheck(function, given)


def test_a_group_of_minibatch_std_is_every_so_many_th_image() -> None:
    x = normal(8, 3, 4, 4)
    out = minibatch_std(x, 4)
    assert torch.equal(out[:, :3], x)
    for first in (0, 1):
        group = x[first::2]
        expected = (group.var(dim=0, unbiased=False) + 1e-8).sqrt().mean()
        torch.testing.assert_close(out[first::2, 3], expected.expand(4, 4, 4))


@pytest.mark.parametrize(("n", "size"), [(6, 3), (5, 1), (3, 3), (1, 1), (4, 4)])
def test_odd_batches_take_the_largest_group_that_divides_them(n: int, size: int) -> None:
    x = normal(n, 3, 4, 4)
    torch.testing.assert_close(minibatch_std(x, 4), minibatch_std(x, size))


def test_similar_images_keep_their_variance_in_bfloat16() -> None:
    x = (100 + 0.5 * normal(4, 3, 4, 4)).bfloat16()
    assert minibatch_std(x, 4)[0, 3, 0, 0] == minibatch_std(x.float(), 4)[0, 3, 0, 0].bfloat16()


@pytest.mark.parametrize("own_maps", [False, True])
def test_a_layers_end_is_the_same_function_in_bfloat16_forward_and_backward(own_maps: bool) -> None:
    torch.manual_seed(0)
    y = torch.randn(4, 24, 8, 8).contiguous(memory_format=torch.channels_last)
    strength = torch.randn(24, 1, 1) if own_maps else torch.tensor(0.3)
    noise = torch.randn(4 if own_maps else 1, 1, 8, 8)
    given = (y, torch.rand(4, 24) + 0.5, torch.randn(24), noise, strength)
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        leaves = [t.clone().requires_grad_() for t in given]
        out = activated(leaves[0].to(dtype), *leaves[1:])
        assert out.is_contiguous(memory_format=torch.channels_last)
        out.float().square().sum().backward()
        found.append([out.detach().float(), *(leaf.grad for leaf in leaves)])
    for exact, rough in zip(*found, strict=True):
        assert (rough - exact).norm() < 0.02 * exact.norm()
