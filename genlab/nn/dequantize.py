"""Uniform dequantization: discrete images as points of a continuous density."""

import math

import torch
from torch import Tensor

__all__ = ["dequantize", "quantize"]


def dequantize(
    x: Tensor, levels: int, *, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    r"""Spreads each integer evenly over its bin of the unit interval.

    With ``y = (x + u) / levels`` and u uniform on [0, 1), a density p of y bounds the probability
    of the discrete image (Theis et al. 2016, "A note on the evaluation of generative models",
    section 3.1): ``log P(x) >= E_u[log p(y)] + log_volume``, by Jensen's inequality.

    Args:
        x: Integers ``0 .. levels - 1`` of shape ``(B, ...)``.
        levels: Number of levels.
        generator: Source of the noise.

    Returns:
        ``y`` in the unit interval, of x's shape, and ``log_volume``, the logarithm of the volume
        of an image's bin: nats of shape ``(B,)``, the same for each image.

    Example:
        >>> y, log_volume = dequantize(torch.tensor([[0, 255]], dtype=torch.uint8), 256)
        >>> bool((quantize(y, 256) == torch.tensor([[0, 255]])).all()), log_volume
        (True, tensor([-11.0904]))
    """
    dtype = torch.get_default_dtype()
    u = torch.rand(x.shape, dtype=dtype, device=x.device, generator=generator)
    volume = -math.log(levels) * x[0].numel()
    return u.add_(x).div_(levels), torch.full(x.shape[:1], volume, dtype=dtype, device=x.device)


def quantize(y: Tensor, levels: int) -> Tensor:
    """The bin, as uint8, that each number of the unit interval falls into; beyond it, the end.

    Example:
        >>> quantize(torch.tensor([-0.1, 0.0, 0.499, 0.5, 1.0]), 2)
        tensor([0, 0, 0, 1, 1], dtype=torch.uint8)
    """
    # What is not negative is rounded down by the conversion.
    return (y * levels).clamp_(0, levels - 1).to(torch.uint8)
