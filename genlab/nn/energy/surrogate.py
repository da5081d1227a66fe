"""A value with a gradient of one's own: what a family returns whose update no loss has."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["with_gradient"]


class WithGradient(torch.autograd.Function):
    """Passes a value on, and hands each parameter the gradient it was given."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, n: int, *tensors: Tensor) -> Tensor:
        ctx.save_for_backward(*tensors[n:])
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> Any:
        gradients = ctx.saved_tensors
        return (None, None, *(g * grad[0] for g in gradients), *(None for _ in gradients))


def with_gradient(value: Tensor, module: nn.Module, gradients: Mapping[str, Tensor]) -> Tensor:
    """The value, whose gradients by a module's parameters are those given.

    Args:
        value: A scalar.
        module: The module.
        gradients: Of its parameters, by name.

    Example:
        >>> layer = nn.Linear(1, 1)
        >>> given = {"weight": torch.tensor([[3.0]]), "bias": torch.tensor([4.0])}
        >>> loss = with_gradient(torch.tensor(7.0), layer, given)
        >>> (2 * loss).backward()
        >>> loss.item(), layer.weight.grad.item(), layer.bias.grad.item()
        (7.0, 6.0, 8.0)
    """
    named = dict(module.named_parameters())
    parameters = [named[name] for name in gradients]
    found: Tensor = WithGradient.apply(value, len(parameters), *parameters, *gradients.values())
    return found
