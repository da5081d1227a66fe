"""A trained model, its data and the metrics brought together: along the way, and at the end."""

import copy
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from genlab.data.feed.eval_loader import resampled
from genlab.data.gaussians import Gaussians
from genlab.data.images import ImageData
from genlab.data.module import ImageDataModule
from genlab.errors import ConfigError
from genlab.metrics.extractors.base import Extractor
from genlab.metrics.extractors.plane import PlaneExtractor
from genlab.metrics.likelihood import Likelihood
from genlab.metrics.real import Reference
from genlab.metrics.report import Report
from genlab.metrics.suite import Suite
from genlab.modalities.images.levels import to_bytes
from genlab.models.base import GenerativeModel
from genlab.system.progress import Progress, quiet
from genlab.tasks.drawing import labels_for
from genlab.training.collapse import Reading
from genlab.training.generative_module import GenerativeModule
from genlab.training.periodic import Every
from genlab.types import Batch

__all__ = ["Evaluator", "QuickMetrics", "reference_of"]


class Evaluator:
    """Measures models of one data set.

    Args:
        suite: What to measure.
        data: The data; read when first needed.
        split: The images whose likelihood is measured.
    """

    def __init__(self, suite: Suite, data: ImageDataModule, split: str = "test"):
        self.suite = suite
        self.data = data
        self.split = split
        self._reference: Reference | None = None
        self._extractors: dict[str, list[Extractor]] = {}

    @property
    def reference(self) -> Reference:
        """The real images that samples are compared with."""
        if self._reference is None:
            self._reference = reference_of(self.data)
        return self._reference

    def extractors(self, device: torch.device | str = "cpu") -> list[Extractor]:
        """The extractors, their weights loaded and verified.

        Raises:
            ConfigError: There is no such extractor for this data.
            WeightsMissing: Weights that were asked for by name are not here.
        """
        if str(device) not in self._extractors:
            spec = self.data.spec
            source = self.data.source
            found = self.suite.extractors(source.name, spec.shape, device, given_by(source))
            self._extractors[str(device)] = found
        return self._extractors[str(device)]

    def run(
        self, model: GenerativeModel, weights: str = "ema", progress: Progress = quiet
    ) -> Report:
        """Measures a model; nothing outside moves, not even the random state."""
        device = model.device
        with model.evaluating():
            return self.suite.run(
                sampler_of(model),
                self.reference,
                extractors=self.extractors(device),
                likelihood=self.likelihood(model),
                device=device,
                weights=weights,
                progress=progress,
            )

    def likelihood(self, model: GenerativeModel) -> Likelihood | None:
        """What the model says about the split's images, None if it has no likelihood."""
        if model.likelihood == "none":
            return None
        images = getattr(self.data, self.split)

        def log_prob(x: Tensor, y: Tensor | None, k: int, generator: torch.Generator) -> Tensor:
            return model.log_prob(Batch(x, y), samples=k, generator=generator)

        return Likelihood(
            log_prob=log_prob,
            kind=model.likelihood,
            x=images.x,
            y=images.y if model.conditional else None,
            dims=model.spec.dims,
            split=self.split,
        )

    def closing(self, n_samples: int | None, k: int, images: int | None) -> "Evaluator":
        """The evaluation at the end of training: the same metrics, of more samples, and the
        likelihood of the whole test split."""
        suite = copy.copy(self.suite)
        suite.n_samples = n_samples
        suite.likelihood_samples, suite.likelihood_images = k, images
        suite.metrics = [*(m for m in suite.metrics if m != "likelihood"), "likelihood"]
        return Evaluator(suite, self.data)


def sampler_of(model: GenerativeModel) -> Any:
    """Draws images 0 to 255 from a model; the classes in turn from a conditional one."""
    drawn = 0

    def sampler(n: int, generator: torch.Generator) -> Tensor:
        nonlocal drawn
        y = labels_for(model, n)
        if y is not None:
            y = (y + drawn) % model.num_classes  # the turn goes on over the batches
        drawn += n
        return to_bytes(model.sample(n, y, generator=generator), model.spec.levels)

    return sampler


def reference_of(data: ImageDataModule) -> Reference:
    """The published training and test splits; with ``data.limit`` the images that it leaves.

    Images that are resampled at each access are drawn once, from a fixed seed.
    """
    if data.limit is not None:
        train, test = data.train, data.test
    else:
        source = data.source
        train = resampled(source, source.load("train"), data.split_seed, "train")
        test = resampled(source, source.load("test"), data.split_seed, "test")
    levels = data.spec.levels
    return Reference(
        to_bytes(train.x, levels),
        to_bytes(test.x, levels),
        data.fingerprint,
        data.source.name,
        given_by(data.source),
    )


def given_by(source: ImageData) -> Extractor | None:
    """The extractor that comes with a data set whose modes are points of the plane."""
    if isinstance(source, Gaussians):
        return PlaneExtractor(source.points, source.centres, source.std)
    return None


class QuickMetrics(Every):
    """Logs the metrics along the way, under ``quick/``, of the averaged weights.

    Args:
        every: Images seen, or ``"N epochs"``, between two evaluations.
    """

    def __init__(self, every: int | str = "2 epochs"):
        super().__init__(every)
        self.evaluator: Evaluator | None = None
        """What measures; set by the train command."""
        self.reading: Reading | None = None
        """What came out last, for the guard."""

    def act(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        if self.evaluator is None:
            raise ConfigError("callbacks: QuickMetrics needs an evaluator")
        if not self.evaluator.suite.groups or not trainer.is_global_zero:
            return
        report = self.evaluator.run(module.eval_model)
        floors = {value.key: value.floor for value in report.values if value.floor is not None}
        self.reading = Reading(module.images_seen, report.scalars(), floors)
        scalars = {f"quick/{name}": value for name, value in report.scalars().items()}
        trainer.callback_metrics.update({k: torch.tensor(v) for k, v in scalars.items()})
        module.history(scalars)
