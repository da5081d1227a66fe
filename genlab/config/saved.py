"""A run's own config.yaml: written without secrets, read again."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.errors import DataError

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["load_config", "save_config"]


def save_config(content: Mapping[str, Any], path: Path) -> None:
    """Writes a config's resolved content as YAML, with secrets blotted out."""
    import yaml

    from genlab.system.paths import write_atomically
    from genlab.system.secrets import redact

    write_atomically(path, yaml.safe_dump(redact(dict(content)), sort_keys=False).encode())


def load_config(path: Path) -> "DictConfig":
    """Reads a config that `save_config` wrote; `check` it before anything of it is built.

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
    return cfg
