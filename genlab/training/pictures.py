"""Pictures along the way: samples and reconstructions, of the same latents and images each time."""

from typing import Protocol, runtime_checkable

import pytorch_lightning as pl
import torch
from torch import Tensor

from genlab.data.module import ImageDataModule
from genlab.modalities.base import Modality
from genlab.modalities.by_spec import modality_of
from genlab.modalities.rendering import Rendering
from genlab.models.base import GenerativeModel
from genlab.ranges import PositiveInt
from genlab.rng import isolated, stream
from genlab.tasks.drawing import conditions_for, draw_samples, pairs
from genlab.training.generative_module import GenerativeModule
from genlab.training.loggers.setup import log_rendering
from genlab.training.periodic import PeriodicCallback
from genlab.training.run_context import context_of
from genlab.types import Batch

__all__ = ["HasReceptiveFields", "Pictures"]

FIELDS = 100
"""Hidden units whose receptive fields are shown."""

RECONSTRUCTIONS = 32
"""Images beside their reconstructions; of the validation split, where there is one."""


@runtime_checkable
class HasReceptiveFields(Protocol):
    """A model whose hidden units each look at the image with weights of their own."""

    def receptive_fields(self) -> Tensor:
        """Weights of each hidden unit ``(units, C, H, W)``."""


class Pictures(PeriodicCallback):
    """Logs samples, examples beside their reconstructions, and the receptive fields of hidden
    units, where there are any.

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
        modality = context_of(trainer).modality or modality_of(data.spec)
        for kind, shown in self.draw(module.eval_model, data, modality, module.seed).items():
            log_rendering(trainer.loggers, kind, shown, module.images_seen)

    def draw(
        self, model: GenerativeModel, data: ImageDataModule, modality: Modality, seed: int
    ) -> dict[str, Rendering]:
        """The renderings of a model, by their kind."""
        real = data.val if len(data.val.x) else data.train
        with isolated(seed, "pictures"):
            y = conditions_for(model, self.n, real.y if model.conditional else None)
            x = draw_samples(model, modality, self.n, seed=seed, y=y)
            shown = {"samples": modality.render(x)}
            if model.can("reconstruct"):
                order = torch.randperm(len(real.x), generator=stream(seed, "reconstructions"))
                chosen = order[:RECONSTRUCTIONS].sort().values
                shown["reconstructions"] = pairs(model, modality, Batch(*real.take(chosen)))
        if isinstance(model, HasReceptiveFields):
            shown["filters"] = modality.render(as_pixels(model.receptive_fields()[:FIELDS].cpu()))
        return shown


def as_pixels(fields: Tensor) -> Tensor:
    """Weights as uint8 pictures, each on a scale of its own; weights of 0 are grey.

    Example:
        >>> as_pixels(torch.tensor([[-2.0, 0.0, 1.0]]))
        tensor([[  0, 128, 191]], dtype=torch.uint8)
    """
    most = fields.flatten(1).abs().amax(1).clamp_min(1e-12)
    scaled = fields / most.view(-1, *[1] * (fields.dim() - 1))
    return ((scaled + 1) * 127.5).round().to(torch.uint8)
