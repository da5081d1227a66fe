"""genlab evaluate: all metrics of a trained run, of several, or of somebody else's images."""

from pathlib import Path

from omegaconf import DictConfig

from genlab.config.check import check
from genlab.config.invocation import Invocation
from genlab.config.sampling import build_options, check_options, ways
from genlab.config.schema import Evaluate, Train
from genlab.errors import ConfigError
from genlab.experiment.build import build_data, build_evaluator
from genlab.experiment.relocation import set_up
from genlab.experiment.reports import keep_report, log_report
from genlab.experiment.trained import Loaded, load_run, use_device
from genlab.metrics.curve import curve_table
from genlab.metrics.report import Report
from genlab.modalities.images.image_reading import read_images
from genlab.runs.directory import Run, find_run
from genlab.system.paths import check_writable
from genlab.system.terminal import bars, console, say

__all__ = ["run"]

UNKEPT = ", and a report is kept there; measure a copy of the run, or genlab.load(RUN).evaluate()"
"""What to do about a run directory of somebody else's."""


def run(cfg: DictConfig, invocation: Invocation) -> float | None:
    """Measures what the config names, prints a table for each, and keeps the reports.

    Returns:
        The first number of the last report, for a sweeper.

    Raises:
        GenlabError: Something the user can mend.
    """
    config = check(cfg, "evaluate")
    name = invocation.choices.get("metrics") or "custom"
    if (config.run is None) == (config.images is None):
        raise ConfigError("give either run=DIR, or images=FOLDER together with data=NAME")
    if config.images is not None:
        return first_number(of_images(config))
    names = [config.run] if isinstance(config.run, str) else list(config.run or [])
    # All of them are looked up before the first is measured.
    runs = [find_run(str(name), Path(config.root)) for name in names]
    for place in runs:
        check_writable(place.path / "evaluation", f"run={place.shown()}", UNKEPT)
    last = None
    for place in runs:
        last = first_number(of_run(config, place, name))
    return last


def of_run(config: Evaluate, place: Run, name: str) -> Report:
    """Measures a run, in each way of sampling, and keeps the reports in it; returns the last.

    The likelihood, which has nothing to do with the sampling, is measured once.
    """
    asked = ways(config.sampling)

    def inspect(trained: Train) -> None:
        for way in asked:
            check_options(trained.model["_target_"], way)

    # The model, its data, and what is to be measured
    loaded = load_run(
        place,
        config.checkpoint,
        config.weights,
        use_device(config.device),
        inspect=inspect,
        places=config.places,
    )
    options = [build_options(loaded.model.usual_sampling, way) for way in asked]
    set_up(loaded.run, loaded.data, moved=bool(config.places))
    evaluator = build_evaluator(config.metrics, loaded.data, config.split)
    # A report a way of sampling
    reports: list[Report] = []
    for chosen in options:
        with bars() as progress:
            report = evaluator.run(
                loaded.model, loaded.weights, progress, chosen, likelihood=not reports
            )
        report.sampling |= deviations(config, loaded)
        console().print(report.table())
        keep_report(report, loaded, name)
        if not report.sampling:  # a tracker has one place for a number: the one drawn by default
            log_report(report, loaded)
        reports.append(report)
    if len(reports) > 1:
        console().print(curve_table(asked, reports))
    say(
        f"{place.name}: {config.checkpoint} checkpoint at {loaded.images_seen:,} images, "
        f"{sum(report.seconds for report in reports):.0f} s; kept in {place.shown()}/evaluation"
    )
    return reports[-1]


def deviations(config: Evaluate, loaded: Loaded) -> dict[str, str]:
    """Deviations from the default measurement: their numbers stand in a row of their own."""
    found: dict[str, str] = {}
    if config.checkpoint != "best":
        found["checkpoint"] = config.checkpoint
    if config.split != "test":
        found["split"] = config.split
    if loaded.weights != ("ema" if loaded.config.ema.enabled else "raw"):
        found["weights"] = loaded.weights
    return found


def of_images(config: Evaluate) -> Report:
    """Measures a folder of images, a .npz or a .npy against a data set."""
    if config.data is None or config.images is None:
        raise ConfigError("images=...: name the real images beside it: data=mnist")
    if config.sampling:
        raise ConfigError("sampling: somebody else's images are there already")
    if config.seeds > 1:
        raise ConfigError("seeds: somebody else's images cannot be drawn again")
    data = build_data(config.data)
    images = read_images(Path(config.images), channels=data.spec.channels)
    data.prepare_data()
    evaluator = build_evaluator(config.metrics, data, config.split)
    n = evaluator.suite.n_samples or len(images)
    if n > len(images):
        raise ConfigError(f"metrics.n_samples={n}: {config.images} holds only {len(images)} images")
    with bars() as progress:
        report = evaluator.suite.run_images(
            images, evaluator.reference, extractors=evaluator.extractors(), progress=progress
        )
    console().print(report.table())
    return report


def first_number(report: Report) -> float | None:
    """The report's first value."""
    return report.values[0].value if report.values else None
