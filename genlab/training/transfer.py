"""Starting from another run's weights, and keeping some of them as they are."""

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from genlab.errors import ConfigError, nearest

__all__ = ["Transfer", "freeze", "load_what_fits"]


@dataclass(frozen=True)
class Transfer:
    """Result of taking over weights from another model.

    Args:
        loaded: Names that were taken over.
        reshaped: Names that exist on both sides with different shapes.
        missing: Names that only the new model has.
        unused: Names that only the old model has.
    """

    loaded: list[str]
    reshaped: list[str]
    missing: list[str]
    unused: list[str]

    def __str__(self) -> str:
        parts = [f"{len(self.loaded)} tensors loaded"]
        for label, names in (
            ("other shape", self.reshaped),
            ("not in the old model", self.missing),
            ("not in the new model", self.unused),
        ):
            if names:
                shown = ", ".join(names[:4]) + (" ..." if len(names) > 4 else "")
                parts.append(f"{len(names)} {label} ({shown})")
        return "; ".join(parts)


def load_what_fits(model: nn.Module, weights: Mapping[str, Tensor]) -> Transfer:
    """Takes over every tensor whose name and shape agree.

    Raises:
        ConfigError: None does.
    """
    own = model.state_dict()
    loaded = [n for n, t in own.items() if n in weights and weights[n].shape == t.shape]
    reshaped = [n for n, t in own.items() if n in weights and weights[n].shape != t.shape]
    if not loaded:
        raise ConfigError("init_from: no tensor of that run has the name and shape of one here")
    model.load_state_dict({name: weights[name] for name in loaded}, strict=False)
    return Transfer(
        loaded,
        reshaped,
        missing=[name for name in own if name not in weights],
        unused=[name for name in weights if name not in own],
    )


def freeze(model: nn.Module, patterns: Iterable[str]) -> list[str]:
    """Keeps the parameters that match a shell pattern as they are; returns their names.

    Raises:
        ConfigError: A pattern matches no parameter.
    """
    names = [name for name, _ in model.named_parameters()]
    frozen: list[str] = []
    for pattern in patterns:
        matched = fnmatch.filter(names, pattern)
        if not matched:
            raise ConfigError(
                f"freeze: {pattern!r} matches no parameter{nearest(pattern, names)}"
                f" (there are {', '.join(sorted({n.split('.')[0] for n in names}))})"
            )
        frozen += matched
    for name, parameter in model.named_parameters():
        if name in frozen:
            parameter.requires_grad_(False)
    return frozen
