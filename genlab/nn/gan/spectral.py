"""Spectral normalization of a whole network."""

from typing import TypeVar

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

__all__ = ["spectrally_normalized"]

M = TypeVar("M", bound=nn.Module)


def spectrally_normalized(module: M) -> M:
    """Divides each weight in the module by its largest singular value (Miyato et al. 2018).

    The value is followed by one power iteration per forward pass in training mode, from
    arXiv:1802.05957, algorithm 1; its vectors are buffers. A convolution's weight counts as the
    matrix ``(out, in * height * width)``, an embedding's as itself. Transposed convolutions are
    normalized over their own output channels.
    """
    for layer in list(module.modules()):
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding):
            spectral_norm(layer)
    return module
