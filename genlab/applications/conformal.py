"""Conformal p-values: how odd a score is among those of normal examples, without assumptions."""

import math

import torch
from torch import Tensor

from genlab.errors import ConfigError

__all__ = ["check_alpha", "p_values"]


def p_values(normal: Tensor, scores: Tensor) -> Tensor:
    """Conformal p-values, ``(1 + #{normal >= score}) / (n + 1)`` (Vovk et al. 2005; Bates 2023).

    A normal example that was not used for anything has a p-value of at most alpha with a
    probability of at most alpha, whatever the score is.

    Args:
        normal: Scores of n normal examples that the score was not fitted to, ``(n,)``.
        scores: Scores of the examples in question, ``(m,)``, higher where they are odder.

    Returns:
        float64 ``(m,)``, from ``1 / (n + 1)`` to 1.

    Example:
        >>> p_values(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.5, 9.0, 0.0])).tolist()
        [0.5, 0.25, 1.0]
    """
    ordered = normal.double().sort().values
    at_least = len(ordered) - torch.searchsorted(ordered, scores.double())
    return (1 + at_least.double()) / (len(ordered) + 1)


def check_alpha(alpha: float, n: int) -> None:
    """Refuses a level that n normal examples cannot reach.

    Raises:
        ConfigError: Too few examples.

    Example:
        >>> check_alpha(0.05, 19)
        >>> check_alpha(0.05, 18)
        Traceback (most recent call last):
        genlab.errors.ConfigError: alpha=0.05: needs 19 normal images to compare with, there are 18
    """
    needed = math.ceil(round(1 / alpha - 1, 9))
    if n < needed:
        raise ConfigError(
            f"alpha={alpha:g}: needs {needed} normal images to compare with, there are {n}"
        )
