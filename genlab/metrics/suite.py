"""All metrics together: one pass over real images (cached), one over samples, one report."""

import time
from collections.abc import Callable
from copy import copy

import torch
from torch import Tensor

from genlab.errors import ConfigError, DataError, nearest
from genlab.metrics.extractors.base import Extractor, Features, extract
from genlab.metrics.extractors.selection import choose
from genlab.metrics.groups import GROUPS, Group
from genlab.metrics.keys import standard_count
from genlab.metrics.likelihood import Likelihood
from genlab.metrics.measure import join, measure, measure_likelihood, nearest_panel
from genlab.metrics.real import RealImages, Reference
from genlab.metrics.report import Report
from genlab.modalities.images.levels import check_images
from genlab.ranges import NonNegativeInt, PositiveInt
from genlab.rng import isolated, stream
from genlab.system.progress import Progress, quiet

__all__ = ["Sampler", "Suite"]

Sampler = Callable[[int, torch.Generator], Tensor]
"""``(n, generator) -> uint8 (n, C, H, W)`` with values 0..255."""


class Suite:
    """What to measure, and how much of it.

    Args:
        extractors: ``auto`` (the data set's own classifier where there is one, else Inception
            where its weights are, else pixels), ``fast`` (``auto``, but never Inception on a
            CPU), or one or more names: digits, fashion, stacked_digits, inception, dinov2,
            efficientnet, pixels, plane (of data whose modes are points).
        metrics: Names of `GROUPS`, and ``likelihood``.
        n_samples: Samples to draw; None is what the extractors' protocols ask for: 50,000 for
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
        ConfigError: A metric that does not exist.
    """

    def __init__(
        self,
        extractors: list[str] | str = "auto",
        metrics: list[str] | None = None,
        n_samples: PositiveInt | None = None,
        batch: PositiveInt = 500,
        seed: NonNegativeInt = 0,
        seeds: PositiveInt = 1,
        likelihood_samples: PositiveInt = 1000,
        likelihood_images: PositiveInt | None = None,
        inception_weights: str | None = None,
        dinov2_weights: str | None = None,
        efficientnet_weights: str | None = None,
        download: bool = True,
    ):
        known = (*GROUPS, "likelihood")
        self.metrics = list(known if metrics is None else metrics)
        for name in self.metrics:
            if name not in known:
                raise ConfigError(
                    f"metrics.metrics={name}: allowed are {', '.join(known)}{nearest(name, known)}"
                )
        self.names = extractors if isinstance(extractors, str) else list(extractors)
        self.n_samples = n_samples
        self.batch = batch
        self.seed = seed
        self.seeds = seeds
        self.likelihood_samples = likelihood_samples
        self.likelihood_images = likelihood_images
        self.paths = {
            "inception": inception_weights,
            "dinov2": dinov2_weights,
            "efficientnet": efficientnet_weights,
        }
        self.download = download

    @property
    def groups(self) -> dict[str, Group]:
        """The groups that need samples."""
        return {name: GROUPS[name] for name in self.metrics if name in GROUPS}

    def extractors(
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
        if not self.groups:
            return []
        return choose(
            self.names,
            dataset,
            shape,
            paths=self.paths,
            device=device,
            download=self.download,
            given=given,
        )

    def count(self, extractors: list[Extractor]) -> int:
        """How many samples to draw for these extractors."""
        if self.n_samples is not None:
            return self.n_samples
        asked = [
            standard_count(group.names[0], extractor.name)
            for extractor in extractors
            for group in self.groups.values()
            if group.needs(extractor)
        ]
        return max(asked, default=0)

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
        """Measures everything.

        No global random state moves, and nothing is kept but caches of the real images.

        Args:
            sampler: Draws samples; None measures the likelihood alone.
            reference: The real images.
            extractors: What `extractors` returned before, to spare loading them again.
            likelihood: What the model says about images, if it does.
            device: Where sampler and extractors are.
            weights: What to write into the report: ``ema``, ``raw`` or ``images``.
            progress: Told how far each step is.

        Raises:
            DataError: Samples that are not uint8 images of the reference's shape; too few of them.
            ConfigError: See `extractors`.
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
            if sampler is not None and self.groups:
                if extractors is None:
                    extractors = self.extractors(
                        reference.name, reference.shape, device, reference.extractor
                    )
                self._distances(report, sampler, reference, extractors, device, progress)
            if likelihood is not None and "likelihood" in self.metrics:
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
        device: torch.device | str = "cpu",
        progress: Progress = quiet,
    ) -> Report:
        """Measures someone else's samples: a random subset of as many as the protocol asks for.

        Args:
            images: uint8 ``(n, C, H, W)``, values 0..255; see `images_source.read_images`.
            reference: The real images.
            device: Where the extractors are to run.
            progress: Told how far each step is.

        Raises:
            DataError: See `run`.
        """
        check_images(images, "images")
        order = torch.randperm(len(images), generator=stream(self.seed, "images"))
        parts = iter(order.split(self.batch))
        extractors = self.extractors(reference.name, reference.shape, device, reference.extractor)
        once = copy(self)
        once.n_samples, once.seeds = min(self.count(extractors), len(images)), 1
        return once.run(
            lambda n, generator: images[next(parts)[:n]],
            reference,
            extractors=extractors,
            device=device,
            weights="images",
            progress=progress,
        )

    def _distances(
        self,
        report: Report,
        sampler: Sampler,
        reference: Reference,
        extractors: list[Extractor],
        device: torch.device | str,
        progress: Progress,
    ) -> None:
        n = self.count(extractors)
        if n == 0:  # no extractor has what a metric needs
            return
        images, first, spent = self._draw(sampler, reference, extractors, n, 0, device, progress)
        drawn = [first]
        for i in range(1, self.seeds):
            _, more, seconds = self._draw(sampler, reference, extractors, n, i, device, progress)
            drawn.append(more)
            spent += seconds
        if report.weights != "images":
            report.samples_per_second = round(self.seeds * n / max(spent, 1e-9), 3)
        for j, extractor in enumerate(extractors):
            step = progress(f"real images, {extractor.name}", len(reference.train))
            real = RealImages(reference, extractor, device=device, advance=step)
            for name, group in self.groups.items():
                if group.needs(extractor):
                    sets = [features[j] for features in drawn]
                    report.values += measure(name, group, sets, real, self.seed)
            if "memorization" in self.groups and report.panel is None:
                report.panel = nearest_panel(images, first[j], real)

    def _draw(
        self,
        sampler: Sampler,
        reference: Reference,
        extractors: list[Extractor],
        n: int,
        repetition: int,
        device: torch.device | str,
        progress: Progress,
    ) -> tuple[Tensor, list[Features], float]:
        """The samples, what each extractor sees in them, and the seconds that drawing them took."""
        generator = stream(self.seed, "evaluation", repetition, device=device)
        again = f" {repetition + 1}/{self.seeds}" if self.seeds > 1 else ""
        step = progress(f"samples{again}", n)
        images: list[Tensor] = []
        features: list[list[Features]] = [[] for _ in extractors]
        spent = 0.0
        for start in range(0, n, self.batch):
            size = min(self.batch, n - start)
            began = time.perf_counter()
            x = sampler(size, generator)
            kept = x.cpu()  # waits for a GPU, too
            spent += time.perf_counter() - began
            check_images(x, "samples")
            if tuple(x.shape) != (size, *reference.shape):
                raise DataError(
                    f"samples: shape {tuple(x.shape)}, expected {(size, *reference.shape)} as the "
                    f"real images of {reference.name}"
                )
            images.append(kept)
            for extractor, seen in zip(extractors, features, strict=True):
                seen.append(extract(extractor, x, device=device))
            step(size)
        return torch.cat(images), [join(seen) for seen in features], spent
