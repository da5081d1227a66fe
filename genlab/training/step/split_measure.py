"""Measures of a split: the likelihood of its images, or their loss, and the model's diagnostics."""

import torch
from pytorch_lightning.strategies import Strategy
from torch import Tensor

from genlab.metrics.likelihood import bits_per_dim
from genlab.models.base import GenerativeModel
from genlab.rng import isolated, stream
from genlab.types import Batch

__all__ = ["SplitMeans", "SplitMeasure"]


class SplitMeans:
    """Means by name over the images of a split, of which every process measures a share.

    Sums are in float64.
    """

    def __init__(self) -> None:
        self.sums: dict[str, list[Tensor]] = {}

    def add(self, name: str, values: Tensor) -> None:
        """Adds the values of some images ``(B,)``."""
        values = values.detach().double()
        self.sums.setdefault(name, []).append(
            torch.stack([values.sum(), values.new_tensor(float(len(values)))]).cpu()
        )

    def take(self, strategy: Strategy, prefix: str) -> dict[str, float]:
        """The means over all processes, by prefixed names; what was added is forgotten."""
        means = {}
        for name, sums in self.sums.items():
            here = torch.stack(sums).sum(0).to(strategy.root_device)
            total = strategy.reduce(here, reduce_op="sum")
            assert isinstance(total, Tensor)
            means[f"{prefix}{name}"] = float(total[0] / total[1])
        self.sums = {}
        return means


class SplitMeasure:
    """Sums a split's measures batch by batch, with random streams of its own.

    Args:
        seed: Key of the streams.
    """

    def __init__(self, seed: int):
        self.seed = seed
        self.means = SplitMeans()

    def add(self, model: GenerativeModel, batch: Batch, index: int, split: str) -> None:
        """Adds a batch: likelihood where there is one, else the loss; diagnostics of the first."""
        labels = batch if model.conditional else Batch(batch.x)
        with isolated(self.seed, split, index), model.evaluating():
            if model.can("log_prob"):
                generator = stream(self.seed, split, index, device=model.device)
                values = -model.log_prob(labels, generator=generator)
                self.means.add("nll", values)
            elif len(model.players) == 1:
                loss = model.loss(batch)
                self.means.add("loss", loss.total.expand(len(batch.x)))
            if index == 0:
                for name, value in model.diagnostics(labels).items():
                    self.means.add(name, torch.tensor([value]))

    def take(self, strategy: Strategy, split: str, dims: int) -> dict[str, float]:
        """The means over all processes under ``val/`` or ``test/``; likelihoods in nats and
        bits/dim. What was added is forgotten."""
        metrics = self.means.take(strategy, f"{split}/")
        if f"{split}/nll" in metrics:
            nats = metrics[f"{split}/nll"]
            metrics[f"{split}/loss"] = nats
            metrics[f"{split}/bpd"] = bits_per_dim(nats, dims)
        return metrics
