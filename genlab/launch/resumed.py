"""The config of a run that is resumed: its own, and what was typed of it anew."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genlab.config.overrides import key_of
from genlab.config.resume import resumed_config
from genlab.launch.hydra_patches import parse_overrides
from genlab.runs.directory import Run, find_run

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["config_and_run"]


def config_and_run(cfg: "DictConfig", overrides: Sequence[str]) -> tuple["DictConfig", Run | None]:
    """The own config of a run that is resumed, changed as it was typed, and the run.

    Args:
        cfg: The composed config; returned as it is, with no run, where ``run`` is no text.
        overrides: The overrides as Hydra was given them.

    Raises:
        ConfigError: There is no such run, or it cannot be changed so.
        DataError: The run's own config is missing or damaged.
    """
    if not isinstance(cfg.run, str):
        return cfg, None
    run = find_run(cfg.run, Path(cfg.root))
    words = [word for word in overrides if not key_of(word).startswith("hydra")]
    changes = {word.get_key_element().lstrip("+~"): word.value() for word in parse_overrides(words)}
    return resumed_config(cfg, run.path, changes, words, run.shown()), run
