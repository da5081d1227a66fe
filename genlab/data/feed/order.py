"""Shuffled order of the training images, a pure function of the seed and the images seen."""

import torch
from torch import Tensor

from genlab.data.curriculum import Curriculum
from genlab.errors import ConfigError
from genlab.rng import stream

__all__ = ["ShuffledOrder"]


class ShuffledOrder:
    """Endless batches of indices, shuffled anew in each epoch.

    An epoch is as many whole batches as the images make; the few that are left over differ from
    epoch to epoch. A curriculum divides the sequence into stages, each with epochs of its own.

    Args:
        n: Number of images.
        batch_size: Images in a batch.
        seed: Key of the order.
        curriculum: Decides which images take part when.
        y: The labels, for the curriculum.

    Raises:
        ConfigError: There are fewer images than one batch takes.
    """

    def __init__(
        self,
        n: int,
        batch_size: int,
        seed: int,
        curriculum: Curriculum | None = None,
        y: Tensor | None = None,
    ):
        self.n = n
        self.batch_size = batch_size
        self.seed = seed
        self.curriculum = curriculum or Curriculum()
        self.y = None if y is None else y.cpu()
        self._stages: dict[int, Tensor | None] = {}
        self._shuffled: tuple[tuple[int, int], Tensor] | None = None
        self.curriculum.bind(self.y)
        self.images_per_epoch = self._whole(n, "")
        self._run(0, 1)  # so that a first stage of too few images is refused now

    def indices(self, position: int, batches: int) -> Tensor:
        """The images of consecutive batches, int64 of shape ``(batches * batch_size,)``.

        Args:
            position: Images seen before the first, a multiple of the batch size.
            batches: How many batches.
        """
        parts = []
        while batches:
            part = self._run(position, batches)
            parts.append(part)
            position += len(part)
            batches -= len(part) // self.batch_size
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _run(self, position: int, batches: int) -> Tensor:
        """As many of the batches as lie in one epoch of one stage, at least one."""
        stage = self.curriculum.stage(position)
        # The batch in which a stage is reached is still one of the stage before.
        start = self._aligned(self.curriculum.start(stage))
        candidates = self._candidates(stage)
        n = self.n if candidates is None else len(candidates)
        size = self._whole(n, f" in stage {stage} of the curriculum")
        epoch, offset = divmod(position - start, size)
        end = min(offset + batches * self.batch_size, size)
        if self.curriculum.stage(position + end - offset) != stage:
            # A stage may end within the run: continue batch by batch, as it is looked up above.
            end = offset + self.batch_size
        shuffled = self._permutation(n, stage, epoch)[offset:end]
        return shuffled if candidates is None else candidates[shuffled]

    def _permutation(self, n: int, stage: int, epoch: int) -> Tensor:
        if self._shuffled is None or self._shuffled[0] != (stage, epoch):
            generator = stream(self.seed, "order", stage, epoch)
            self._shuffled = ((stage, epoch), torch.randperm(n, generator=generator))
        return self._shuffled[1]

    def _candidates(self, stage: int) -> Tensor | None:
        if stage not in self._stages:
            self._stages[stage] = self.curriculum.candidates(stage, self.y)
        return self._stages[stage]

    def _aligned(self, images: int) -> int:
        """Rounded up to whole batches."""
        return -(-images // self.batch_size) * self.batch_size

    def _whole(self, n: int, where: str) -> int:
        """Rounded down to whole batches."""
        if n < self.batch_size:
            raise ConfigError(
                f"data.batch_size={self.batch_size}: there are only {n} training images{where}; "
                "take a smaller batch, or more images (data.limit, data.val_size)"
            )
        return n // self.batch_size * self.batch_size
