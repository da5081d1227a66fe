"""genlab decompress: the images that genlab compress made a file of."""

from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from genlab.config.check import check
from genlab.config.invocation import Invocation
from genlab.errors import ConfigError, DataError
from genlab.experiment.compression import decompress
from genlab.experiment.trained import load_asked
from genlab.modalities.images.levels import to_bytes
from genlab.modalities.rendering import save_png
from genlab.system.paths import check_writable
from genlab.system.terminal import bars, say

__all__ = ["run"]


def run(cfg: DictConfig, invocation: Invocation) -> None:
    """Decodes a file, and writes its images once all of them are right.

    Raises:
        GenlabError: Something the user can mend.
    """
    config = check(cfg, "decompress")
    source, target = Path(config.file).expanduser(), Path(config.out)
    if target.suffix not in ("", ".npz"):
        raise ConfigError(f"out={config.out}: a .npz, or a folder, is needed")
    if target.is_dir() and any(target.iterdir()):
        raise ConfigError(f"out={config.out}: is a folder that is not empty")
    if not source.is_file():
        raise DataError(f"file={config.file}: no such file")
    check_writable(target if target.suffix == "" else target.absolute().parent, f"out={target}")
    loaded = load_asked(config, "cpu")
    with bars() as progress:
        x = decompress(loaded, source.read_bytes(), config.file, progress)
    # Real images, so without a note that they are synthetic
    images = to_bytes(x, loaded.model.spec.levels or 256).permute(0, 2, 3, 1).numpy()
    if target.suffix == ".npz":
        with target.open("wb") as file:
            np.savez(file, images=images)
    else:
        for number, image in enumerate(images):
            save_png(target / f"{number:06d}.png", image.squeeze(-1))
    say(f"{len(x)} images: {target}")
