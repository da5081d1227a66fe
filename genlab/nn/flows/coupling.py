"""Coupling layers."""

import torch
from torch import Tensor, nn

from genlab.errors import ConfigError
from genlab.nn.flows.elementwise import Elementwise
from genlab.nn.flows.invertible import Invertible

__all__ = ["Conditioned", "Coupling", "split_sizes"]


def split_sizes(n: int) -> tuple[int, int]:
    """Sizes of the two halves of n channels, of which the first takes the odd one.

    Raises:
        ConfigError: There is only one.

    Example:
        >>> split_sizes(4), split_sizes(3)
        ((2, 2), (2, 1))
    """
    if n < 2:
        raise ConfigError(
            f"model.coupling: {n} number cannot be split into two halves; a flow needs at least 2"
        )
    return (n + 1) // 2, n // 2


class Coupling(Invertible):
    """Coupling ``z = [a, f(b; network(a))]`` of the halves a, b of the channels (Dinh et al. 2017).

    Channels are slices of dimension 1, so nothing is gathered or masked; what makes them the two
    colours of a checkerboard is `genlab.nn.flows.squeeze.Squeeze`.

    Args:
        channels: Size of dimension 1.
        network: From one half (and the context) to the parameters ``(B, P C', ...)`` of the other.
        function: What is done to each number of the other half.
        swap: The second half decides and the first one changes.
    """

    def __init__(
        self, channels: int, network: nn.Module, function: Elementwise, swap: bool = False
    ):
        super().__init__()
        self.sizes = split_sizes(channels)
        self.network, self.function, self.swap = network, function, swap

    @staticmethod
    def counts(channels: int, swap: bool = False) -> tuple[int, int]:
        """Numbers of channels that decide, and that change."""
        first, second = split_sizes(channels)
        return (second, first) if swap else (first, second)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `Invertible.forward`."""
        given, changing = self._parts(x)
        changed, log_det = self.function.forward(changing, self._params(given, context))
        return self._whole(given, changed), log_det

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """As `Invertible.inverse`."""
        given, changed = self._parts(z)
        return self._whole(given, self.function.inverse(changed, self._params(given, context)))

    def inverse_(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """As `Invertible.inverse_`: the half that changed is put where it was."""
        given, changed = self._parts(z)
        self.function.inverse_(changed, self._params(given, context))
        return z

    def _params(self, given: Tensor, context: Tensor | None) -> Tensor:
        return self.network(given, context).unflatten(1, (self.function.size, -1))

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first, second = x.split(self.sizes, 1)
        return (second, first) if self.swap else (first, second)

    def _whole(self, given: Tensor, changed: Tensor) -> Tensor:
        return torch.cat([changed, given] if self.swap else [given, changed], 1)


class Conditioned(Invertible):
    """Conditional map ``z = f(x; network(context))``: the context alone decides how x changes.

    Args:
        network: From the context to the parameters ``(B, P C, ...)``.
        function: What is done to each number.
    """

    def __init__(self, network: nn.Module, function: Elementwise):
        super().__init__()
        self.network, self.function = network, function

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `Invertible.forward`."""
        return self.function.forward(x, self._params(context))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """As `Invertible.inverse`."""
        return self.function.inverse(z, self._params(context))

    def _params(self, context: Tensor | None) -> Tensor:
        return self.network(context).unflatten(1, (self.function.size, -1))
