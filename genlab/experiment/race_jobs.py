"""Measurements of a race: facts of the data, and the objective of a run's last checkpoint.

A worker measures many runs of the same data: what is known of the real images is kept from one to
the next.
"""

import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from genlab.config.schema import Train
from genlab.errors import ConfigError, GenlabError, Unsupported
from genlab.experiment.borrowing import borrow
from genlab.experiment.build import build_data, build_model
from genlab.experiment.closing import finish_model
from genlab.experiment.race_objective import Objective, choose_objective
from genlab.experiment.trained import Loaded, load_run, use_device
from genlab.metrics.extractors.base import extract
from genlab.metrics.likelihood import bits_per_dim, log_probs
from genlab.metrics.measure import join, numbers_of
from genlab.metrics.real import RealFeatures, RealSamples
from genlab.metrics.suite import Suite
from genlab.modalities.provenance import marked
from genlab.modalities.rendering import save_rendering
from genlab.racing.jobs_of_race import ITEMS
from genlab.rng import isolated, stream
from genlab.runs.directory import Run
from genlab.system.paths import write_json
from genlab.training.evaluator import Evaluator, sampler_of
from genlab.types import Batch

__all__ = ["Measurer", "facts_of", "measurer"]

RESAMPLES = 20
PICTURED = 36
BATCH = 250


def facts_of(config: Train, asked: str, samples: int) -> dict[str, Any]:
    """What is known of the data before anything is trained; see `genlab.racing.fitting_data`.

    Raises:
        ConfigError: The data cannot have the objective, or the model does not take the data.
    """
    data = build_data(config.data, seed=config.seed)
    data.prepare_data()
    data.setup()
    spec = data.spec
    objective = choose_objective(asked, data)
    build_model(config.model, spec, config.seed, borrow(config, spec)[1])
    note = ""
    if objective.metric is None:
        note = "of families that know only a bound, the bound from one sample"
    return {
        "kind": spec.kind(),
        "shape": list(spec.shape),
        "levels": spec.levels,
        "classes": spec.num_classes,
        "dims": spec.dims,
        "train_images": data.n_train,
        "val_images": len(data.val.x),
        "objective": objective.key(samples),
        "name": objective.name,
        "better": objective.number.better,
        "note": note,
    }


@dataclass
class Measurer:
    """Measures runs of one data set.

    Args:
        asked: The objective.
        config: A run's config, for its data.
        device: Where to measure.
    """

    asked: str
    config: Train
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @cached_property
    def evaluator(self) -> Evaluator:
        """The data and their reference."""
        data = build_data(self.config.data, seed=self.config.seed)
        data.setup()
        return Evaluator(Suite(extractors="fast"), data)

    @cached_property
    def objective(self) -> Objective:
        """What is measured."""
        return choose_objective(self.asked, self.evaluator.data, str(self.device))

    @cached_property
    def real(self) -> RealSamples:
        """The real images as the objective sees them."""
        reference, by = self.evaluator.reference, self.objective.extractor
        if by is None:
            return RealSamples(reference, device=self.device)
        return RealFeatures(reference, by, device=self.device)

    def load(self, run: Run) -> Loaded:
        """The model of a run's last checkpoint.

        Raises:
            Unsupported: It has no likelihood, and that decides.
        """
        loaded = load_run(run, "last", device=self.device)
        if self.objective.metric is None and loaded.model.likelihood == "none":
            raise Unsupported(f"has no likelihood, so no {self.objective.name}")
        finish_model(loaded.model, self.evaluator.data)
        return loaded

    def seconds(self, run: Run, samples: int) -> float:
        """Seconds that a measurement of so many samples will take, by a few of them."""
        loaded = self.load(run)
        few = min(samples, 64)
        if self.objective.metric is not None:
            self.real.subset("train", few)  # computed once, and not again for each run
        started = time.perf_counter()
        if self.objective.metric is None:
            self.likelihood(loaded, few, "val" if len(self.evaluator.data.val.x) else "test")
            few_drawn = min(few, PICTURED)
            self.draw(loaded, few_drawn)
        else:
            self.draw(loaded, few)
        return (time.perf_counter() - started) * samples / few

    def measure(self, run: Run, samples: int, split: str, keep_items: bool) -> dict[str, Any]:
        """The objective of a run, and its noise.

        Args:
            run: The run.
            samples: Samples to draw, or images of the likelihood.
            split: The images of a likelihood.
            keep_items: Write what each image of it gave into the run's directory.

        Raises:
            GenlabError: The number is not finite.
        """
        loaded = self.load(run)
        if self.objective.metric is None:
            items = self.likelihood(loaded, samples, split)
            value, noise = float(items.mean()), 0.0  # the same images measure everyone
            images, _ = self.draw(loaded, PICTURED)
            if keep_items:
                write_json(run.path / ITEMS, {"split": split, "items": items.tolist()})
        else:
            images, y = self.draw(loaded, samples)
            value, noise = self.sample_number(images, y)
        if not torch.isfinite(torch.tensor(value)):
            raise GenlabError(f"{self.objective.name} is not finite")
        picture = self.picture(run, loaded, images[:PICTURED])
        used = len(images) if self.objective.metric else samples
        key = self.objective.key(used)
        return {"value": value, "noise": noise, "key": key, "picture": picture}

    def draw(self, loaded: Loaded, n: int) -> tuple[Tensor, Tensor | None]:
        """Samples ``(n, C, H, W)`` as bytes, and the classes that they were drawn for."""
        model, given = loaded.model, self.evaluator.data.test.y
        sampler = sampler_of(model, given if model.conditional else None)
        images, labels = [], []
        with isolated(0, "race"), model.evaluating():
            generator = stream(0, "race", device=self.device)
            for start in range(0, n, BATCH):
                drawn: Batch = sampler(min(BATCH, n - start), generator)
                images.append(drawn.x.cpu())
                labels.append(drawn.y)
        known = [y.cpu() for y in labels if y is not None]
        return torch.cat(images), torch.cat(known) if known else None

    def sample_number(self, images: Tensor, y: Tensor | None) -> tuple[float, float]:
        """The number of samples, and its standard deviation by bootstrap (Efron 1979)."""
        objective, seen = self.objective, images
        assert objective.metric is not None
        view: Any = seen
        if objective.extractor is not None:
            parts = [
                extract(objective.extractor, part, device=self.device).of(None)
                for part in images.split(BATCH)
            ]
            view = join(parts).of(y)

        def value_of(shown: Any) -> float:
            found = numbers_of(objective.metric, shown, self.real)  # type: ignore[arg-type]
            if objective.number.name not in found:
                raise ConfigError(f"{objective.name} is not defined of these samples")
            return found[objective.number.name]

        generator = torch.Generator().manual_seed(0)
        again = []
        for _ in range(RESAMPLES):
            index = torch.randint(len(images), (len(images),), generator=generator)
            chosen = view[index] if isinstance(view, Tensor) else view.take(index)
            again.append(value_of(chosen))
        return value_of(view), float(torch.tensor(again, dtype=torch.float64).std())

    def likelihood(self, loaded: Loaded, images: int, split: str) -> Tensor:
        """Negative log-likelihood of each of so many images, in the objective's unit."""
        evaluator = Evaluator(Suite(extractors="fast", metrics=[]), self.evaluator.data, split)
        likelihood = evaluator.likelihood(loaded.model)
        assert likelihood is not None
        with isolated(0, "race"), loaded.model.evaluating():
            found = -log_probs(likelihood, k=1, n=images, batch=BATCH, device=self.device)
        return found * bits_per_dim(1.0, likelihood.dims) if self.objective.name == "bpd" else found

    def picture(self, run: Run, loaded: Loaded, images: Tensor) -> str | None:
        """A grid of samples in the run's directory; None where this kind of data has none."""
        rendering = loaded.modality.render(images)
        if rendering.pixels is None:
            return None
        name = f"samples/{loaded.images_seen:09d}.png"
        note = {"run": run.name, "checkpoint": "last", "seed": 0}
        note |= {"weights": loaded.weights, "images_seen": loaded.images_seen}
        save_rendering(run.path / name, rendering, marked(note, ("synthetic",)))
        return name


def measurer(config: Train, asked: str) -> Measurer:
    """A measurer of runs of a config's data."""
    return Measurer(asked, config, use_device(config.trainer.accelerator))
