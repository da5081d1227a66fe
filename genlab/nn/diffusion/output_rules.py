"""Output rules: what a network's output says of the clean example, the denoiser D(z) = E[x | z].

All rules stand in one frame: ``z = x + r eps``, with r the ratio of noise to signal. A path
``alpha x + sigma eps`` is z times alpha at ``r = sigma / alpha``, so that the variance-preserving
path (alpha^2 + sigma^2 = 1), the straight one (alpha + sigma = 1) and the exploding one (alpha = 1)
differ in what their network is given and asked for, and in nothing else.
"""

from abc import ABC, abstractmethod
from typing import Literal

from torch import Tensor

__all__ = ["RULES", "BernoulliRule", "EDMRule", "FlowRule", "NoiseRule", "OutputRule", "RuleName"]

RuleName = Literal["edm", "flow", "noise", "bernoulli"]


class OutputRule(ABC):
    """The scale of a network's input, and the denoised example from its output.

    All arguments broadcast; r is ``(B, 1, ...)``, the spread s of the data a tensor of one number.
    """

    @abstractmethod
    def input_scale(self, r: Tensor, s: Tensor) -> Tensor:
        """Factor of z before the network sees it."""

    @abstractmethod
    def denoised(self, output: Tensor, z: Tensor, r: Tensor, s: Tensor) -> Tensor:
        """D(z), of z's shape."""

    @abstractmethod
    def weight(self, r: Tensor, s: Tensor) -> Tensor:
        """The weight of ``|D - x|^2`` that makes it the squared error of the network's output."""


class EDMRule(OutputRule):
    """Preconditioning of unit variance at every level (Karras et al. 2022, table 1).

    ``D = s^2 / (r^2 + s^2) z + r s / sqrt(r^2 + s^2) F``.
    """

    def input_scale(self, r: Tensor, s: Tensor) -> Tensor:
        return (r.square() + s.square()).rsqrt()

    def denoised(self, output: Tensor, z: Tensor, r: Tensor, s: Tensor) -> Tensor:
        total = r.square() + s.square()
        return s.square() / total * z + r * s * total.rsqrt() * output

    def weight(self, r: Tensor, s: Tensor) -> Tensor:
        return (r.square() + s.square()) / (r * s).square()


class FlowRule(OutputRule):
    """Velocity ``eps - x`` of the straight path ``(1 - t) x + t eps``, ``t = r / (1 + r)``.

    Lipman et al. 2023 (arXiv:2210.02747), Liu et al. 2023 (arXiv:2209.03003): ``D = z_t - t F``.
    """

    def input_scale(self, r: Tensor, s: Tensor) -> Tensor:
        return 1 / (1 + r)

    def denoised(self, output: Tensor, z: Tensor, r: Tensor, s: Tensor) -> Tensor:
        return (z - r * output) / (1 + r)

    def weight(self, r: Tensor, s: Tensor) -> Tensor:
        return ((1 + r) / r).square()


class NoiseRule(OutputRule):
    """The noise eps of the variance-preserving path (Ho et al. 2020): ``D = z - r F``.

    An error of the network is r times larger in D: with few steps it is the worst of the rules.
    """

    def input_scale(self, r: Tensor, s: Tensor) -> Tensor:
        return (1 + r.square()).rsqrt()

    def denoised(self, output: Tensor, z: Tensor, r: Tensor, s: Tensor) -> Tensor:
        return z - r * output

    def weight(self, r: Tensor, s: Tensor) -> Tensor:
        return r.square().reciprocal()


class BernoulliRule(OutputRule):
    """Binary data, -1 and 1: ``D = tanh(l + z / r^2)``, exact for independent entries.

    An entry that is 1 with log-odds 2 l has that posterior mean; what the noise says of an entry
    is not learned, the network adds what the other entries say. An output of 0 gives each entry
    one bit.
    """

    def input_scale(self, r: Tensor, s: Tensor) -> Tensor:
        return (1 + r.square()).rsqrt()

    def denoised(self, output: Tensor, z: Tensor, r: Tensor, s: Tensor) -> Tensor:
        return (output + z / r.square()).tanh()

    def weight(self, r: Tensor, s: Tensor) -> Tensor:
        return (1 + r.square()) / r.square()


RULES: dict[str, OutputRule] = {
    "edm": EDMRule(), "flow": FlowRule(), "noise": NoiseRule(), "bernoulli": BernoulliRule(),
}  # fmt: skip
