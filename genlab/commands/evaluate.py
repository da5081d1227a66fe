"""genlab evaluate: all metrics of a trained run, of several, or of somebody else's images."""

from collections.abc import Callable
from pathlib import Path

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from torch import Tensor

from genlab.config.check import check
from genlab.errors import ConfigError
from genlab.experiment.build import build_data, build_evaluator
from genlab.experiment.reports import keep_report, log_report
from genlab.experiment.trained import load_run, use_device
from genlab.metrics.report import Report
from genlab.modalities.images.image_reading import read_images
from genlab.runs.directory import Run, find_run
from genlab.system.terminal import bars, console, say

__all__ = ["run"]


def run(cfg: DictConfig) -> float | None:
    """Measures what the config names, prints a table for each, and keeps the reports.

    Returns:
        The first number of the last report, for a sweeper.

    Raises:
        GenlabError: Something the user can mend.
    """
    check(cfg, "evaluate")
    if (cfg.run is None) == (cfg.images is None):
        raise ConfigError("give either run=DIR, or images=FOLDER together with data=NAME")
    if cfg.images is not None:
        return first_number(of_images(cfg))
    names = [cfg.run] if isinstance(cfg.run, str) else list(cfg.run)
    # All of them are looked up before the first is measured.
    runs = [find_run(str(name), Path(cfg.root)) for name in names]
    last = None
    for place in runs:
        last = first_number(of_run(cfg, place))
    return last


def of_run(cfg: DictConfig, place: Run) -> Report:
    """Measures a run, and writes the report into its directory, summary and loggers."""
    loaded = load_run(
        place,
        cfg.checkpoint,
        cfg.weights,
        use_device(cfg.device),
        lambda saved: check(saved, "train"),
    )
    loaded.data.prepare_data()
    evaluator = build_evaluator(cfg, loaded.data, cfg.split)
    with bars() as progress:
        report = evaluator.run(loaded.model, loaded.weights, progress)
    name = HydraConfig.get().runtime.choices.get("metrics") or "custom"
    keep_report(report, loaded, name)
    log_report(report, loaded)
    console().print(report.table())
    say(
        f"{place.name}: {cfg.checkpoint} checkpoint at {loaded.images_seen:,} images, "
        f"{report.seconds:.0f} s; kept in {place.shown()}/evaluation"
    )
    return report


def of_images(cfg: DictConfig) -> Report:
    """Measures a folder of images, a .npz or a .npy against a data set."""
    if cfg.data is None:
        raise ConfigError("images=...: name the real images beside it: data=mnist")
    if cfg.seeds > 1:
        raise ConfigError("seeds: somebody else's images cannot be drawn again")
    cfg = cfg.copy()
    data = build_data(cfg)
    images = read_images(Path(cfg.images), channels=data.spec.channels)
    data.prepare_data()
    evaluator = build_evaluator(cfg, data, cfg.split)
    n = evaluator.suite.n_samples or len(images)
    if n > len(images):
        raise ConfigError(f"metrics.n_samples={n}: {cfg.images} holds only {len(images)} images")
    with bars() as progress:
        report = evaluator.suite.with_(n_samples=n).run(
            in_turn(images),
            evaluator.reference,
            extractors=evaluator.extractors(),
            weights="images",
            progress=progress,
        )
    console().print(report.table())
    return report


def in_turn(images: Tensor) -> Callable[[int, torch.Generator], Tensor]:
    """A sampler that hands out given images one after the other."""
    taken = 0

    def sampler(n: int, generator: torch.Generator) -> Tensor:
        nonlocal taken
        taken += n
        return images[taken - n : taken]

    return sampler


def first_number(report: Report) -> float | None:
    """The report's first value."""
    return report.values[0].value if report.values else None
