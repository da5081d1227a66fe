"""The config of a resumed run: the one that it was started with, and what may change of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.config.home import expand_config
from genlab.config.length import end_as_typed
from genlab.config.saved import load_config
from genlab.errors import ConfigError, nearest

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["RUN_KEYS", "resumed_config", "saved_config"]

RUN_KEYS = (
    "trainer.",
    "callbacks.",
    "logger",
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

BEST = ("callbacks.checkpoints.monitor", "callbacks.checkpoints.mode")
"""Keys by which the run has its best checkpoint, with which later ones are compared."""

BY_NAME = ("callbacks", "logger")
"""Sections whose parts a run has chosen, each under a name."""


def resumed_config(
    cfg: "DictConfig", run: Path, changes: Mapping[str, Any], overrides: Sequence[str], shown: str
) -> "DictConfig":
    """The config of the run to resume, with what may change of it changed.

    Args:
        cfg: The composed config: of it only the root, and the loggers if they were chosen.
        run: The run directory.
        changes: The values that were typed, by their keys.
        overrides: The overrides as typed.
        shown: The run directory as a person would type it.

    Raises:
        ConfigError: Something else was to be changed, or what the run does not have.
        DataError: The run's own config is missing or damaged.
    """
    from omegaconf import OmegaConf

    # The run's own config, changed
    saved = saved_config(cfg, run)
    if "logger" in changes:
        saved.logger = cfg.logger
    before = {key: OmegaConf.select(saved, key) for key in BEST}
    own = {section: list(saved.get(section) or ()) for section in BY_NAME}
    for key, value in changes.items():
        if key in ("run", "logger"):
            continue
        if not key.startswith(RESUMABLE):
            raise ConfigError(kept(key, shown))
        if not key.startswith("logger.") or "logger" not in changes:  # else composed with it
            if saved.get(key.partition(".")[0]) is None and "." in key:
                saved[key.partition(".")[0]] = {}
            OmegaConf.update(saved, key, value, force_add=True)
    # Parts that the run does not have
    for key in changes:
        section, _, rest = key.partition(".")
        name = rest.partition(".")[0]
        if section in BY_NAME and name and name not in own[section]:
            part = saved[section].get(name)
            if not (OmegaConf.is_dict(part) and "_target_" in part):
                known = ", ".join(own[section]) or "none"
                meant = nearest(name, own[section]) or ";"
                raise ConfigError(f"{key}: {shown} has no {section}.{name}{meant} it has {known}")
    # What made a checkpoint its best
    for key, value in before.items():
        if value is not None and OmegaConf.select(saved, key) not in (value, None):
            raise ConfigError(f"{key}: a resumed run keeps it, {value}: its best was chosen so")
    end_as_typed(saved, overrides)
    return expand_config(saved)


def kept(key: str, shown: str) -> str:
    """A line about a key that decides which run it is."""
    return (
        f"{key}: a resumed run keeps its {key.split('.')[0]}; trainer.*, callbacks.*, guard.*, "
        f"data.workers, data.path and logger may change. A new run from these weights: "
        f"init_from={shown}"
    )


def saved_config(cfg: "DictConfig", run: Path) -> "DictConfig":
    """The config that a run was started with, for the place where it lies now."""
    saved = load_config(run / "config.yaml")
    saved.run, saved.root = str(run), cfg.root
    return saved
