"""The numbers of a report: each with its floor or its interval."""

import time
from statistics import mean, stdev

import torch
from torch import Tensor

from genlab.errors import DataError
from genlab.metrics.extractors.base import Features, full_precision
from genlab.metrics.groups import BETTER, Group
from genlab.metrics.keys import metric_key, standard_count
from genlab.metrics.likelihood import (
    Likelihood,
    bits_per_dim,
    bootstrap,
    likelihood_keys,
    log_probs,
    random_subset,
)
from genlab.metrics.memorization import nearest_neighbours, panel
from genlab.metrics.real import RealImages
from genlab.metrics.report import Panel, Value
from genlab.rng import key
from genlab.system.progress import Progress, quiet

__all__ = ["join", "measure", "measure_likelihood", "nearest_panel"]


def measure(
    name: str, group: Group, sets: list[Features], real: RealImages, seed: int
) -> list[Value]:
    """The group's numbers, each with its floor.

    Args:
        name: Name of the group.
        group: What to measure.
        sets: Features of the samples, one set for each time they were drawn.
        real: The real images under the same extractor.
        seed: Seed of all subsets.

    Raises:
        DataError: Too few samples.
    """
    extractor = real.extractor
    n = min(len(sets[0]), standard_count(group.names[0], extractor.name))
    started = time.perf_counter()
    with full_precision():
        runs = [group.measure(x.take(random_subset(len(x), n, seed)), real, seed) for x in sets]
    seconds = time.perf_counter() - started
    floor_n = min(n, len(real.reference.test))
    floors = _floors(name, group, floor_n, real, seed)
    values = []
    for i, short in enumerate(group.names):
        numbers = [float(number) for run in runs if (number := run[i]) is not None]
        if not numbers:
            continue
        values.append(
            Value(
                key=metric_key(short, extractor, n),
                value=mean(numbers),
                better=BETTER[short],
                n=n,
                split="train",
                floor=floors.get(short),
                floor_n=floor_n if short in floors else None,
                std=stdev(numbers) if len(numbers) > 1 else None,
                extractor=extractor.name,
                extractor_id=extractor.id,
                seconds=seconds,
            )
        )
    return values


def _floors(name: str, group: Group, n: int, real: RealImages, seed: int) -> dict[str, float]:
    """The group's numbers of n real test images, cached; none where there are too few of them."""

    def compute() -> dict[str, float]:
        # another draw than the one that a group takes as its own real images
        test = real.subset("test", n, key(seed, "floor"))
        try:
            with full_precision():
                numbers = group.measure(test, real, seed)
        except DataError:
            return {}
        found = zip(group.names, numbers, strict=True)
        return {name: float(number) for name, number in found if number is not None}

    return real.floor(f"{name}/{n}/{seed}", compute)


def nearest_panel(images: Tensor, x: Features, real: RealImages, rows: int = 8) -> Panel:
    """The samples that are nearest to training images, beside five of these.

    Args:
        images: The samples, uint8 ``(n, C, H, W)``.
        x: Their features.
        real: The real images under the same extractor.
        rows: How many samples to show.
    """
    n = min(len(x), standard_count("nn_ratio", real.extractor.name))
    k = min(5, len(real.reference.train))
    near = nearest_neighbours(x.features[:n], real.features("train").features, k)
    worst = near.distance[:, 0].argsort()[:rows]
    chosen, indices = images[worst], near.indices[worst]
    picture = panel(chosen, indices, real.reference.train)
    return Panel(chosen, indices, near.distance[worst], picture)


def measure_likelihood(
    likelihood: Likelihood,
    *,
    k: int,
    n: int | None,
    batch: int,
    seed: int,
    device: torch.device | str = "cpu",
    progress: Progress = quiet,
) -> list[Value]:
    """Nats and bits/dim, with 95 % bootstrap intervals over images.

    Args:
        likelihood: Model and images.
        k: Importance samples of a bound.
        n: How many images, drawn at random; all if None.
        batch: Most images in a call of the model.
        seed: Seed of the subset and of the model's own randomness.
        device: Where the model is.
        progress: Told how far it is.
    """
    started = time.perf_counter()
    total = len(likelihood.x)
    n = min(n or total, total)
    advance = progress("likelihood", n)
    found = -log_probs(likelihood, k=k, n=n, batch=batch, seed=seed, device=device, advance=advance)
    low, high = bootstrap(found, seed=seed)
    seconds = time.perf_counter() - started
    keys = likelihood_keys(likelihood.kind, k, n, total)
    numbers = (float(found.mean()), low, high)
    bits = tuple(bits_per_dim(number, likelihood.dims) for number in numbers)
    return [
        Value(name, value, "lower", n, likelihood.split, low=a, high=b, seconds=seconds)
        for name, (value, a, b) in zip(keys, (numbers, bits), strict=True)
    ]


def join(parts: list[Features]) -> Features:
    """Features of batches as those of all."""
    logits = [part.logits for part in parts if part.logits is not None]
    return Features(torch.cat([p.features for p in parts]), torch.cat(logits) if logits else None)
