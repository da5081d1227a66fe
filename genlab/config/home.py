"""The home folder in paths: ``~`` means it wherever a path is typed or written in a config.

No shell expands it everywhere: zsh not after ``root=``, bash not after ``data.path=``, none in
quotes, and in a YAML file nobody does.
"""

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["expand_config", "expand_overrides", "expand_words"]

BARE = re.compile(r"(?<=[=\[,])~[\w.-]*(?:/[^,\[\](){}'\"]*)?(?=[,\]]|$)")
"""A path in an override that is not quoted: Hydra's grammar has no place for its first sign."""

WORD = re.compile(r"((?:--?)?[\w.-]+=)?(~(?:/.*)?)", re.DOTALL)
"""A word of a command line, an option or a key before it or not."""

TEXT = frozenset(["notes", "tags"])
"""Keys of the config that are for people to read."""


def expand_words(words: Sequence[str]) -> list[str]:
    """The words of a command line that Hydra does not read.

    Example:
        >>> os.environ["HOME"] = "/home/me"
        >>> expand_words(["--root=~/runs", "path=~/a b", "a~/b", "~"])
        ['--root=/home/me/runs', 'path=/home/me/a b', 'a~/b', '/home/me']
    """
    matches = [WORD.fullmatch(word) for word in words]
    return [
        word if match is None else (match[1] or "") + os.path.expanduser(match[2])
        for word, match in zip(words, matches, strict=True)
    ]


def expand_overrides(overrides: Sequence[str]) -> list[str]:
    """Overrides of Hydra's, with bare paths below the home as quoted ones.

    Example:
        >>> os.environ["HOME"] = "/home/me"
        >>> expand_overrides(["data.path=~/pictures", "run=[~/a,b]", "~callbacks"])
        ["data.path='/home/me/pictures'", "run=['/home/me/a',b]", '~callbacks']
    """

    def quoted(match: "re.Match[str]") -> str:
        path = os.path.expanduser(match[0])
        return match[0] if path == match[0] else "'" + path.replace("'", "\\'") + "'"

    return [BARE.sub(quoted, text) for text in overrides]


def expand_config(cfg: "DictConfig") -> "DictConfig":
    """Makes every path below the home in a composed config absolute, in place; returns it."""
    from omegaconf import OmegaConf, read_write

    def visit(node: Any, keys: Sequence[Any]) -> None:
        for key in keys:
            if OmegaConf.is_missing(node, key) or OmegaConf.is_interpolation(node, key):
                continue
            value = node[key]
            if OmegaConf.is_dict(value):
                visit(value, list(value))
            elif OmegaConf.is_list(value):
                visit(value, range(len(value)))
            elif isinstance(value, str) and (value == "~" or value.startswith("~/")):
                with read_write(node):
                    node[key] = os.path.expanduser(value)

    visit(cfg, [key for key in cfg if key != "hydra" and key not in TEXT])
    if "hydra" in cfg:
        visit(cfg.hydra.sweep, ["dir"])
    return cfg
