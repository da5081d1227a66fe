"""Samples and reconstructions of a model, drawn in batches from a stream of their own."""

import torch
from torch import Tensor

from genlab.errors import Unsupported
from genlab.modalities.images.grid import Pixels, compare
from genlab.modalities.images.levels import to_bytes
from genlab.models.base import GenerativeModel
from genlab.rng import stream
from genlab.system.progress import Advance
from genlab.types import Batch, OnProgress, SamplingOptions

__all__ = ["conditions_for", "draw_images", "follow", "pairs"]


@torch.no_grad()
def draw_images(
    model: GenerativeModel,
    n: int,
    *,
    seed: int,
    y: Tensor | None = None,
    options: SamplingOptions | None = None,
    purpose: str = "samples",
    batch: int = 500,
    on_progress: OnProgress | None = None,
) -> Tensor:
    """Draws images in batches, from a random stream of their own.

    A model that is conditioned on labels, and given none, draws the classes in turn.

    Args:
        model: What to draw from.
        n: How many images.
        seed: Key of the stream.
        y: Conditions, such as labels ``(n,)``.
        options: See `GenerativeModel.sample`.
        purpose: Name of the stream.
        batch: Images at a time.
        on_progress: Told of the steps of a family that draws in steps, of each batch of any other.

    Returns:
        uint8 of shape ``(n, C, H, W)``, from 0 to 255 whatever the model's levels, on the CPU.
    """
    conditions = conditions_for(model, n) if y is None else y
    generator = stream(seed, purpose, device=model.device)
    drawn = []
    for start in range(0, n, batch):
        size = min(batch, n - start)
        part = conditions[start : start + size] if conditions is not None else None

        def report(done: int, total: int, x: Tensor, start: int = start, size: int = size) -> None:
            if on_progress is not None:
                on_progress(start * total + done * size, n * total, x)

        images = model.sample(size, part, generator=generator, options=options, on_progress=report)
        if not model.draws_in_steps:
            report(1, 1, images)
        drawn.append(to_bytes(images, model.spec.levels).cpu())
    return torch.cat(drawn)


def conditions_for(
    model: GenerativeModel, n: int, given: Tensor | None = None, start: int = 0
) -> Tensor | None:
    """What a conditional model is given to draw n samples; None for any other.

    Args:
        model: The model.
        n: How many.
        given: Conditions of the data, which are taken in turn where they are no labels.
        start: Samples that were drawn before: the turn goes on from there.

    Raises:
        Unsupported: The conditions are no labels, and none were given.
    """
    if model.condition is None:
        return None
    turn = torch.arange(start, start + n)
    if model.num_classes:
        return turn % model.num_classes
    if given is None:
        name, kind = type(model).__name__, model.condition.kind()
        raise Unsupported(f"{name} draws given {kind}s of the data, and here are none")
    return given[turn % len(given)]


def follow(advance: Advance, n: int) -> OnProgress:
    """Advances a bar of n images by the share of them that is reported as done."""
    shown = 0

    def on_progress(done: int, total: int, x: Tensor) -> None:
        nonlocal shown
        before, shown = shown, done * n // total
        advance(shown - before)

    return on_progress


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
