"""Detector of odd images: a trained model's likelihood as scores, beside scores without a model.

The likelihood alone is a bad detector: a model of clothes finds digits likelier than clothes
(Nalisnick et al. 2019), since simple images are likely whatever they show. Of the corrections for
complexity the regression on normal images is the one that is never worse than the likelihood in
what was measured (docs/applications.md); the others stand beside it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from genlab.applications.complexity import Residual, png_nats, statistics
from genlab.applications.conformal import p_values
from genlab.applications.floors import NearestNeighbour, PrincipalComponents
from genlab.errors import ConfigError, Unsupported
from genlab.experiment.trained import Loaded
from genlab.metrics.likelihood import Likelihood, log_probs
from genlab.modalities.images.levels import from_bytes, to_bytes
from genlab.models.base import GenerativeModel
from genlab.rng import stream
from genlab.system.progress import Progress, quiet
from genlab.types import Batch, ImageSpec

__all__ = ["FLOORS", "SCORES", "Detector"]

SCORES = ("residual", "nll", "typical", "complexity")
"""Scores by the model: -log p less its regression on complexity; -log p; its distance from that of
normal images (Nalisnick et al. 2019b, of one image); -log p less the nats of the PNG file (Serra et
al. 2020)."""

FLOORS = ("png", "pca32", "pca32_residual", "nearest", "nearest_residual")
"""Scores that need no model: a short PNG is odd; principal components and the nearest training
image, with complexity taken off as well."""

KNOWN = 5000
"""Training images that the floors know, at most."""


@dataclass(frozen=True)
class Fitted:
    """What the scores are held against: fitted to normal images that the model did not train on.

    Args:
        nll: Mean of -log p.
        residuals: Regressions on complexity, by score.
        floors: Scores without a model.
    """

    nll: Tensor
    residuals: dict[str, Residual]
    floors: dict[str, Callable[[Tensor], Tensor]]


class Detector:
    """Scores of images under a run, and how rare they are among normal images.

    Half of the run's validation images fit what the scores need, the other half calibrates the
    p-values; neither the model nor a score has seen those.

    Args:
        loaded: The run, its data set up.
        score: The score of p-values and flags, one of `SCORES`.
        samples: Importance samples k of a bound.
        seed: Key of all that is random.
        limit: Validation images used, at most.
        progress: Told how far it is.

    Raises:
        Unsupported: The model has no likelihood, or one of other conditions than labels.
        ConfigError: The data are no images, or the run kept no validation images.
    """

    def __init__(
        self,
        loaded: Loaded,
        *,
        score: str = "residual",
        samples: int = 1,
        seed: int = 0,
        limit: int = 2000,
        progress: Progress = quiet,
    ):
        # Whether it can
        self.model, self.samples, self.seed, self.score = loaded.model, samples, seed, score
        self.progress = progress
        if not isinstance(loaded.model.spec, ImageSpec):
            raise ConfigError(
                f"run={loaded.run.name}: models {loaded.model.spec.kind()}s, not images"
            )
        self.spec = loaded.model.spec
        self.log_prob = marginal(loaded.model)
        # Normal images that were not trained on
        val = loaded.data.val.x
        if len(val) < 10:
            raise ConfigError(
                f"run={loaded.run.name}: has {len(val)} validation images, which say what is "
                "normal; train with data.val_size of 10 or more"
            )
        order = torch.randperm(len(val), generator=stream(seed, "normal images"))[:limit]
        fit, calibrate = order[: len(order) // 2], order[len(order) // 2 :]
        # Fit to the one half, calibrate on the other
        self.fitted = self.fit(val[fit], loaded.data.train.x)
        self.calibration = self(to_bytes(val[calibrate], self.spec.levels))[score]

    def fit(self, normal: Tensor, train: Tensor) -> Fitted:
        """What the scores need of normal images and of training images, in the model's levels."""
        images = to_bytes(normal, self.spec.levels)
        some = torch.randperm(len(train), generator=stream(self.seed, "known images"))[:KNOWN]
        known = to_bytes(train[some], self.spec.levels)
        floors: dict[str, Callable[[Tensor], Tensor]] = {
            "pca32": PrincipalComponents(known),
            "nearest": NearestNeighbour(known),
        }
        nll, complexity = self.nll(images, "normal images"), statistics(images)
        scores = {"nll": nll} | {name: floor(images) for name, floor in floors.items()}
        residuals = {name: Residual(complexity, value) for name, value in scores.items()}
        return Fitted(nll.mean(), residuals, floors)

    def nll(self, images: Tensor, what: str) -> Tensor:
        """-log p of images, nats, float64 ``(n,)``."""
        likelihood = Likelihood(
            self.log_prob,
            "exact" if self.model.likelihood == "exact" else "bound",
            from_bytes(images, self.spec.levels),
            None,
            self.spec.dims,
        )
        return -log_probs(
            likelihood,
            k=self.samples,
            seed=self.seed,
            device=self.model.device,
            advance=self.progress(what, len(images)),
        )

    def __call__(self, images: Tensor, what: str = "images") -> dict[str, Tensor]:
        """All scores of images, higher where they are odder.

        Args:
            images: uint8 ``(n, C, H, W)``, 0..255.
            what: Name of them, for the bar.

        Returns:
            float64 ``(n,)`` by the names of `SCORES` and `FLOORS`.
        """
        nll, complexity, png = self.nll(images, what), statistics(images), png_nats(images)
        fitted = self.fitted
        found = {
            "residual": fitted.residuals["nll"](complexity, nll),
            "nll": nll,
            "typical": (nll - fitted.nll).abs(),
            "complexity": nll - png,
            "png": -png,
        }
        for name, floor in fitted.floors.items():
            found[name] = floor(images)
            found[f"{name}_residual"] = fitted.residuals[name](complexity, found[name])
        return found

    def p_values(self, scores: dict[str, Tensor]) -> Tensor:
        """Conformal p-values of images by the chosen score, float64 ``(n,)``."""
        return p_values(self.calibration, scores[self.score])


def marginal(
    model: GenerativeModel,
) -> Callable[[Tensor, Tensor | None, int, torch.Generator], Tensor]:
    """log p(x) of a model, over all classes alike where it is conditional.

    Raises:
        Unsupported: There is none.
    """
    if model.likelihood == "none":
        raise Unsupported(
            f"{type(model).__name__} has no likelihood to detect by; VAEs, flows, autoregressive "
            "and diffusion models have (genlab list models)"
        )
    classes = model.num_classes
    if model.conditional and not classes:
        raise Unsupported(
            f"{type(model).__name__} is conditional on more than labels: log p(x) would be a sum "
            "over all conditions"
        )

    def log_prob(x: Tensor, y: Tensor | None, k: int, generator: torch.Generator) -> Tensor:
        if not model.conditional:
            return model.log_prob(Batch(x, None), samples=k, generator=generator)
        each = [
            model.log_prob(
                Batch(x, torch.full((len(x),), label, device=x.device)),
                samples=k,
                generator=generator,
            )
            for label in range(classes)
        ]
        mean: Tensor = torch.stack(each).logsumexp(0) - torch.tensor(float(classes)).log()
        return mean

    return log_prob
