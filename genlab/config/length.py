"""The length of a run where two keys say it: the one that was typed counts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from genlab.config.overrides import key_of

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["end_as_typed"]

IMAGES, EPOCHS = "trainer.max_images", "trainer.epochs"


def end_as_typed(cfg: "DictConfig", overrides: Sequence[str]) -> "DictConfig":
    """Takes ``trainer.max_images``, which wins over ``trainer.epochs``, out of a config that has it
    from a file or an earlier session where only the epochs were typed; returns the config.

    Example:
        >>> from omegaconf import OmegaConf
        >>> cfg = OmegaConf.create({"trainer": {"max_images": 64, "epochs": 5}})
        >>> end_as_typed(cfg, ["trainer.epochs=5"]).trainer.max_images
    """
    from omegaconf import OmegaConf

    keys = {key_of(text): text.partition("=")[2] for text in overrides}
    typed = keys.get(EPOCHS, "null") not in ("null", "")
    if typed and IMAGES not in keys and OmegaConf.select(cfg, IMAGES) is not None:
        OmegaConf.update(cfg, IMAGES, None)
    return cfg
