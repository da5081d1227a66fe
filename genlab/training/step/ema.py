"""The exponential moving average of a model's weights, by one fused pass over all of them."""

import copy
from typing import Any

import torch
from torch import Tensor

from genlab.models.base import GenerativeModel
from genlab.ranges import PositiveFloat, PositiveInt, Probability

__all__ = ["EMA"]


class EMA:
    """A second copy of a model whose weights follow the first one's as a moving average.

    The decay is given as a half-life in images, so that it means the same at any batch size, and
    ramps up, so that a short run is not averaged with its initialization (Karras et al. 2022,
    EDM: ``ema_halflife_kimg`` and ``ema_rampup_ratio``). Buffers and integer tensors are copied.

    Not a module, on purpose: the copy is no parameter of what is trained.

    Args:
        model: The model to follow.
        halflife: Images seen after which a weight counts half.
        rampup: The half-life is at most this share of the images seen so far; None: no such bound.
        every: Steps between two updates: one reads and writes as much memory as half of Adam's
            step, and the half-life is far longer than a few steps. The first so many steps are all
            followed.
    """

    def __init__(
        self,
        model: GenerativeModel,
        halflife: PositiveFloat,
        rampup: Probability | None = 0.05,
        every: PositiveInt = 1,
    ):
        self.halflife = halflife
        self.rampup = rampup
        self.every = every
        # Frozen models of other runs never change: both copies share them.
        inner = [m for m in model.modules() if m is not model and isinstance(m, GenerativeModel)]
        shared = {id(m): m for m in inner if not any(p.requires_grad for p in m.parameters())}
        self.model = copy.deepcopy(model, shared).eval().requires_grad_(False)
        self.pairs(model)

    def pairs(self, model: GenerativeModel) -> None:
        """Finds the tensors of both models, once: walking the modules at each step is slow."""
        followed = dict(model.named_parameters())
        self.average: list[Tensor] = []
        self.source: list[Tensor] = []
        self.copies: list[tuple[Tensor, Tensor]] = []
        for name, mine in self.model.named_parameters():
            if mine is followed[name]:
                continue
            if mine.is_floating_point():
                self.average.append(mine.data)
                self.source.append(followed[name].data)
            else:
                self.copies.append((mine.data, followed[name].data))
        buffers = dict(model.named_buffers())
        own = self.model.named_buffers()
        self.copies += [(mine, buffers[n]) for n, mine in own if mine is not buffers[n]]

    def decay(self, batch: int, images_seen: int) -> float:
        """The weight of the old average in a step of n images."""
        halflife = self.halflife
        if self.rampup is not None:
            halflife = min(halflife, images_seen * self.rampup)
        return 0.5 ** (batch / max(halflife, 1e-8))

    def follow(self, batch: int, images_seen: int, steps: int) -> None:
        """Follows the model's step number `steps`, if it is due."""
        if steps <= self.every:
            self.update(batch, images_seen)
        elif steps % self.every == 0:
            self.update(batch * self.every, images_seen)

    @torch.no_grad()
    def update(self, batch: int, images_seen: int) -> None:
        """Follows the model by n images."""
        torch._foreach_lerp_(self.average, self.source, 1 - self.decay(batch, images_seen))
        for mine, theirs in self.copies:
            if mine.shape != theirs.shape:  # a table as long as what was counted
                mine.resize_(theirs.shape)
            mine.copy_(theirs)
        self.model.begin_step(images_seen, self.model.step)

    def to(self, device: torch.device, model: GenerativeModel) -> None:
        """Moves the average to where the model is."""
        self.model.to(device)
        self.pairs(model)

    def state_dict(self) -> dict[str, Any]:
        """The average's own weights."""
        return self.model.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up an average that was kept."""
        self.model.load_state_dict(state)
