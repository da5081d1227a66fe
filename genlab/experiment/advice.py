"""Commands that the program advises: as a shell takes them, with all that this run needs."""

import re
import shlex
import sys
from collections.abc import Sequence

from genlab.config.folders import config_folder
from genlab.config.overrides import key_of
from genlab.config.resume import RUN_KEYS
from genlab.config.saved import load_config
from genlab.errors import DataError
from genlab.runs.directory import Run

__all__ = ["advise", "resume_command"]

PLAIN = re.compile(r"[\w./+-]+", re.ASCII)
"""What neither a shell nor Hydra's grammar reads as anything else."""


def advise(command: str, run: Run, more: Sequence[str] = ()) -> str:
    """A command about a run, which works as it stands where the run was trained.

    Args:
        command: The command.
        run: The run.
        more: Further overrides, as they were typed.
    """
    words = [f"run={argument(run.shown())}", *more]
    try:
        trust = load_config(run.config_file).get("trust")
    except DataError:  # the command itself will say what is wrong with it
        trust = None
    if trust and not any(key_of(word) == "trust" for word in more):
        words.append(f"trust=[{','.join(trust)}]")
    if (folder := config_folder(sys.argv[1:])) is not None:
        words += ["--config-dir", str(folder)]
    return " ".join(["genlab", command, *map(shlex.quote, words)])


def argument(value: str) -> str:
    """A value as Hydra's grammar takes it.

    Example:
        >>> argument("runs/a"), argument("my runs/a")
        ('runs/a', "'my runs/a'")
    """
    if PLAIN.fullmatch(value):
        return value
    return "'" + value.replace("'", "\\'") + "'"


def resume_command(run: Run, typed: Sequence[str] = ()) -> str:
    """Advice on how to resume a run, as a line and a command.

    Args:
        run: The run.
        typed: The overrides that this session was started with; a longer end, say, is none of the
            run's own.
    """
    more = [word.lstrip("+") for word in typed if key_of(word).startswith(RUN_KEYS)]
    return f"go on with\n  {advise('train', run, more)}"
