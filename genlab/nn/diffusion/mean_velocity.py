"""Mean velocity of a straight path from data to noise, and what it is learned from.

Geng et al. 2025, Mean Flows for One-step Generative Modeling (arXiv:2505.13447). On the path
``z_t = (1 - t) x + t e`` a point moves with the velocity v(z, t); its mean from time r to time t,
``u(z_t, r, t) = (z_t - z_r) / (t - r)``, takes it there in one step, whatever the distance.
"""

import functools
import warnings
from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import jvp
from torch.nn.attention import SDPBackend, sdpa_kernel

__all__ = ["MeanVelocity", "draw_times", "prepare", "with_target"]

MeanVelocity = Callable[[Tensor, Tensor, Tensor], Tensor]
"""``(z, r, t) -> u``: points ``(B, ...)``, times ``(B,)``, their mean velocity from r to t."""


@torch.compiler.disable  # forward differentiation stays outside of compiled graphs
def with_target(
    velocity: MeanVelocity, z: Tensor, v: Tensor, r: Tensor, t: Tensor
) -> tuple[Tensor, Tensor]:
    """The mean velocity, and what the MeanFlow identity (equation 6) says that it should be.

    ``u = v - (t - r) du/dt``, the derivative taken along the path: z moves with v, r stays. It is
    worked out by forward differentiation beside u, and no gradient goes through it.

    Args:
        velocity: The mean velocity.
        z: Points of the path at t, ``(B, ...)``.
        v: Their velocity, or one that has it as its mean, ``(B, ...)``.
        r: Earlier times, ``(B,)``.
        t: Times, ``(B,)``.

    Returns:
        u with its gradient, and the target without one, ``(B, ...)`` both.

    Example:
        >>> prepare()
        >>> exact = lambda z, r, t: (z - 3) / t[:, None]  # all data are 3
        >>> z, r, t = torch.tensor([[5.0]]), torch.tensor([0.1]), torch.tensor([0.5])
        >>> with_target(exact, z, (z - 3) / t, r, t)
        (tensor([[4.]]), tensor([[4.]]))
    """
    with sdpa_kernel(SDPBackend.MATH):  # the others have no forward derivative
        along = (v, torch.zeros_like(r), torch.ones_like(t))
        u, slope = jvp(velocity, (z, r, t), along)  # type: ignore[misc]
    span = (t - r).view(-1, *[1] * (z.dim() - 1))
    return u, (v - span * slope).detach()


@functools.cache
def prepare() -> None:
    """Makes torch load what forward differentiation needs; it warns of a deprecation of its own."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.script", category=FutureWarning)
        jvp(torch.exp, (torch.zeros(()),), (torch.ones(()),))


def draw_times(n: int, mean: float, std: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Pairs of times ``r <= t``, logistic-normal, ``(n,)`` each (the paper's table 1d)."""
    times = torch.sigmoid(mean + std * torch.randn(2, n, device=device))
    return times.amin(0), times.amax(0)
