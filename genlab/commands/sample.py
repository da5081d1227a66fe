"""genlab sample: what a trained run draws, or another task makes of it."""

import re
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from genlab.api import load
from genlab.config.check import check
from genlab.config.invocation import Invocation
from genlab.config.sampling import check_options
from genlab.config.schema import Sample
from genlab.errors import ConfigError
from genlab.experiment.build import make
from genlab.modalities.images.grid import show
from genlab.system.paths import check_writable
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
    folder = invocation.choices["task"] or "sample"
    if config.gif and folder not in ("sample", "walk"):
        raise ConfigError(f"gif=true: there is a film of task=sample and task=walk, not {folder}")
    task = make(config.task)
    if not isinstance(task, Task):
        raise ConfigError(f"task._target_={config.task['_target_']}: is not a Task")
    # The run and what it makes
    model = load(
        config.run,
        root=config.root,
        checkpoint=config.checkpoint,
        weights=config.weights,
        device=config.device,
        places=config.places,
        inspect=lambda trained: check_options(trained.model["_target_"], sampling),
    )
    if config.out is None:
        check_writable(model.loaded.run.path / folder, "out=null", "; out=FILE chooses a place")
    else:
        check_writable(Path(config.out).parent, f"out={config.out}")
        model.loaded.modality.check_target(Path(config.out))
    with bars() as progress:
        samples = model.perform(
            task,
            config.n,
            seed=config.seed,
            label=config.label,
            sampling=sampling,
            batch=config.batch,
            progress=progress,
        )
    # Its file
    loaded = model.loaded
    classes = loaded.run.read("run.json").get("classes", [])
    given = [config.label] if isinstance(config.label, int) else config.label or ()
    names = {k: classes[k] for k in given if isinstance(k, int) and k < len(classes)}
    named = [f"label {k} is class {name}" for k, name in names.items() if name != str(k)]
    words = asked(config, sampling, loaded.weights)
    name = f"{loaded.images_seen:09d}-s{config.seed}{words}{samples.suffix}"
    target = samples.save(config.out or loaded.run.path / folder / name)
    say(
        f"{samples.count} of {loaded.run.name} ({config.checkpoint} checkpoint at "
        f"{loaded.images_seen:,} images, {loaded.weights} weights, "
        f"{', '.join([f'seed {config.seed}', *named])}): {target}"
    )
    if config.show:
        shown = samples.render()
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


def asked(config: Sample, sampling: dict[str, Any], weights: str) -> str:
    """Part of a request in its file's name, so that another one does not write it over."""
    label = config.label if isinstance(config.label, list) else [config.label]
    words = [] if config.label is None else [f"label={'.'.join(map(str, label))}"]
    words += [f"{key}={value}" for key, value in sorted(sampling.items())]
    words += [weights] if weights not in ("ema", "raw") else []
    return "".join(f"-{re.sub(r'[^A-Za-z0-9.=]', '_', word)}" for word in words)
