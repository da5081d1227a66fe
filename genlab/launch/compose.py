"""Composition of a command's config without running the command, by Hydra's Compose API."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genlab.config.check import trust_modules
from genlab.config.folders import config_dir
from genlab.config.home import expand_config
from genlab.config.hydra_section import check_hydra
from genlab.config.invocation import Invocation
from genlab.config.length import end_as_typed
from genlab.config.overrides import check_overrides, key_of, opened, value_of
from genlab.config.suggest import unknown_key
from genlab.errors import ConfigError
from genlab.launch.hydra_patches import prefer_own_configs
from genlab.launch.messages import explain, unknown_override

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["compose"]


def compose(
    command: str, overrides: Sequence[str], folder: Path | None = None
) -> tuple["DictConfig", Invocation]:
    """A command's config, composed as on the command line; `check` it before anything is built.

    Args:
        command: The command.
        overrides: ``key=value``, as typed after it. ``trust=[mine]`` counts.
        folder: The user's own config folder, as ``--config-dir`` names it. Modules that are
            trusted are looked for beside it, too.

    Returns:
        The config without Hydra's own section, and what was chosen.

    Raises:
        ConfigError: It cannot be composed.

    Example:
        >>> cfg, invocation = compose("train", ["model=gan", "seed=3"])
        >>> cfg.seed, invocation.choices["model"]
        (3, 'gan')
    """
    import hydra
    from hydra.core.utils import setup_globals
    from omegaconf import open_dict

    # The words, and whose modules are trusted
    folders = [config_dir(), *([folder] if folder else [])]
    check_overrides(overrides, folders)
    trust = value_of(overrides, "trust")
    trust_modules(trust)
    if trust and folder is not None:
        beside = str(folder.resolve().parent)
        if beside not in sys.path:
            sys.path.append(beside)  # last: no file of the user's stands in for a library
    words = opened(overrides, command)
    if folder is not None:
        words.append(f"hydra.searchpath=[file://{folder.resolve()}]")
    # Compose, without the keys that are unknown
    setup_globals()
    unknown: list[str] = []
    while True:
        kept = [word for word in words if word not in unknown]
        try:
            with hydra.initialize_config_dir(str(config_dir()), version_base="1.3"):
                prefer_own_configs()
                cfg = hydra.compose(command, overrides=kept, return_hydra_config=True)
            break
        except Exception as error:
            culprits = [word for word in kept if key_of(word) == unknown_override(error)]
            if not culprits:
                raise explain(error) or error from None
            unknown += culprits
    if unknown:
        raise ConfigError("\n".join(unknown_key(word, cfg) for word in unknown))
    check_hydra(expand_config(end_as_typed(cfg, overrides)), overrides)
    choices = {str(group): name for group, name in cfg.hydra.runtime.choices.items()}
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg, Invocation(list(overrides), choices)
