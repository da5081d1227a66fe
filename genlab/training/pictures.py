"""Sample grids and reconstructions along the way, of the same latents and images each time."""

import pytorch_lightning as pl

from genlab.data.module import ImageDataModule
from genlab.modalities.images.grid import Pixels, grid
from genlab.models.base import GenerativeModel
from genlab.ranges import PositiveInt
from genlab.rng import isolated
from genlab.tasks.drawing import conditions_for, draw_images, pairs
from genlab.training.generative_module import GenerativeModule
from genlab.training.loggers.setup import log_image
from genlab.training.periodic import PeriodicCallback
from genlab.types import Batch

__all__ = ["Pictures"]


class Pictures(PeriodicCallback):
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
            y = conditions_for(model, self.n, data.val.y if model.conditional else None)
            pictures = {"samples": grid(draw_images(model, self.n, seed=seed, y=y))}
            if model.can("reconstruct"):
                pictures["reconstructions"] = pairs(model, Batch(*data.val.take(slice(32))))
        return pictures
