"""genlab reconstruct: real images, and what a trained run makes of them."""

from pathlib import Path

import torch
from omegaconf import DictConfig
from PIL import Image

from genlab.config.check import check
from genlab.config.invocation import Invocation
from genlab.errors import ConfigError, Unsupported
from genlab.experiment.trained import load_run, use_device
from genlab.modalities.images.grid import show
from genlab.rng import stream
from genlab.runs.directory import find_run
from genlab.system.terminal import say
from genlab.tasks.drawing import pairs
from genlab.types import Batch

__all__ = ["run"]

SPLITS = ("train", "val", "test")


def run(cfg: DictConfig, invocation: Invocation) -> None:
    """Writes a grid of images above their reconstructions.

    Raises:
        GenlabError: Something the user can mend.
    """
    config = check(cfg, "reconstruct")
    if config.split not in SPLITS:
        raise ConfigError(f"split={config.split}: {', '.join(SPLITS)} are allowed")
    loaded = load_run(
        find_run(str(config.run), Path(config.root)),
        config.checkpoint,
        config.weights,
        use_device(config.device),
    )
    if not loaded.model.can("reconstruct"):
        raise Unsupported(
            f"{type(loaded.model).__name__} does not reconstruct images; VAEs, autoencoders and "
            "flows do (genlab list models)"
        )
    data = loaded.data
    data.prepare_data()
    images = getattr(data, config.split)
    order = torch.randperm(len(images.x), generator=stream(config.seed, "reconstruct"))[: config.n]
    picture = pairs(loaded.model, Batch(*images.take(order)))
    default = loaded.run.path / "reconstructions" / f"{loaded.images_seen:09d}-{config.split}.png"
    target = Path(config.out) if config.out else default
    if target.suffix != ".png":
        raise ConfigError(f"out={target}: a .png is needed")
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(target)
    say(
        f"{len(order)} images of the {config.split} split (odd rows) and their reconstructions by "
        f"{loaded.run.name} (even rows): {target}"
    )
    if config.show:
        show(target)
