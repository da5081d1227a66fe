"""Samples and reconstructions of a model, drawn in batches from a stream of their own."""

from collections.abc import Callable

import torch
from torch import Tensor

from genlab.modalities.images.grid import Pixels, compare
from genlab.modalities.images.levels import to_bytes
from genlab.models.base import GenerativeModel
from genlab.rng import stream
from genlab.types import Batch

__all__ = ["draw_images", "labels_for", "pairs"]


@torch.no_grad()
def draw_images(
    model: GenerativeModel,
    n: int,
    *,
    seed: int,
    y: Tensor | None = None,
    temperature: float = 1.0,
    purpose: str = "samples",
    batch: int = 500,
    progress: Callable[[int], None] | None = None,
) -> Tensor:
    """Draws images in batches, from a random stream of their own.

    A conditional model without labels draws the classes in turn.

    Args:
        model: What to draw from.
        n: How many images.
        seed: Key of the stream.
        y: Labels ``(n,)``.
        temperature: See `GenerativeModel.sample`.
        purpose: Name of the stream.
        batch: Images at a time.
        progress: Called with the number of images of each finished batch.

    Returns:
        uint8 of shape ``(n, C, H, W)``, from 0 to 255 whatever the model's levels, on the CPU.
    """
    labels = labels_for(model, n) if y is None else y
    generator = stream(seed, purpose, device=model.device)
    drawn = []
    for start in range(0, n, batch):
        size = min(batch, n - start)
        part = labels[start : start + size].to(model.device) if labels is not None else None
        images = model.sample(size, part, generator=generator, temperature=temperature)
        drawn.append(to_bytes(images, model.spec.levels).cpu())
        if progress is not None:
            progress(size)
    return torch.cat(drawn)


def labels_for(model: GenerativeModel, n: int) -> Tensor | None:
    """The classes in turn for a conditional model, None for any other."""
    return torch.arange(n) % model.num_classes if model.conditional else None


@torch.no_grad()
def pairs(model: GenerativeModel, batch: Batch) -> Pixels:
    """A picture of images, each above its reconstruction."""
    batch = Batch(
        batch.x.to(model.device),
        batch.y.to(model.device) if model.conditional and batch.y is not None else None,
    )
    with model.evaluating():
        again = model.reconstruct(batch)
    return compare(batch.x.cpu(), again.cpu(), levels=model.spec.levels)
