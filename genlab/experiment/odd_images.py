"""Images that are odd by construction, or those of another data set, in a run's shape."""

from pathlib import Path

import torch
from omegaconf import OmegaConf
from torch import Tensor

from genlab.config.folders import config_dir
from genlab.config.saved import load_config
from genlab.data.module import ImageDataModule
from genlab.errors import ConfigError, nearest
from genlab.experiment.build import build_data
from genlab.modalities.images.image_reading import read_images
from genlab.modalities.images.levels import to_bytes
from genlab.rng import stream
from genlab.types import ImageSpec

__all__ = ["TRANSFORMED", "check_shape", "odd_images"]

TRANSFORMED = ("mirrored", "upside_down", "negative", "noise", "constant")
"""Sets that are made of a run's own test images, or in their place."""


def odd_images(name: str, own: Tensor, spec: ImageSpec, n: int, seed: int) -> Tensor:
    """Images to hold against a run's own.

    Args:
        name: One of `TRANSFORMED`, a data set by the name of its config, a folder of PNG files or a
            ``.npz`` or ``.npy`` file.
        own: Test images of the run's data, uint8 ``(m, C, H, W)``, 0..255.
        spec: Of the run's data.
        n: How many, at most; drawn at random.
        seed: Key of what is random.

    Returns:
        uint8 ``(at most n, C, H, W)``, 0..255.

    Raises:
        ConfigError: There is no such set, or its images have another shape.
    """
    if name in TRANSFORMED:
        return transformed(name, own[:n], seed)
    images = read_images(name) if Path(name).expanduser().exists() else data_images(name)
    check_shape(images, spec, f"vs={name}")
    order = torch.randperm(len(images), generator=stream(seed, f"odd images {name}"))[:n]
    return images[order]


def transformed(name: str, own: Tensor, seed: int) -> Tensor:
    """A set of `TRANSFORMED`."""
    match name:
        case "mirrored":
            return own.flip(3)
        case "upside_down":
            return own.flip(2)
        case "negative":
            return 255 - own
    generator = stream(seed, f"odd images {name}")
    size = own.shape if name == "noise" else (*own.shape[:2], 1, 1)
    values = torch.randint(256, size, generator=generator, dtype=torch.uint8)
    return values.expand(own.shape).contiguous()


def data_images(name: str) -> Tensor:
    """All test images of a data set, by the name of its config."""
    folder = config_dir() / "data"
    names = sorted(file.stem for file in folder.glob("*.yaml"))
    if name not in names:
        allowed = (*TRANSFORMED, *names)
        raise ConfigError(
            f"vs={name}: must be {', '.join(TRANSFORMED)}, a data set, or a folder of PNG files"
            f"{nearest(name, allowed)}"
        )
    section = load_config(folder / f"{name}.yaml")
    missing = [str(key) for key in section if OmegaConf.is_missing(section, key)]
    if missing:
        raise ConfigError(
            f"vs={name}: its config asks for data.{missing[0]}; name the folder of images itself"
        )
    data: ImageDataModule = build_data(section)
    data.prepare_data()
    data.setup()
    return to_bytes(data.test.x, data.spec.levels)


def check_shape(images: Tensor, spec: ImageSpec, what: str) -> None:
    """Refuses images of another shape than a run's.

    Raises:
        ConfigError: They have.
    """
    if tuple(images.shape[1:]) != spec.shape:
        raise ConfigError(
            f"{what}: images of {'x'.join(map(str, images.shape[1:]))}, the run models "
            f"{'x'.join(map(str, spec.shape))}"
        )
