"""Priors of latent codes that are mixtures of normals."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from genlab.nn.latents.distributions import Mixture, fit_mixture

__all__ = ["FittedPrior", "LearnedPrior", "PriorName", "VampPrior", "make_prior"]

PriorName = Literal["normal", "mixture", "vamp", "fitted"]
Posterior = Callable[[Tensor, Tensor | None], tuple[Tensor, Tensor]]


class LearnedPrior(nn.Module):
    """Mixture of normals trained with the model, from M random means of unit variance."""

    def __init__(self, components: int, latent: int):
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(components))
        self.mean = nn.Parameter(torch.randn(components, latent))
        self.log_std = nn.Parameter(torch.zeros(components, latent))

    def forward(self, posterior: Posterior) -> Mixture:
        """The mixture; the posterior is not looked at."""
        return Mixture(self.logits.log_softmax(0), self.mean, self.log_std)

    @torch.no_grad()
    def fit(self, z: Tensor) -> None:
        """Fits the mixture to codes ``(N, D)`` of a finished model.

        What gradients left far from the codes is moved to them: for a given posterior, the mixture
        nearest to its codes has the best bound (Tomczak and Welling 2018, section 2).
        """
        mixture = fit_to(z, len(self.mean))
        for parameter, value in zip((self.logits, self.mean, self.log_std), mixture, strict=True):
            parameter.copy_(value)


class VampPrior(nn.Module):
    """VampPrior: the posteriors of M learned images (Tomczak and Welling 2018).

    Args:
        components: Number M of pseudo-inputs, weighted alike.
        shape: ``(C, H, W)`` of the images.
        context: Length of a conditional model's context vector, learned along with the images.
    """

    def __init__(self, components: int, shape: tuple[int, int, int], context: int = 0):
        super().__init__()
        self.logits = nn.Parameter(torch.randn(components, *shape))
        self.context = nn.Parameter(torch.randn(components, context)) if context else None

    def forward(self, posterior: Posterior) -> Mixture:
        """The mixture of the pseudo-inputs' posteriors."""
        images = self.logits.sigmoid()  # on the scale of the encoder's images, [0, 1]
        mean, log_std = posterior(images, self.context)
        weights = mean.new_ones(len(mean)).log_softmax(0)
        return Mixture(weights, mean, log_std)


class FittedPrior(nn.Module):
    """Mixture fitted to the codes of the training images after training.

    Its state is kept in buffers. Before the fit all components are the standard normal.
    """

    log_weights: Tensor
    mean: Tensor
    log_std: Tensor

    def __init__(self, components: int, latent: int):
        super().__init__()
        self.register_buffer("log_weights", torch.zeros(components).log_softmax(0))
        self.register_buffer("mean", torch.zeros(components, latent))
        self.register_buffer("log_std", torch.zeros(components, latent))

    def forward(self, posterior: Posterior) -> Mixture:
        """The mixture; the posterior is not looked at."""
        return Mixture(self.log_weights, self.mean, self.log_std)

    def fit(self, z: Tensor) -> None:
        """Fits the mixture to codes ``(N, D)``; the same codes give the same mixture."""
        for buffer, value in zip(self.buffers(), fit_to(z, len(self.mean)), strict=True):
            buffer.copy_(value)


def fit_to(z: Tensor, components: int) -> Mixture:
    """A mixture fitted to codes; the same codes give the same mixture."""
    return fit_mixture(z, components, generator=torch.Generator(z.device).manual_seed(0))


def make_prior(
    name: PriorName, components: int, latent: int, shape: tuple[int, int, int], context: int = 0
) -> nn.Module | None:
    """Builds the named prior; None is the standard normal.

    Args:
        name: ``normal``, ``mixture`` (learned), ``vamp`` or ``fitted``.
        components: Number of components of any but ``normal``.
        latent: Length of a code.
        shape: ``(C, H, W)`` of the images.
        context: Length of a conditional model's context vector.
    """
    if name == "mixture":
        return LearnedPrior(components, latent)
    if name == "vamp":
        return VampPrior(components, shape, context)
    return FittedPrior(components, latent) if name == "fitted" else None
