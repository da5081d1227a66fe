"""Conditions of a model p(x | y): the check of y, and the embedding of labels."""

import torch
from torch import Tensor, nn

from genlab.errors import ConfigError
from genlab.types import LabelSpec, Spec

__all__ = ["LabelEmbedding", "NoCondition", "check_condition", "condition_embedding"]


def check_condition(y: Tensor | None, condition: Spec | None, n: int) -> Tensor | None:
    """The conditions of n examples, as they are but for labels, which become int64.

    Args:
        y: Labels ``(n,)``, or what else the condition describes, ``(n, *condition.shape)``.
        condition: What is needed, None for nothing.
        n: How many.

    Raises:
        ConfigError: They are missing or superfluous, or not what is needed.

    Example:
        >>> check_condition(torch.tensor([2, 0]), LabelSpec(3), 2)
        tensor([2, 0])
        >>> check_condition(None, LabelSpec(3), 2)
        Traceback (most recent call last):
        genlab.errors.ConfigError: the model is conditional: give 2 labels from 0 to 2
    """
    if condition is None:
        if y is not None:
            raise ConfigError("y was given, but the model is not conditional")
        return None
    # Labels
    if isinstance(condition, LabelSpec):
        last = condition.num_classes - 1
        if y is None or y.shape != (n,) or y.min() < 0 or y.max() > last:
            raise ConfigError(f"the model is conditional: give {n} labels from 0 to {last}")
        return y.to(torch.int64)
    # Any other condition
    wanted = (n, *condition.shape)
    if y is None or y.shape != wanted or y.dtype != condition.dtype:
        raise ConfigError(
            f"the model is conditional: give {condition.kind()}s, {condition.dtype} of shape "
            f"{wanted}"
        )
    return y


class LabelEmbedding(nn.Embedding):
    """A learned vector for each class.

    Args:
        num_classes: Number of labels.
        size: Length of a vector.
    """

    def __init__(self, num_classes: int, size: int):
        super().__init__(num_classes, size)

    def forward(self, y: Tensor | None) -> Tensor:
        """Vectors ``(B, size)`` of labels ``(B,)``; their range is the data's matter.

        Raises:
            ConfigError: There are no labels.
        """
        if y is None:
            raise ConfigError(
                f"the model is conditional: give labels from 0 to {self.num_embeddings - 1}"
            )
        return super().forward(y)


class NoCondition(nn.Module):
    """The embedding of a model without a condition: whatever y is, there is no vector."""

    embedding_dim = 0

    def forward(self, y: Tensor | None) -> None:
        """None."""
        return


def condition_embedding(condition: Spec | None, size: int) -> LabelEmbedding | NoCondition:
    """The embedding of a model's condition; ``embedding_dim`` is the length of its vectors.

    Args:
        condition: Labels, or None.
        size: Length of the vectors where there are labels.
    """
    if condition is None:
        return NoCondition()
    assert isinstance(condition, LabelSpec)
    return LabelEmbedding(condition.num_classes, size)
