"""Fully connected encoder and decoder."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["MLP", "MLPDecoder", "MLPEncoder"]

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "silu": nn.SiLU}


class MLP(nn.Sequential):
    """Multilayer perceptron, without an activation after the last layer.

    Args:
        widths: Sizes of the input, of each hidden layer and of the output.
        activation: ``relu``, ``tanh`` or ``silu``.
        dropout: Probability with which a hidden unit is dropped.
    """

    def __init__(self, widths: Sequence[int], activation: str = "relu", dropout: float = 0.0):
        layers: list[nn.Module] = []
        for n_in, n_out in itertools.pairwise(widths):
            layers += [nn.Linear(n_in, n_out), ACTIVATIONS[activation]()]
            layers += [nn.Dropout(dropout)] if dropout else []
        super().__init__(*layers[: len(layers) - (2 if dropout else 1)])


class MLPEncoder(nn.Module):
    """Fully connected encoder of images on [0, 1] and context ``(B, E)`` to ``(B, out)``."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        out: int,
        *,
        hidden: Sequence[int],
        context: int = 0,
        activation: str = "relu",
        dropout: float = 0.0,
    ):
        super().__init__()
        size = shape[0] * shape[1] * shape[2]
        self.net = MLP([size + context, *hidden, out], activation, dropout)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Features of the images."""
        x = x.flatten(1)
        return self.net(x if context is None else torch.cat([x, context], 1))


class MLPDecoder(nn.Module):
    """Fully connected decoder of codes ``(B, n)``, context and all, to ``(B, *shape)``."""

    def __init__(
        self,
        n: int,
        shape: tuple[int, int, int],
        *,
        hidden: Sequence[int],
        activation: str = "relu",
        dropout: float = 0.0,
    ):
        super().__init__()
        self.shape = shape
        size = shape[0] * shape[1] * shape[2]
        self.net = MLP([n, *hidden, size], activation, dropout)

    def forward(self, z: Tensor) -> Tensor:
        """Images of the codes."""
        return self.net(z).unflatten(1, self.shape)
