"""The config of a resumed run: the one that it was started with, and what may change of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genlab.config.length import end_as_typed
from genlab.config.overrides import key_of
from genlab.config.saved import load_config
from genlab.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["RUN_KEYS", "resumed_config", "saved_config"]

RUN_KEYS = (
    "trainer.",
    "callbacks.",
    "guard.",
    "data.workers",
    "data.resident",
    "places.",
    "root",
    "trust",
)
"""Those of them that decide how a run goes on, and are typed again when it is resumed again."""

RESUMABLE = (*RUN_KEYS, "notes", "tags")
"""Keys that may change when a run is resumed; any other would make it another run."""


def resumed_config(
    cfg: "DictConfig", run: Path, overrides: Sequence[str], shown: str
) -> "DictConfig":
    """The config of the run to resume, with what may change of it changed.

    Args:
        cfg: The composed config, which has the new values.
        run: The run directory.
        overrides: The overrides as typed.
        shown: The run directory as a person would type it.

    Raises:
        ConfigError: Something else was to be changed.
        DataError: The run's own config is missing or damaged.
    """
    from omegaconf import OmegaConf

    saved = saved_config(cfg, run)
    for override in overrides:
        key = key_of(override)
        if key in ("run", "logger"):
            continue
        if key.startswith("data.") and key.removeprefix("data.") in ("path", "root"):
            key = f"places.{key.removeprefix('data.')}"  # see `genlab.config.overrides.opened`
        if not key.startswith(RESUMABLE):
            raise ConfigError(
                f"{key}: a resumed run keeps its {key.split('.')[0]}; trainer.*, callbacks.*, "
                "guard.*, data.workers, data.path and logger may change. A new run from these "
                f"weights: init_from={shown}"
            )
        OmegaConf.update(saved, key, OmegaConf.select(cfg, key), force_add=True)
    end_as_typed(saved, overrides)
    if any(override.startswith("logger=") for override in overrides):
        saved.logger = cfg.logger
    return saved


def saved_config(cfg: "DictConfig", run: Path) -> "DictConfig":
    """The config that a run was started with, for the place where it lies now."""
    saved = load_config(run / "config.yaml")
    saved.run, saved.root = str(run), cfg.root
    return saved
