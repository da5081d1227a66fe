"""Ranking of odd examples before normal ones: area under the ROC curve, and false alarms."""

import math

import torch
from torch import Tensor

__all__ = ["auroc", "false_alarms"]


def auroc(normal: Tensor, odd: Tensor) -> float:
    """Area under the ROC curve: the probability that an odd example has the higher score.

    Ties count half (Mann and Whitney 1947).

    Args:
        normal: Scores of normal examples, ``(n,)``.
        odd: Scores of odd ones, ``(m,)``, which are to be higher.

    Returns:
        0 to 1; 0.5 tells nothing.

    Example:
        >>> auroc(torch.tensor([1.0, 2.0]), torch.tensor([2.0, 3.0]))
        0.875
    """
    ordered = normal.double().sort().values
    odd = odd.double()
    below = torch.searchsorted(ordered, odd)
    up_to = torch.searchsorted(ordered, odd, right=True)
    return float((below + up_to).double().mean() / (2 * len(ordered)))


def false_alarms(normal: Tensor, odd: Tensor, caught: float = 0.95) -> float:
    """Share of normal examples that are flagged where a share of the odd ones is caught.

    Args:
        normal: Scores of normal examples, ``(n,)``.
        odd: Scores of odd ones, ``(m,)``.
        caught: Share of odd ones that reach the threshold, at least.

    Example:
        >>> false_alarms(torch.tensor([0.0, 1, 2, 3]), torch.tensor([2.5, 5, 6]), 1.0)
        0.25
    """
    ordered = odd.double().sort(descending=True).values
    threshold = ordered[max(1, math.ceil(caught * len(ordered))) - 1]
    return float((normal.double() >= threshold).double().mean())
