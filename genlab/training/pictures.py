"""Sample grids and reconstructions along the way, of the same latents and images each time."""

from collections.abc import Callable

import pytorch_lightning as pl
import torch
from torch import Tensor

from genlab.data.module import ImageDataModule
from genlab.data.transforms import to_bytes
from genlab.models.base import GenerativeModel
from genlab.ranges import PositiveInt
from genlab.rng import isolated, stream
from genlab.training.every import Every
from genlab.training.loggers import compare, grid, log_image
from genlab.training.loggers.images import Pixels
from genlab.training.module import GenerativeModule
from genlab.types import Batch

__all__ = ["Pictures", "draw_images", "labels_for", "pairs"]


class Pictures(Every):
    """Logs a grid of samples, and one of images above their reconstructions where there are any.

    Args:
        every: Images seen, or ``"N epochs"``, between two grids.
        n: Samples in a grid.
    """

    def __init__(self, every: int | str = "1 epoch", n: PositiveInt = 64):
        super().__init__(every)
        self.n = n

    def act(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        if not trainer.is_global_zero:
            return
        data = trainer.datamodule  # type: ignore[attr-defined]
        for kind, picture in self.draw(module.eval_model, data, module.seed).items():
            log_image(trainer.loggers, kind, picture, module.images_seen)

    def draw(self, model: GenerativeModel, data: ImageDataModule, seed: int) -> dict[str, Pixels]:
        """The pictures of a model, by their kind."""
        with isolated(seed, "pictures"):
            pictures = {"samples": grid(draw_images(model, self.n, seed=seed))}
            if model.can("reconstruct"):
                pictures["reconstructions"] = pairs(model, Batch(*data.val.take(slice(32))))
        return pictures


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
