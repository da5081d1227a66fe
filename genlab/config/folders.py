"""Folders of configs: the program's own, and the user's."""

from collections.abc import Sequence
from pathlib import Path

import genlab
from genlab.errors import DataError

__all__ = ["config_dir", "config_folder"]


def config_folder(words: Sequence[str]) -> Path | None:
    """The user's own config folder, if one was named."""
    for word, following in zip(words, [*words, ""][1:], strict=True):
        if word in ("--config-dir", "-cd"):
            return Path(following).expanduser()
        if word.startswith("--config-dir="):
            return Path(word.partition("=")[2]).expanduser()
    return None


def config_dir() -> Path:
    """The folder of configs: inside the installed package, or at the top of the checkout."""
    package = Path(genlab.__file__).parent
    for folder in (package / "configs", package.parent / "configs"):
        if (folder / "train.yaml").is_file():
            return folder
    raise DataError(f"no configs beside {package}: genlab is not completely installed")
