"""A suite of metrics: one pass over real images (cached), one over samples, one report."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from genlab.metrics.base import Metric
from genlab.metrics.builtin import BUILT_IN, LIKELIHOOD, choose_metrics
from genlab.metrics.extractors.base import Extractor, Features, extract
from genlab.metrics.extractors.selection import choose
from genlab.metrics.keys import metric_key
from genlab.metrics.least import refuse_too_few
from genlab.metrics.likelihood import Likelihood
from genlab.metrics.measure import join, measure, measure_likelihood
from genlab.metrics.ode import OdeLikelihood
from genlab.metrics.real import RealFeatures, RealSamples, Reference
from genlab.metrics.report import Report
from genlab.ranges import NonNegativeInt, PositiveInt
from genlab.rng import isolated, stream
from genlab.system.progress import Progress, quiet
from genlab.types import Batch

__all__ = ["Sampler", "Suite"]

Sampler = Callable[[int, torch.Generator], Tensor | Batch]
"""``(n, generator) -> uint8 (n, C, H, W)`` with values 0..255; a batch has the classes that they
were drawn for, too."""


@dataclass(frozen=True)
class Suite:
    """A choice of metrics and extractors, and how much is measured.

    Args:
        extractors: ``auto`` (the data set's own classifier where there is one, else Inception
            where its weights are, else pictures or pixels), ``fast`` (``auto``, but never Inception
            on a CPU), or one or more names: digits, fashion, stacked_digits, pictures, inception,
            dinov2, efficientnet, pixels, plane (of data whose modes are points).
        metrics: Names of `BUILT_IN`, ``likelihood``, ``ode_likelihood``, metrics of your own.
        ode: How ``ode_likelihood`` is measured.
        n_samples: Samples to draw; None is what the metrics' protocols ask for: 50,000 for
            inception and dinov2, 26,000 for stacked_digits, else 10,000.
        batch: Samples to draw at once.
        seed: Seed of samples and subsets.
        seeds: How many times to draw the samples, to measure the spread.
        likelihood_samples: Importance samples k of a bound.
        likelihood_images: Images of the likelihood, drawn at random; all if None.
        inception_weights: Path of the Inception weights, if not at a usual place.
        dinov2_weights: The same for DINOv2.
        efficientnet_weights: The same for EfficientNet-Lite0.
        download: Whether weights that are not found may be downloaded.

    Raises:
        ConfigError: A metric that does not exist, or two of one name.
    """

    extractors: list[str] | str = "auto"
    metrics: list[str | Metric] | None = None
    n_samples: PositiveInt | None = None
    batch: PositiveInt = 500
    seed: NonNegativeInt = 0
    seeds: PositiveInt = 1
    likelihood_samples: PositiveInt = 1000
    likelihood_images: PositiveInt | None = None
    ode: OdeLikelihood = field(default_factory=OdeLikelihood)
    inception_weights: str | None = None
    dinov2_weights: str | None = None
    efficientnet_weights: str | None = None
    download: bool = True

    def __post_init__(self) -> None:
        self.sample_metrics  # noqa: B018  refuses what does not exist

    @property
    def asked(self) -> list[str | Metric]:
        """The metrics to measure, the likelihood included."""
        return [*BUILT_IN, LIKELIHOOD] if self.metrics is None else list(self.metrics)

    @cached_property
    def sample_metrics(self) -> list[Metric]:
        """The metrics that need samples."""
        return choose_metrics(self.asked)

    def load_extractors(
        self,
        dataset: str,
        shape: tuple[int, int, int],
        device: torch.device | str = "cpu",
        given: Extractor | None = None,
    ) -> list[Extractor]:
        """The extractors of a run, ready to use: call it before training starts.

        Raises:
            ConfigError: An unknown name, or images of the wrong shape.
            WeightsMissing: Weights asked for by name were not found.
        """
        if all(metric.needs(None) for metric in self.sample_metrics):
            return []
        return choose(
            self.extractors,
            dataset,
            shape,
            paths={
                "inception": self.inception_weights,
                "dinov2": self.dinov2_weights,
                "efficientnet": self.efficientnet_weights,
            },
            device=device,
            download=self.download,
            given=given,
        )

    def pairs(self, extractors: Sequence[Extractor]) -> list[tuple[Metric, Extractor | None]]:
        """Each metric with each extractor that it needs, then those of the samples themselves."""
        views = (*extractors, None)
        return [(metric, by) for by in views for metric in self.sample_metrics if metric.needs(by)]

    def count(self, extractors: Sequence[Extractor]) -> int:
        """Number of samples to draw for these extractors."""
        if self.n_samples is not None:
            return self.n_samples
        return max((metric.count_for(by) for metric, by in self.pairs(extractors)), default=0)

    def keys(self, extractors: Sequence[Extractor]) -> list[str]:
        """Keys of the numbers of samples; some may turn out not to be defined."""
        drawn, found = self.count(extractors), []
        for metric, by in self.pairs(extractors):
            standard = metric.count_for(by)
            n = min(drawn, standard)
            found += [metric_key(number, by, n, standard) for number in metric.numbers]
        return found

    def run(
        self,
        sampler: Sampler | None,
        reference: Reference,
        *,
        extractors: list[Extractor] | None = None,
        likelihood: Likelihood | None = None,
        device: torch.device | str = "cpu",
        weights: str = "ema",
        progress: Progress = quiet,
    ) -> Report:
        """The report of all metrics that were asked for.

        No global random state moves, and nothing is kept but caches of the real images.

        Args:
            sampler: Draws samples; None measures the likelihood alone.
            reference: The real images.
            extractors: What `load_extractors` returned before, to spare loading them again.
            likelihood: What the model says about images, if it does.
            device: Where sampler and extractors are.
            weights: What to write into the report: ``ema``, ``raw`` or ``images``.
            progress: Told how far each step is.

        Raises:
            DataError: Samples that are not uint8 images of the reference's shape; too few of them.
            ConfigError: See `load_extractors`.
        """
        started = time.perf_counter()
        report = Report(
            reference.name,
            reference.fingerprint,
            weights,
            seed=self.seed,
            seeds=self.seeds,
            batch=self.batch,
            device=str(device),
        )
        with isolated(self.seed, "evaluation"):
            if sampler is not None and self.sample_metrics:
                # Choose the extractors.
                if extractors is None:
                    extractors = self.load_extractors(
                        reference.name, reference.shape, device, reference.extractor
                    )
                pairs, n = self.pairs(extractors), self.count(extractors)  # 0: nothing to measure
                refuse_too_few(pairs, n, len(reference.train))

                # Draw them; every extractor sees each of them once.
                drawn = [
                    self._draw(sampler, reference, extractors, n, i, device, progress)
                    for i in range(self.seeds if n else 0)
                ]
                if drawn and weights != "images":
                    spent = sum(seconds for _, seconds in drawn)
                    report.samples_per_second = round(self.seeds * n / max(spent, 1e-9), 3)

                # Measure them against the real ones, as each extractor sees both.
                real = real_sides(reference, extractors, device, self.seed, progress)
                for metric, by in pairs:
                    sets = [seen[by] for seen, _ in drawn]
                    report.values += measure(metric, sets, real[by])
                    if report.panel is None:
                        report.panel = metric.panel(drawn[0][0][None], sets[0], real[by])

            # Ask the model itself what it says of real images.
            if likelihood is not None and LIKELIHOOD in self.asked:
                report.values += measure_likelihood(
                    likelihood,
                    k=self.likelihood_samples,
                    n=self.likelihood_images,
                    batch=self.batch,
                    seed=self.seed,
                    device=device,
                    progress=progress,
                )
        report.seconds = time.perf_counter() - started
        return report

    def run_images(
        self,
        images: Tensor,
        reference: Reference,
        *,
        extractors: list[Extractor] | None = None,
        device: torch.device | str = "cpu",
        progress: Progress = quiet,
    ) -> Report:
        """The report on given samples: a random subset of as many as the protocol asks for.

        Args:
            images: uint8 ``(n, C, H, W)``, values 0..255; see `read_images`.
            reference: The real images.
            extractors: What `load_extractors` returned before.
            device: Where the extractors are to run.
            progress: Told how far each step is.

        Raises:
            DataError: See `run`.
        """
        reference.check(images, "images")
        order = torch.randperm(len(images), generator=stream(self.seed, "images"))
        parts = iter(order.split(self.batch))
        if extractors is None:
            extractors = self.load_extractors(
                reference.name, reference.shape, device, reference.extractor
            )
        once = replace(self, n_samples=min(self.count(extractors), len(images)), seeds=1)
        return once.run(
            lambda n, generator: images[next(parts)[:n]],
            reference,
            extractors=extractors,
            device=device,
            weights="images",
            progress=progress,
        )

    def _draw(
        self,
        sampler: Sampler,
        reference: Reference,
        extractors: Sequence[Extractor],
        n: int,
        repetition: int,
        device: torch.device | str,
        progress: Progress,
    ) -> tuple[dict[Extractor | None, Any], float]:
        """n samples as each extractor sees them, themselves under None; seconds of drawing them."""
        generator = stream(self.seed, "evaluation", repetition, device=device)
        again = f" {repetition + 1}/{self.seeds}" if self.seeds > 1 else ""
        step = progress(f"samples{again}", n)
        images: list[Tensor] = []
        features: list[list[Features]] = [[] for _ in extractors]
        spent = 0.0
        for start in range(0, n, self.batch):
            size = min(self.batch, n - start)
            began = time.perf_counter()
            drawn = sampler(size, generator)
            x, y = drawn if isinstance(drawn, Batch) else (drawn, None)
            kept = x.cpu()  # waits for a GPU, too
            spent += time.perf_counter() - began
            reference.check(x, "samples", size)
            images.append(kept)
            for extractor, seen in zip(extractors, features, strict=True):
                seen.append(extract(extractor, x, device=device).of(y))
            step(size)
        views = map(join, features)
        return {None: torch.cat(images), **dict(zip(extractors, views, strict=True))}, spent


def real_sides(
    reference: Reference,
    extractors: Sequence[Extractor],
    device: torch.device | str,
    seed: int,
    progress: Progress,
) -> dict[Extractor | None, RealSamples]:
    """The real samples as each extractor sees them; None has the samples themselves."""
    sides: dict[Extractor | None, RealSamples] = {
        None: RealSamples(reference, device=device, seed=seed)
    }
    for extractor in extractors:
        step = progress(f"real images, {extractor.name}", len(reference.train))
        sides[extractor] = RealFeatures(
            reference, extractor, device=device, advance=step, seed=seed
        )
    return sides
