"""Builder of a data module from the flat section ``data`` of a config."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from genlab.data.curriculum import Curriculum
from genlab.data.feed.augment import parse_augment
from genlab.data.images import ImageData
from genlab.data.module import ImageDataModule
from genlab.errors import ConfigError

__all__ = ["build", "module_keys"]

ELSEWHERE = ("self", "source", "seed", "chunk", "curriculum")
"""Arguments of `ImageDataModule` that other sections decide; ``data.seed`` is a source's own."""


def module_keys() -> tuple[str, ...]:
    """The keys that go to `ImageDataModule`; all others go to the source."""
    parameters = inspect.signature(ImageDataModule.__init__).parameters
    return tuple(name for name in parameters if name not in ELSEWHERE)


def build(
    cfg: Mapping[str, Any],
    instantiate: Callable[[Any], Any],
    *,
    seed: int = 0,
    chunk: int = 1,
    curriculum: Curriculum | None = None,
) -> ImageDataModule:
    """The data module that a section describes; no file is touched.

    Args:
        cfg: A plain dictionary with the ``_target_`` of the source, its arguments and, at the
            same level, those of the module.
        instantiate: Makes an object of a dictionary with a ``_target_``, as Hydra's does.
        seed, chunk, curriculum: As for `ImageDataModule`.

    Raises:
        ConfigError: The target is no data set, or an argument does not do.
    """
    ours = {key: cfg[key] for key in module_keys() if key in cfg}
    ours["augment"] = parse_augment(ours.get("augment"), instantiate)
    source = instantiate({key: value for key, value in cfg.items() if key not in ours})
    if not isinstance(source, ImageData):
        raise ConfigError(
            f"data._target_={cfg.get('_target_')}: must be a data set "
            "(a class derived from genlab.data.images.ImageData)"
        )
    return ImageDataModule(source, seed=seed, chunk=chunk, curriculum=curriculum, **ours)
