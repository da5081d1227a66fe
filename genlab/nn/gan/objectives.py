"""GAN objectives, as functions of the discriminator's logits."""

from abc import ABC, abstractmethod
from typing import Literal

from torch import Tensor
from torch.nn.functional import relu, softplus

__all__ = [
    "Hinge",
    "LeastSquares",
    "NonSaturating",
    "Objective",
    "ObjectiveName",
    "Relativistic",
    "Wasserstein",
    "make_objective",
]

ObjectiveName = Literal["non_saturating", "hinge", "least_squares", "wasserstein", "relativistic"]


class Objective(ABC):
    """A pair of losses; both are means over logits ``(B,)`` of real and generated images."""

    needs_real = False
    """True if the generator's loss depends on the logits of real images."""

    differences = False
    """True if only differences of logits count: what is added to all of them changes nothing."""

    @abstractmethod
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """The discriminator's loss."""

    @abstractmethod
    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """The generator's loss."""


class NonSaturating(Objective):
    """Non-saturating loss (Goodfellow et al. 2014, arXiv:1406.2661, section 3).

    ``-log s(D(x)) - log(1 - s(D(G(z))))`` and ``-log s(D(G(z)))``, s the logistic function.
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Cross-entropy of telling them apart."""
        return softplus(-real).mean() + softplus(fake).mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Cross-entropy of generated images with the label "real"."""
        return softplus(-fake).mean()


class Hinge(Objective):
    """Hinge loss: ``max(0, 1 - D(x)) + max(0, 1 + D(G(z)))`` and ``-D(G(z))`` (Lim and Ye 2017)."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Zero where all logits are beyond the margin."""
        return relu(1 - real).mean() + relu(1 + fake).mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Minus the mean logit."""
        return -fake.mean()


class LeastSquares(Objective):
    """Least-squares loss, the distance from 1 and 0, halved (Mao et al. 2017, equation 9)."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Distance from 1 and 0."""
        return ((real - 1).square().mean() + fake.square().mean()) / 2

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Distance from 1."""
        return (fake - 1).square().mean() / 2


class Wasserstein(Objective):
    """Wasserstein loss, of a bound critic: ``D(G(z)) - D(x)`` (Arjovsky et al. 2017)."""

    differences = True

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Minus the critic's estimate of the distance."""
        return fake.mean() - real.mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Minus the mean of the critic."""
        return -fake.mean()


class Relativistic(Objective):
    """Relativistic loss (Jolicoeur-Martineau 2018, arXiv:1807.00734, equations 6 and 7).

    ``-log s(D(x) - D(G(z)))`` and ``-log s(D(G(z)) - D(x))``, image by image.
    """

    needs_real = True
    differences = True

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Cross-entropy of telling which of two is real."""
        return softplus(fake - real).mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """The same with the roles exchanged."""
        assert real is not None
        return softplus(real - fake).mean()


def make_objective(name: ObjectiveName) -> Objective:
    """The objective of that name."""
    classes: dict[ObjectiveName, type[Objective]] = {
        "non_saturating": NonSaturating,
        "hinge": Hinge,
        "least_squares": LeastSquares,
        "wasserstein": Wasserstein,
        "relativistic": Relativistic,
    }
    return classes[name]()
