"""genlab sample: what a trained run draws, or another task makes of it."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from genlab.config.check import check
from genlab.config.invocation import Invocation
from genlab.config.sampling import check_options
from genlab.config.schema import Sample
from genlab.errors import ConfigError
from genlab.experiment.build import make
from genlab.experiment.perform import origin, perform
from genlab.experiment.trained import load_run, use_device
from genlab.modalities.images.grid import show
from genlab.runs.directory import find_run
from genlab.system.terminal import bars, say
from genlab.tasks.base import Task

__all__ = ["run"]


def run(cfg: DictConfig, invocation: Invocation) -> None:
    """Performs a task with a run, and writes what comes of it.

    Raises:
        GenlabError: Something the user can mend.
    """
    # What is asked for
    config = check(cfg, "sample")
    sampling = sampling_of(config)
    name = invocation.choices["task"] or "sample"
    if config.gif and name not in ("sample", "walk"):
        raise ConfigError(f"gif=true: there is a film of task=sample and task=walk, not {name}")
    task = make(config.task)
    if not isinstance(task, Task):
        raise ConfigError(f"task._target_={config.task['_target_']}: is not a Task")
    # The run and what it makes
    loaded = load_run(
        find_run(str(config.run), Path(config.root)),
        config.checkpoint,
        config.weights,
        use_device(config.device),
        lambda trained: check_options(trained.model["_target_"], sampling),
    )
    with bars() as progress:
        made = perform(
            loaded,
            task,
            config.n,
            seed=config.seed,
            label=config.label,
            sampling=sampling,
            batch=config.batch,
            progress=progress,
        )
    # Its file
    modality = loaded.modality
    suffix = ".gif" if made.film else modality.suffix
    default = loaded.run.path / name / f"{loaded.images_seen:09d}-s{config.seed}{suffix}"
    target = Path(config.out) if config.out else default
    note = origin(loaded, seed=config.seed, sampling=sampling)
    if made.film:
        target = modality.save_film(made.x, target, note)
        what = f"{len(made.x):,} frames of {made.x.shape[1]:,} {modality.noun}"
    else:
        target = modality.save(made.x, target, made.columns, note)
        what = f"{len(made.x):,} {modality.noun}"
    say(
        f"{what} of {loaded.run.name} ({config.checkpoint} checkpoint at "
        f"{loaded.images_seen:,} images, {loaded.weights} weights, seed {config.seed}): {target}"
    )
    if config.show:
        shown = modality.render(made.x[-1] if made.film else made.x, made.columns)
        if shown.text is not None:
            say(shown.text)
        if shown.pixels is not None:
            show(shown.pixels)


def sampling_of(config: Sample) -> dict[str, Any]:
    """The sampling options by their names, `temperature` among them.

    Raises:
        ConfigError: The temperature was given twice, and not the same.
    """
    given = dict(config.sampling or {})
    if config.temperature is None:
        return given
    if given.setdefault("temperature", config.temperature) != config.temperature:
        raise ConfigError(
            f"temperature={config.temperature} and sampling.temperature={given['temperature']} "
            "are the same option: give one of them"
        )
    return given
