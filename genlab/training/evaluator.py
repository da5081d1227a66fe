"""The evaluator: a trained model, its data and the metrics brought together."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from genlab.data.emoji import Emoji
from genlab.data.faces import Faces
from genlab.data.feed.eval_loader import resampled
from genlab.data.gaussians import Gaussians
from genlab.data.images import ImageData
from genlab.data.module import ImageDataModule
from genlab.errors import ConfigError
from genlab.metrics.builtin import BUILT_IN, LIKELIHOOD, ODE
from genlab.metrics.estimate import EFFECTIVE, HasPartition
from genlab.metrics.extractors.base import Extractor
from genlab.metrics.extractors.picture_network import PicturesExtractor
from genlab.metrics.extractors.plane import PlaneExtractor
from genlab.metrics.likelihood import Likelihood
from genlab.metrics.ode import HasOde
from genlab.metrics.real import Reference
from genlab.metrics.report import Report, Value
from genlab.metrics.suite import Suite
from genlab.modalities.base import Modality
from genlab.modalities.by_spec import modality_of
from genlab.modalities.images.levels import to_bytes
from genlab.models.base import GenerativeModel
from genlab.system.progress import Progress, quiet
from genlab.system.terminal import warn
from genlab.tasks.drawing import conditions_for
from genlab.types import Batch, ImageSpec, SamplingOptions

__all__ = ["Evaluator", "reference_of"]


class Evaluator:
    """Measures models of one data set.

    Args:
        suite: What to measure.
        data: The data; read when first needed.
        split: The images whose likelihood is measured.
    """

    def __init__(self, suite: Suite, data: ImageDataModule, split: str = "test"):
        if not isinstance(data.spec, ImageSpec):  # genlab's own metrics of samples are of images
            others = [metric for metric in suite.asked if metric not in BUILT_IN]
            suite = replace(suite, metrics=others)
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
            found = []  # of images alone: other data is measured as it is
            if isinstance(spec, ImageSpec):
                given = given_by(source)
                found = self.suite.load_extractors(source.name, spec.shape, device, given)
            self._extractors[str(device)] = found
        return self._extractors[str(device)]

    def run(
        self,
        model: GenerativeModel,
        weights: str = "ema",
        progress: Progress = quiet,
        options: SamplingOptions | None = None,
        likelihood: bool = True,
    ) -> Report:
        """The report on a model; nothing outside changes, not even the random state.

        Args:
            model: The model.
            weights: Which of its weights it has, for the report.
            progress: Told how far it is.
            options: Those of its sampling; the family's defaults if None.
            likelihood: Whether it is measured, too, if it is among the metrics.
        """
        device = model.device
        with model.evaluating():
            report = self.suite.run(
                sampler_of(model, self.data.test.y if model.conditional else None, options),
                self.reference,
                extractors=self.extractors(device),
                likelihood=self.likelihood(model) if likelihood else None,
                device=device,
                weights=weights,
                progress=progress,
            )
            if likelihood and ODE in self.suite.asked:
                values = self.ode(model, progress)
                report.values += values
                report.seconds += sum(value.seconds for value in values[:1])
        if any(value.number == EFFECTIVE for value in report.values):
            warn_of_few_chains(model)
        nfe = None if report.samples_per_second is None else model.evaluations(options)
        sampling = changed(options, model.usual_sampling) if options else {}
        return replace(report, nfe=nfe, sampling=sampling)

    def likelihood(self, model: GenerativeModel) -> Likelihood | None:
        """The model's likelihood of the split's images, None if it has none."""
        if model.likelihood == "none":
            return None
        images = getattr(self.data, self.split)

        def log_prob(x: Tensor, y: Tensor | None, k: int, generator: torch.Generator) -> Tensor:
            return model.log_prob(Batch(x, y), samples=k, generator=generator)

        return Likelihood(
            log_prob=log_prob,
            kind=model.likelihood,
            bound=model.bound_name,
            x=images.x,
            y=images.y if model.conditional else None,
            dims=model.spec.dims,
            split=self.split,
            partition=estimated_partition(model),
            unit=model.spec.unit,
        )

    def ode(self, model: GenerativeModel, progress: Progress = quiet) -> list[Value]:
        """The likelihood by the model's probability-flow ODE; none, and a warning, without one."""
        if not isinstance(model, HasOde):
            warn(
                f"no nll_ode: {type(model).__name__} has no probability-flow ODE of its images; "
                "models of the class Diffusion have"
            )
            return []
        images = getattr(self.data, self.split)
        return self.suite.ode.measure(
            model,
            images.x,
            images.y if model.conditional else None,
            levels=model.spec.levels,
            dims=model.spec.dims,
            split=self.split,
            batch=self.suite.batch,
            seed=self.suite.seed,
            device=model.device,
            progress=progress,
        )

    def closing(self, n_samples: int | None, k: int, images: int | None) -> "Evaluator":
        """The evaluation at the end of training: the same metrics, of more samples, and the
        likelihood of the whole test split."""
        suite = replace(
            self.suite,
            metrics=[*self.suite.asked, LIKELIHOOD],
            n_samples=n_samples,
            likelihood_samples=k,
            likelihood_images=images,
        )
        return Evaluator(suite, self.data)


def estimated_partition(model: GenerativeModel) -> HasPartition | None:
    """The model, where its likelihood is an estimate by its partition function."""
    if model.likelihood != "estimate":
        return None
    if not isinstance(model, HasPartition):
        name = type(model).__name__
        raise ConfigError(f"{name}.likelihood is an estimate, and {name} has no partitions()")
    return model


def warn_of_few_chains(model: GenerativeModel) -> None:
    """Says so where an estimate of log Z rests on so few chains that its error is unknown."""
    assert isinstance(model, HasPartition)
    worst = min(model.partitions(), key=lambda p: p.effective / p.chains)
    if not worst.trusted:
        warn(
            f"nll_ais: {worst.effective:.1f} of {worst.chains} chains of {worst.temperatures:,} "
            "temperatures are effective, and below a tenth nothing is known of the error: no "
            "interval; train with a larger model.ais_temperatures"
        )


def changed(options: SamplingOptions, usual: SamplingOptions) -> dict[str, Any]:
    """The options that are not as usual.

    Example:
        >>> from genlab.types import Tempered
        >>> changed(Tempered(0.8), Tempered()), changed(Tempered(1.0), Tempered())
        ({'temperature': 0.8}, {})
    """
    before = asdict(usual)
    return {key: value for key, value in asdict(options).items() if value != before[key]}


def sampler_of(
    model: GenerativeModel, given: Tensor | None = None, options: SamplingOptions | None = None
) -> Any:
    """Draws images 0 to 255 from a model; of a conditional one, the classes in turn or `given`."""
    drawn = 0

    def sampler(n: int, generator: torch.Generator) -> Batch:
        nonlocal drawn
        y = conditions_for(model, n, given, drawn)
        drawn += n
        drawn_now = model.sample(n, y, generator=generator, options=options)
        if isinstance(model.spec, ImageSpec):
            drawn_now = to_bytes(drawn_now, model.spec.levels)
        return Batch(drawn_now, y if model.num_classes else None)

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
    levels, spec = data.spec.levels, data.spec
    if not isinstance(spec, ImageSpec):
        return OtherReference(
            train.x, test.x, data.fingerprint, data.source.name, modality=modality_of(spec)
        )
    return Reference(
        to_bytes(train.x, levels),
        to_bytes(test.x, levels),
        data.fingerprint,
        data.source.name,
        given_by(data.source),
        train_y=train.y,
        test_y=test.y,
    )


@dataclass(frozen=True)
class OtherReference(Reference):
    """Real examples of a kind that is no image.

    Args:
        modality: The kind.
    """

    modality: Modality | None = None

    def check(self, samples: Tensor, name: str, n: int | None = None) -> None:
        assert self.modality is not None
        self.modality.check(samples, name)


def given_by(source: ImageData) -> Extractor | None:
    """The extractor that comes with a data set: of known modes, or a judge of its labels."""
    match source:
        case Gaussians():
            return PlaneExtractor(source.points, source.centres, source.std)
        case Faces(labels=str(label)) if label != "nose":  # which cannot be told at 32 pixels
            return PicturesExtractor(f"faces/{label}")
        case Emoji(labels=str(label)):
            return PicturesExtractor(f"emoji/{label}")
    return None
