"""Entry of the command line: finds the command, runs it, and says in a line what went wrong.

Nothing heavy is imported here, so that help, completion and a typo are answered at once.
"""

import importlib
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Sequence

import genlab
from genlab.commands.help import COMMANDS, HYDRA_COMMANDS, command_help, module_of, overview
from genlab.config.folders import config_folder
from genlab.errors import ConfigError, GenlabError, nearest
from genlab.system.signals import install
from genlab.system.streams import forgiving

__all__ = ["main"]

LONGEST_WARNING = 300

HELP = ("-h", "--help", "help")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        argv: The words after ``genlab``; those of the process if None.

    Returns:
        The exit code: 0; 1 for a failure, 2 for a mistake of the user's, 3 for numbers that are
        not finite, 4 for a disk that is full, 128 + the number of the signal that ended it.
    """
    if argv is None:
        install()  # before anything heavy is imported
        plain_warnings("--debug" in sys.argv)
    forgiving()
    original = list(sys.argv) if argv is None else [sys.argv[0], *argv]
    words = [word for word in original[1:] if word != "--debug"]
    try:
        return dispatch(words, original)
    except KeyboardInterrupt:
        print("genlab: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe has had enough; leave nothing to flush to it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except SystemExit as exit:
        return exit.code if isinstance(exit.code, int) else int(exit.code is not None)
    except Exception as error:
        if "--debug" in original:
            from genlab.system.secrets import redact

            print(redact(traceback.format_exc()), end="", file=sys.stderr)
        return report(error)


def plain_warnings(debug: bool) -> None:
    """Lets a library's warning be a line of the program's own, without a line of source.

    Args:
        debug: Leaves everything as Python has it.
    """
    if debug:
        return
    logging.raiseExceptions = False  # a closed pipe would be reported once for each line of a log

    def show(message: Warning | str, *args: object, **named: object) -> None:
        text = " ".join(str(message).split())
        print(f"genlab: warning: {text[:LONGEST_WARNING]}", file=sys.stderr)

    warnings.showwarning = show


def dispatch(words: list[str], original: list[str]) -> int:
    """Runs the command that the first word names."""
    first, rest = (words[0], words[1:]) if words else ("--help", [])
    if first in ("-sc", "--shell-completion"):
        from genlab.commands.shell_completion import query

        return query(rest)
    if first == "--version" or (first in HYDRA_COMMANDS and "--version" in rest):
        print(f"genlab {genlab.__version__}")
        return 0
    if first in HELP:
        if named := [word for word in rest if word not in HELP]:
            return dispatch([named[0], "--help"], original)
        print(overview(), end="")
        return 0
    if first not in COMMANDS:
        raise ConfigError(f"{first}: no such command{hint(first)}")
    if first not in HYDRA_COMMANDS:
        code: int = importlib.import_module(module_of(first)).run(rest)
        return code
    if set(HELP[:2]) & set(rest):
        print(command_help(first, config_folder(rest)), end="")
        return 0
    from genlab.launch.hydra_app import run

    run(first, rest, original)
    return 0


def hint(word: str) -> str:
    """A hint at the command that may have been meant."""
    if "=" in word or word.startswith("-"):
        return f"; a command comes first: genlab train {word}"
    return nearest(word, COMMANDS) or f"; there are {', '.join(COMMANDS)}"


def report(error: Exception) -> int:
    """Prints what the user needs to know of an error.

    Returns:
        The exit code.
    """
    from genlab.launch.messages import explain, printable

    text = " ".join(str(error).split())[:300]
    known = explain(error) or GenlabError(
        f"{type(error).__name__}: {text}\nthis should not happen; --debug shows where it did"
    )
    print(printable(known), file=sys.stderr)
    return known.exit_code
