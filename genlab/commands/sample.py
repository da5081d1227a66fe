"""genlab sample: images from a trained run."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from genlab.config.check import check
from genlab.config.invocation import Invocation
from genlab.config.sampling import build_options, check_options
from genlab.config.schema import Sample
from genlab.errors import ConfigError, Unsupported
from genlab.experiment.trained import Loaded, load_run, use_device
from genlab.modalities.images.grid import grid, show
from genlab.modalities.images.image_files import write_film, write_images
from genlab.modalities.images.levels import to_bytes
from genlab.runs.directory import find_run
from genlab.system.terminal import bars, say
from genlab.tasks.drawing import conditions_for, draw_images, follow
from genlab.tasks.inpaint import COLUMNS, completion
from genlab.tasks.latent import STEPS, interpolation, walk
from genlab.types import SamplingOptions

__all__ = ["run"]

TASKS = {"sample": None, "interpolate": STEPS, "walk": None, "complete": COLUMNS}
"""The columns of a task's grid; None for a square one."""


def run(cfg: DictConfig, invocation: Invocation) -> None:
    """Draws images from a run and writes them.

    Raises:
        GenlabError: Something the user can mend.
    """
    config = check(cfg, "sample")
    given = options_of(config)

    loaded = load_run(
        find_run(str(config.run), Path(config.root)),
        config.checkpoint,
        config.weights,
        use_device(config.device),
        lambda trained: check_options(trained.model["_target_"], given),
    )
    options = build_options(loaded.model.sampling_options, given)
    film = config.task == "walk" or config.gif
    if film and config.task not in ("walk", "sample"):
        raise ConfigError(
            f"gif=true: there is a film of task=sample and task=walk, not {config.task}"
        )
    images = draw_film(config, loaded, options) if film else draw(config, loaded, options)
    suffix = "gif" if film else "png"
    default = loaded.run.path / config.task / f"{loaded.images_seen:09d}-s{config.seed}.{suffix}"
    target = Path(config.out) if config.out else default
    provenance = {
        "run": loaded.run.name,
        "checkpoint": config.checkpoint,
        "weights": loaded.weights,
        "images_seen": loaded.images_seen,
        "seed": config.seed,
        "sampling": asdict(options),
        "synthetic": True,
    }
    if film:
        target = write_film(images, target, provenance)
        what = f"{len(images):,} frames of {images.shape[1]:,} images"
    else:
        target = write_images(images, target, TASKS[config.task], provenance)
        what = f"{len(images):,} images"
    say(
        f"{what} of {loaded.run.name} ({config.checkpoint} checkpoint at "
        f"{loaded.images_seen:,} images, {loaded.weights} weights, seed {config.seed}): {target}"
    )
    if config.show:
        show(grid(images[-1] if film else images, columns=TASKS[config.task]))


def options_of(config: Sample) -> dict[str, Any]:
    """The sampling options by their names, `temperature` among them.

    Raises:
        ConfigError: The temperature was given twice, and not the same.
    """
    given = dict(config.sampling or {})
    if config.temperature is None:
        return given
    if given.setdefault("temperature", config.temperature) != config.temperature:
        raise ConfigError(
            f"temperature={config.temperature} and sampling.temperature={given['temperature']} are "
            "the same option: give one of them"
        )
    return given


def draw(config: Sample, loaded: Loaded, options: SamplingOptions) -> Tensor:
    """The images of a task, uint8 ``(n, C, H, W)`` from 0 to 255."""
    with bars() as progress:
        if config.task == "interpolate":
            return interpolation(loaded, config.n, config.seed, options)
        if config.task == "complete":
            return completion(loaded, config.n, config.seed, config.keep, options, progress)
        return draw_images(
            loaded.model,
            config.n,
            seed=config.seed,
            y=conditions(loaded, config.label, config.n),
            options=options,
            batch=config.batch,
            on_progress=follow(progress("drawing", config.n), config.n),
        )


def draw_film(config: Sample, loaded: Loaded, options: SamplingOptions) -> Tensor:
    """The frames of a film, uint8 ``(frames, n, C, H, W)`` from 0 to 255.

    Raises:
        Unsupported: The family does not draw step by step.
    """
    model, y = loaded.model, conditions(loaded, config.label, config.n)
    if config.task == "walk":
        return walk(loaded, config.n, config.frames, config.seed, options, y)
    if not model.draws_in_steps:
        raise Unsupported(
            f"gif=true: {type(model).__name__} draws an image at once; a film of a walk through "
            "its codes: task=walk"
        )
    if config.n > min(config.batch, 256):
        raise ConfigError(
            f"gif=true n={config.n}: a film shows at most {min(config.batch, 256)} images"
        )
    frames: list[Tensor] = []

    def keep(done: int, total: int, x: Tensor) -> None:
        frames.append(to_bytes(x, model.spec.levels).cpu().clone())

    draw_images(
        model,
        config.n,
        seed=config.seed,
        y=y,
        options=options,
        batch=config.batch,
        on_progress=keep,
    )
    return torch.stack(frames)


def conditions(loaded: Loaded, label: Any, n: int) -> Tensor | None:
    """The conditions to draw with: one label or some in turn; without, all, or the test split's.

    Raises:
        ConfigError: The model is not conditioned on labels, or has no such class.
    """
    model = loaded.model
    if label is None:
        given = None
        if model.conditional and not model.num_classes:
            loaded.data.prepare_data()
            given = loaded.data.test.y
        return conditions_for(model, n, given)
    if not model.num_classes:
        raise ConfigError(
            f"label={label}: {loaded.run.name} is not conditional on labels; train with "
            "model.conditional=true"
        )
    wanted = [label] if isinstance(label, int) else list(label)
    for one in wanted:
        if not 0 <= one < model.num_classes:
            raise ConfigError(f"label={one}: 0 to {model.num_classes - 1} are allowed")
    if not wanted:
        raise ConfigError("label=[]: give at least one label")
    return torch.tensor(wanted).repeat(-(-n // len(wanted)))[:n]
