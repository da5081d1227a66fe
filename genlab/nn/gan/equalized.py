"""Layers with equalized learning rate: weights are N(0, 1) and scaled when they are used."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear

__all__ = ["EqualConv", "EqualLinear", "MinibatchDeviation", "PixelNorm"]


class EqualLinear(nn.Module):
    """A linear layer with equalized learning rate (Karras et al. 2018, arXiv:1710.10196, 4.1).

    Args:
        n_in: Features taken.
        n_out: Features put out.
        gain: The weights' standard deviation is ``gain / sqrt(n_in)``.
        bias: What the bias starts from.
        rate: Factor on the learning rate of weights and bias.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        gain: float = math.sqrt(2),
        bias: float = 0.0,
        rate: float = 1.0,
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_out, n_in) / rate)
        self.bias = nn.Parameter(torch.full((n_out,), bias / rate))
        self.scale, self.rate = gain * rate / math.sqrt(n_in), rate

    def forward(self, x: Tensor) -> Tensor:
        """Features ``(B, n_out)``."""
        return linear(x, self.weight * self.scale, self.bias * self.rate)


class EqualConv(nn.Module):
    """A convolution with equalized learning rate, which keeps the size.

    Args:
        n_in: Channels taken.
        n_out: Channels put out.
        kernel: Its side, an odd number.
        gain: The weights' standard deviation is ``gain / sqrt(n_in kernel^2)``.
    """

    def __init__(self, n_in: int, n_out: int, kernel: int = 3, *, gain: float = math.sqrt(2)):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_out, n_in, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(n_out))
        self.scale, self.padding = gain / math.sqrt(n_in * kernel**2), kernel // 2

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(B, n_out, H, W)``."""
        return conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class PixelNorm(nn.Module):
    """Pixel normalization: the channels at each position are scaled to a mean square of 1."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalized maps, or vectors."""
        return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class MinibatchDeviation(nn.Module):
    """Minibatch standard deviation of groups of images, as a further channel (Karras 2018, 3).

    Args:
        group: Images in a group, fewer where the batch does not divide into such groups.
    """

    def __init__(self, group: int = 4):
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        """Maps of one more channel, ``(B, C + 1, H, W)``."""
        b, _, height, width = x.shape
        group = next(g for g in range(min(self.group, b), 0, -1) if b % g == 0)
        groups = x.view(group, -1, *x.shape[1:])
        deviation = (groups.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3))
        extra = deviation.repeat(group)[:, None, None, None].expand(b, 1, height, width)
        return torch.cat([x, extra], 1)
