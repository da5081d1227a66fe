"""genlab reconstruct: real images, and what a trained run makes of them."""

from pathlib import Path

import torch
from omegaconf import DictConfig

from genlab.config.check import check
from genlab.config.invocation import Invocation
from genlab.errors import ConfigError, Unsupported
from genlab.experiment.perform import origin
from genlab.experiment.relocation import set_up
from genlab.experiment.trained import load_asked
from genlab.modalities.images.grid import show
from genlab.modalities.rendering import save_rendering
from genlab.rng import stream
from genlab.system.paths import check_writable
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
    # The model, and whether it can
    loaded = load_asked(config)
    if config.out is None:
        folder = loaded.run.path / "reconstructions"
        check_writable(folder, "out=null", "; out=FILE chooses a place")
    else:
        check_writable(Path(config.out).parent, f"out={config.out}")
        loaded.modality.check_target(Path(config.out))
    if not loaded.model.can("reconstruct"):
        raise Unsupported(
            f"{type(loaded.model).__name__} does not reconstruct images; VAEs, autoencoders and "
            "flows do (genlab list models)"
        )
    # Images, and what it makes of them
    data = loaded.data
    set_up(loaded.run, loaded.data, moved=bool(config.places))
    images = getattr(data, config.split)
    if not len(images.x):
        raise ConfigError(f"split={config.split}: it has no images (data.val_size=0)")
    order = torch.randperm(len(images.x), generator=stream(config.seed, "reconstruct"))[: config.n]
    shown = pairs(loaded.model, loaded.modality, Batch(*images.take(order)))
    # Where they go
    suffix = "png" if shown.pixels is not None else "txt"
    name = f"{loaded.images_seen:09d}-{config.split}.{suffix}"
    target = Path(config.out or loaded.run.path / "reconstructions" / name)
    save_rendering(target, shown, origin(loaded, seed=config.seed, kinds=("real", "synthetic")))
    say(
        f"{len(order)} {loaded.modality.noun} of the {config.split} split (odd rows) and their "
        f"reconstructions by {loaded.run.name} (even rows): {target}"
    )
    if config.show:
        if shown.text is not None:
            say(shown.text)
        if shown.pixels is not None:
            show(shown.pixels)
