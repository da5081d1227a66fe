"""The command line in this process, as for the tests of commands."""

from commands.conftest import genlab, trained

__all__ = ["genlab", "trained"]
