"""Argument parser of the commands that need no Hydra: its errors are a line, too."""

import argparse
from typing import NoReturn

from genlab.errors import ConfigError

__all__ = ["Parser", "add_config_dir"]


class Parser(argparse.ArgumentParser):
    """An argument parser that raises instead of printing its usage and leaving.

    Raises:
        ConfigError: The command line does not parse.
    """

    def error(self, message: str) -> NoReturn:
        """Refuses the command line."""
        raise ConfigError(f"{message}; {self.prog} --help shows what there is")


def add_config_dir(parser: argparse.ArgumentParser) -> None:
    """Adds ``--config-dir``, the user's own config folder, as Hydra's commands take it."""
    parser.add_argument(
        "--config-dir", "-cd", metavar="DIR", help="look into this folder of configs, too"
    )
