"""The networks that a denoiser can have, by name."""

from typing import Literal

from torch import nn

from genlab.nn.diffusion.denoising_mlp import DenoisingMLP
from genlab.nn.diffusion.dit import DiT
from genlab.nn.diffusion.unet import UNet

__all__ = ["DenoiserName", "make_denoiser"]

DenoiserName = Literal["auto", "unet", "mlp", "dit"]

SMALL = 8
"""Pixels of a side below which ``auto`` takes the image as a vector."""


def make_denoiser(
    name: DenoiserName,
    shape: tuple[int, int, int],
    *,
    width: int,
    depth: int,
    patch: int,
    scales: int,
    dropout: float = 0.0,
    context: int = 0,
    outputs: int | None = None,
) -> nn.Module:
    """A network ``(x, level, context) -> output``; the output is 0 at first.

    Args:
        name: ``unet``, ``mlp`` or ``dit``; ``auto`` is unet, and mlp for images of a side below 8.
        shape: Of an image ``(C, H, W)``.
        width: Channels at the largest size (unet), units (mlp), length of a patch's vector (dit).
        depth: Residual blocks, of a size and way (unet) or in all.
        patch: Side of the squares of pixels that become channels (unet) or patches (dit).
        scales: Sizes (unet).
        dropout: Probability of dropout in a block.
        context: Length of a condition's vector.
        outputs: Channels of the output; C if None.
    """
    if name == "auto":
        name = "mlp" if min(shape[1:]) < SMALL else "unet"
    shared = {"width": width, "depth": depth, "dropout": dropout, "context": context}
    if name == "mlp":
        return DenoisingMLP(shape, outputs=outputs, **shared)  # type: ignore[arg-type]
    if name == "dit":
        return DiT(*shape, outputs=outputs, patch=patch, **shared)  # type: ignore[arg-type]
    return UNet(*shape, outputs=outputs, patch=patch, scales=scales, **shared)  # type: ignore[arg-type]
