"""The invocation of a command: what was typed, and which config of each group was chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["Invocation"]


@dataclass(frozen=True)
class Invocation:
    """Command line of a command, besides the composed config.

    Args:
        overrides: The overrides as typed, ``key=value``.
        choices: The name of the chosen config by its group, ``{"model": "vae", ...}``.
    """

    overrides: Sequence[str] = ()
    choices: Mapping[str, str | None] = field(default_factory=dict)
