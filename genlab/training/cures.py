"""Cures that a warning advises, in keys that the model at hand really has."""

import inspect
from collections.abc import Mapping, Sequence

from genlab.training.generative_module import GenerativeModule

__all__ = ["cures"]


def cures(module: GenerativeModule, keys: Sequence[str], smaller: Sequence[str] = ()) -> str:
    """Usual cures, as a line's end. The two plus signs take a key whether or not the config
    has it: some leave it at its default.

    Args:
        module: What trains.
        keys: ``key=value`` of a model's own arguments, of whatever family; some need a second.
        smaller: Its arguments of which a smaller value helps.
    """
    taken = inspect.signature(type(module.model).__init__).parameters
    found = [
        " ".join(f"++model.{word}" for word in text.split())
        for text in keys
        if all(word.partition("=")[0] in taken for word in text.split())
    ]
    found += [f"a smaller model.{key}" for key in smaller if key in taken]
    return f"usual cures: {', '.join([*found, f'a smaller {learning_rate(module)}'])}"


def learning_rate(module: GenerativeModule) -> str:
    """The key of the learning rate, of each player's where they have optimizers of their own."""
    players = module.make_optimizer if isinstance(module.make_optimizer, Mapping) else ()
    return " and ".join(f"optimizer.{player}.lr" for player in players) or "optimizer.lr"
