"""What the fault tests share: the command line in this process."""

from commands.conftest import genlab

__all__ = ["genlab"]
