"""The numbers of a report: each with its floor or its interval."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import mean, stdev
from typing import Any

import torch
from torch import Tensor

from genlab.errors import ConfigError, DataError
from genlab.metrics.base import Metric, Number
from genlab.metrics.estimate import estimate_values, with_partition
from genlab.metrics.extractors.base import Extractor, Features, full_precision
from genlab.metrics.keys import metric_key
from genlab.metrics.likelihood import (
    BITS,
    BITS_PER_CHARACTER,
    NATS,
    Likelihood,
    bits_per_dim,
    bootstrap,
    likelihood_keys,
    log_probs,
    random_subset,
)
from genlab.metrics.real import RealSamples
from genlab.metrics.report import Value
from genlab.rng import key
from genlab.system.progress import Progress, quiet

__all__ = ["join", "measure", "measure_likelihood", "nats_and_bits"]


def measure(metric: Metric, sets: Sequence[Any], real: RealSamples) -> list[Value]:
    """A metric's numbers, each with its floor.

    Args:
        metric: What to measure.
        sets: What it sees of the samples, once for each time that they were drawn.
        real: The other side.

    Raises:
        DataError: Too few samples.
        ConfigError: The metric gave something else than the numbers that it declares.
    """
    # How many samples count
    extractor = real.extractor
    standard = metric.count_for(extractor)
    there = len(real.reference.train), len(real.reference.test)
    n = metric.usable(min(len(sets[0]), standard), *there)
    # Measure samples, then real ones in their place
    started = time.perf_counter()
    runs = [numbers_of(metric, take(x, n, real.seed), real) for x in sets]
    seconds = time.perf_counter() - started
    floor_n = min(n, len(real.reference.test))
    floors = floors_of(metric, floor_n, real) if any(runs) else {}
    # A value a number
    values = []
    for number in metric.numbers:
        found = [run[number.name] for run in runs if number.name in run]
        if not found:
            continue
        name = metric_key(number, extractor, n, standard)
        values.append(
            Value(
                key=name,
                value=mean(found),
                better=number.better,
                n=n,
                split="train",
                floor=floors.get(number.name),
                floor_n=floor_n if number.name in floors else None,
                std=stdev(found) if len(found) > 1 else None,
                extractor="" if extractor is None else extractor.name,
                extractor_id="" if extractor is None else extractor.id,
                seconds=seconds,
                metric_id=metric.id,
                number=as_named(number, name, extractor),
            )
        )
    return values


def as_named(number: Number, key: str, extractor: Extractor | None) -> Number:
    """A number as a report holds it: by the name that its key has, behind what ranks before it.

    A published name ranks first, then what the data's own extractor sees.
    """
    if number.published and key.startswith(number.published):
        return replace(number, name=number.published)
    behind = 0 if extractor is None else 1 if extractor.modes else 2
    return replace(number, rank=None if number.rank is None else number.rank + behind)


def take(x: Any, n: int, seed: int) -> Any:
    """A seeded random subset of n of the samples, or of what an extractor sees in them."""
    index = random_subset(len(x), n, seed)
    return x.take(index) if isinstance(x, Features) else x[index]


def numbers_of(metric: Metric, samples: Any, real: RealSamples) -> dict[str, float]:
    """The numbers that a metric gives, held against those that it declares.

    Raises:
        ConfigError: It gives something else.
    """
    with full_precision():
        found = metric.measure(samples, real)
    declared = [number.name for number in metric.numbers]
    if not isinstance(found, Mapping) or not set(found) <= set(declared):
        got = ", ".join(map(str, found)) if isinstance(found, Mapping) else type(found).__name__
        raise ConfigError(
            f"metrics.metrics: {type(metric).__name__}.measure returned {got}, expected a mapping "
            f"of {', '.join(declared)} to numbers"
        )
    return {name: float(number) for name, number in found.items()}


def floors_of(metric: Metric, n: int, real: RealSamples) -> dict[str, float]:
    """A metric's numbers of n real test samples; none where there are too few of them."""

    def compute() -> dict[str, float]:
        # another draw than the one that a metric takes as its own real samples
        test = real.subset("test", n, key(real.seed, "floor"))
        try:
            return numbers_of(metric, test, real)
        except DataError:
            return {}

    return real.floor(f"{metric.name}/{n}/{real.seed}", compute, metric)


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
    """Nats and bits/dim, with 95 % bootstrap intervals over images; what stands beside estimates.

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
    keys = likelihood_keys(likelihood.kind, k, n, total, likelihood.bound, likelihood.unit)
    values = nats_and_bits(likelihood, keys, found, seed, started)
    if likelihood.partition is None:
        return values
    index = random_subset(total, n, seed)
    beside = estimate_values(likelihood, likelihood.partition, index, found, seed, device)
    return [*with_partition(values, likelihood.partition, likelihood.dims), *beside]


def nats_and_bits(
    likelihood: Likelihood, keys: tuple[str, str], found: Tensor, seed: int, started: float
) -> list[Value]:
    """Mean and interval of negative log-likelihoods of images ``(n,)``, in both units."""
    low, high = bootstrap(found, seed=seed)
    seconds = time.perf_counter() - started
    nats = (float(found.mean()), low, high)
    per_entry = BITS_PER_CHARACTER if likelihood.unit == "character" else BITS
    bits = tuple(bits_per_dim(number, likelihood.dims) for number in nats)
    return [
        Value(
            name,
            value,
            number.better,
            len(found),
            likelihood.split,
            low=a,
            high=b,
            seconds=seconds,
            number=number,
        )
        for number, name, (value, a, b) in zip((NATS, per_entry), keys, (nats, bits), strict=True)
    ]


def join(parts: list[Features]) -> Features:
    """Features of batches as those of all."""
    logits = [part.logits for part in parts if part.logits is not None]
    y = [part.y for part in parts if part.y is not None]
    features = torch.cat([part.features for part in parts])
    return Features(features, *(torch.cat(x) if x else None for x in (logits, y)))
