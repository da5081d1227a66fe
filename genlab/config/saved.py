"""A run's own config.yaml: written without secrets, read again."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.errors import DataError

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["load_config", "save_config", "without_retired"]

RETIRED = ("genlab.training.loggers.trackio.TrackioLogger",)
"""Targets that configs of older runs name, and that are not needed to go on with such a run."""


def save_config(content: Mapping[str, Any], path: Path) -> None:
    """Writes a config's resolved content as YAML, with secrets blotted out."""
    import yaml

    from genlab.system.paths import write_atomically
    from genlab.system.secrets import redact

    write_atomically(path, yaml.safe_dump(redact(dict(content)), sort_keys=False).encode())


def load_config(path: Path) -> "DictConfig":
    """Reads a config that `save_config` wrote, less the sections of retired targets.

    `check` it before anything of it is built.

    Raises:
        DataError: The file is missing or damaged.
    """
    import yaml
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        cfg = OmegaConf.load(path)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, OmegaConfBaseException) as error:
        line = str(error).strip().splitlines()[0]
        raise DataError(f"{path} cannot be read as a config: {line}") from None
    if not isinstance(cfg, DictConfig):
        raise DataError(f"{path} cannot be read as a config: it is no mapping")
    return OmegaConf.create(without_retired(OmegaConf.to_container(cfg)))


def without_retired(content: Any) -> Any:
    """Plain data of a config without the sections whose target is retired.

    Example:
        >>> old = {"_target_": "genlab.training.loggers.trackio.TrackioLogger"}
        >>> without_retired({"seed": 0, "logger": {"local": old, "wandb": None}})
        {'seed': 0, 'logger': {'wandb': None}}
    """
    if isinstance(content, list):
        return [without_retired(value) for value in content]
    if not isinstance(content, dict):
        return content
    return {key: without_retired(value) for key, value in content.items() if not retired(value)}


def retired(section: Any) -> bool:
    """Whether a section of a config names a retired target."""
    return isinstance(section, dict) and section.get("_target_") in RETIRED
