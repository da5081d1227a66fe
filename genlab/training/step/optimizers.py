"""Optimizers of a model: one for each player, over the parameters that it trains."""

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import nn
from torch.optim import Optimizer

from genlab.errors import ConfigError
from genlab.models.base import GenerativeModel

__all__ = ["OptimizerFactory", "build_optimizers", "check_optimizer"]

OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]


def build_optimizers(
    model: GenerativeModel, make: OptimizerFactory | Mapping[str, OptimizerFactory]
) -> list[Optimizer]:
    """The players' optimizers in the players' order; each group keeps its ``initial_lr``.

    Args:
        model: The model.
        make: Makes an optimizer of parameters; a mapping gives each player its own.

    Raises:
        ConfigError: A player has no optimizer, or nothing left to train.
    """
    optimizers = []
    for player in model.players:
        factory = make.get(player) if isinstance(make, Mapping) else make
        if factory is None:
            raise ConfigError(f"optimizer: one for the {player} is missing")
        parameters = [p for p in model.player(player).parameters() if p.requires_grad]
        if not parameters:
            raise ConfigError(f"freeze: the {player} has no parameter left to train")
        optimizers.append(factory(parameters))
        for group in optimizers[-1].param_groups:
            group.setdefault("initial_lr", group["lr"])
    return optimizers


def check_optimizer(
    model: GenerativeModel,
    make: OptimizerFactory | Mapping[str, OptimizerFactory],
    clip: float | None,
) -> None:
    """Refuses what would not train a family whose update is a step of gradient descent by design.

    Args:
        model: The model.
        make: See `build_optimizers`; what Hydra made of a config.
        clip: The largest norm of a gradient, or None.

    Raises:
        ConfigError: Another optimizer than plain SGD, or a clipped gradient.
    """
    if model.optimizer is None:
        return
    name, right = type(model).__name__, f"optimizer={model.optimizer}"
    made = getattr(make, "func", None)
    if made is not torch.optim.SGD:
        given = "one for each player" if made is None else made.__name__
        raise ConfigError(
            f"optimizer: {name} is trained by steps of plain SGD, not by {given}: take {right}"
        )
    if clip is not None:
        raise ConfigError(
            f"trainer.clip={clip}: the updates of {name} are no gradients to clip: take "
            "trainer.clip=null"
        )
