"""Argument parser of the commands that need no Hydra: its errors are a line, too."""

import argparse
import sys
from typing import Any, NoReturn

from genlab.config.home import expand_words
from genlab.errors import ConfigError

__all__ = ["Parser", "add_config_dir"]


class Parser(argparse.ArgumentParser):
    """An argument parser that raises instead of printing its usage and leaving.

    Raises:
        ConfigError: The command line does not parse.
    """

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parses words in which ``~`` is the home; every other way of parsing comes by here."""
        words = expand_words(list(sys.argv[1:] if args is None else args))
        return super().parse_known_args(words, namespace)

    def error(self, message: str) -> NoReturn:
        """Refuses the command line."""
        raise ConfigError(f"{message}; {self.prog} --help shows what there is")


def add_config_dir(parser: argparse.ArgumentParser) -> None:
    """Adds ``--config-dir``, the user's own config folder, as Hydra's commands take it."""
    parser.add_argument(
        "--config-dir", "-cd", metavar="DIR", help="look into this folder of configs, too"
    )
