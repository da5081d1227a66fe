"""Gradient penalties of a discriminator."""

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["gradient_penalty", "gradients", "zero_centred_penalty"]

Critic = Callable[[Tensor], Tensor]


def gradients(critic: Critic, x: Tensor) -> tuple[Tensor, Tensor]:
    """Logits of images, and the gradients of their sum, which can be differentiated in turn."""
    x = x.detach().requires_grad_(True)
    logits = critic(x)
    (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    return logits, gradient


def zero_centred_penalty(logits: Tensor, gradient: Tensor) -> Tensor:
    """Zero-centred penalty ``E |grad D(x)|^2 / 2``: R1 on real images, R2 on generated ones.

    Mescheder et al. 2018, arXiv:1801.04406, equations 9 and 10, for weight 1. Where several images
    make one logit, their gradient is that of all of them.
    """
    return gradient.square().sum() / (2 * len(logits))


def gradient_penalty(critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
    """WGAN-GP penalty ``E (|grad D(x)| - 1)^2`` at points between real and generated images.

    Gulrajani et al. 2017, arXiv:1704.00028, equation 3, for weight 1.
    """
    share = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device, dtype=real.dtype)
    between = torch.lerp(fake.to(real.dtype), real, share)  # autocast makes fakes of fewer bits
    logits, gradient = gradients(critic, between)
    return (gradient.view(len(logits), -1).norm(2, 1) - 1).square().mean()
