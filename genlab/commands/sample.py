"""genlab sample: images from a trained run."""

from pathlib import Path

import torch
from omegaconf import DictConfig
from torch import Tensor

from genlab.commands.build import Loaded, load_run, use_device
from genlab.commands.display import bars, say
from genlab.commands.export import write_images
from genlab.config import check
from genlab.data.transforms import to_bytes
from genlab.errors import ConfigError, Unsupported, nearest
from genlab.rng import stream
from genlab.runs import find_run
from genlab.training.loggers import grid, show
from genlab.training.pictures import draw_images
from genlab.types import Batch

__all__ = ["run"]

TASKS = ("sample", "interpolate")
STEPS = 8
"""Images in a row of an interpolation."""


def run(cfg: DictConfig) -> None:
    """Draws images from a run and writes them.

    Raises:
        GenlabError: Something the user can mend.
    """
    check(cfg, "sample")
    if cfg.task not in TASKS:
        raise ConfigError(
            f"task={cfg.task}: {' and '.join(TASKS)} are allowed{nearest(cfg.task, TASKS)}"
        )
    loaded = load_run(
        find_run(str(cfg.run), Path(cfg.root)),
        cfg.checkpoint,
        cfg.weights,
        use_device(cfg.device),
        check,
    )
    if cfg.task == "interpolate":
        images = interpolation(loaded, cfg.n, cfg.seed)
    else:
        with bars() as progress:
            images = draw_images(
                loaded.model,
                cfg.n,
                seed=cfg.seed,
                y=labels(loaded, cfg.label, cfg.n),
                temperature=cfg.temperature,
                batch=cfg.batch,
                progress=progress("drawing", cfg.n),
            )
    default = loaded.run.path / cfg.task / f"{loaded.images_seen:09d}-s{cfg.seed}.png"
    columns = STEPS if cfg.task == "interpolate" else None
    provenance = {
        "run": loaded.run.name,
        "checkpoint": cfg.checkpoint,
        "weights": loaded.weights,
        "images_seen": loaded.images_seen,
        "seed": cfg.seed,
        "temperature": cfg.temperature,
        "synthetic": True,
    }
    target = write_images(images, Path(cfg.out) if cfg.out else default, columns, provenance)
    say(
        f"{len(images):,} images of {loaded.run.name} ({cfg.checkpoint} checkpoint at "
        f"{loaded.images_seen:,} images, {loaded.weights} weights, seed {cfg.seed}): {target}"
    )
    if cfg.show:
        show(grid(images, columns=columns))


def labels(loaded: Loaded, label: int | None, n: int) -> Tensor | None:
    """The label to draw, n times.

    Raises:
        ConfigError: The model is not conditional, or has no such class.
    """
    if label is None:
        return None
    if not loaded.model.conditional:
        raise ConfigError(
            f"label={label}: {loaded.run.name} is not conditional; train with model=cvae, "
            "or another conditional model"
        )
    if not 0 <= label < loaded.model.num_classes:
        raise ConfigError(f"label={label}: 0 to {loaded.model.num_classes - 1} are allowed")
    return torch.full((n,), label)


@torch.no_grad()
def interpolation(loaded: Loaded, n: int, seed: int) -> Tensor:
    """Rows that go from the code of one test image to that of another, in equal steps.

    Raises:
        Unsupported: The family has no codes.
    """
    model = loaded.model
    if not (model.can("encode") and model.can("decode")):
        raise Unsupported(
            f"task=interpolate: {type(model).__name__} has no latent code; VAEs and flows have"
        )
    loaded.data.prepare_data()
    rows = max(1, n // STEPS)
    test = loaded.data.test
    order = torch.randperm(len(test.x), generator=stream(seed, "interpolate"))[: 2 * rows]
    y = test.y[order].to(model.device) if model.conditional and test.y is not None else None
    codes = model.encode(Batch(test.x[order].to(model.device), y))
    if not codes.is_floating_point():
        raise Unsupported(
            f"task=interpolate: the codes of {type(model).__name__} are discrete, there is nothing "
            "between two of them"
        )
    start, end = codes[:rows], codes[rows : 2 * rows]
    weights = torch.linspace(0, 1, STEPS, device=codes.device)
    between = torch.stack([torch.lerp(start, end, w) for w in weights], 1).flatten(0, 1)
    y_between = y[:rows].repeat_interleave(STEPS) if y is not None else None
    return to_bytes(model.decode(between, y_between), model.spec.levels).cpu()
