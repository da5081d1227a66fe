"""Search for the layer that a NaN or an infinity comes from."""

import copy
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from genlab.models.base import GenerativeModel
from genlab.rng import isolated
from genlab.types import Batch

__all__ = [
    "CURES",
    "all_finite",
    "describe",
    "describe_gradient",
    "finite_gradients",
    "first_nonfinite",
]


CURES = "Usual cures: a smaller optimizer.lr, trainer.clip=1"


def describe(
    model: GenerativeModel,
    batch: Batch,
    images_seen: int,
    player: str | None = None,
    step: int | None = None,
) -> str:
    """The message about a loss that is not finite: step, player, layer and usual cures.

    Args:
        model: The model.
        batch: The batch that it was of.
        images_seen: When it was found.
        player: Whose loss; all players are looked at if None.
        step: Steps before, if it is known which step it was.
    """
    players = model.players if player is None else (player,)
    places = (first_nonfinite(model, batch, name) for name in players)
    where = next((place for place in places if place is not None), "what a repetition did not show")
    whose = f"the {player}'s loss" if player is not None and len(model.players) > 1 else "the loss"
    when = f"in step {step + 1:,}, " if step is not None else ""
    return (
        f"{whose} is not finite ({when}after {images_seen:,} images) because of {where}; nothing "
        f"of it was saved. {CURES}"
    )


def describe_gradient(model: GenerativeModel, images_seen: int, step: int) -> str:
    """The message about a gradient that is not finite while the loss is."""
    names = [n for n, p in model.named_parameters() if not all_finite(p.grad)]
    more = f" and of {len(names) - 1} more weights" if len(names) > 1 else ""
    return (
        f"the gradient of {names[0] if names else 'a weight'}{more} is not finite (in step "
        f"{step + 1:,}, after {images_seen:,} images), though the loss is; nothing of it was "
        f"saved. {CURES}"
    )


def finite_gradients(optimizer: Optimizer) -> bool:
    """True if all gradients are finite that an optimizer is about to take a step by.

    NaN and infinity survive a sum, and a sum of each gradient is the cheapest look at all of it.
    """
    return all(
        math.isfinite(parameter.grad.sum())
        for group in optimizer.param_groups
        for parameter in group["params"]
        if parameter.grad is not None
    )


def first_nonfinite(model: GenerativeModel, batch: Batch, player: str = "model") -> str | None:
    """The first layer whose output is not finite, when the loss is computed once more.

    It works on a copy of the model with random numbers of its own: nothing outside changes. What
    it needs is a forward and at most one backward pass; it is for the moment of failure.

    Args:
        model: The model whose loss, or whose gradient, was not finite.
        batch: The batch that it was of.
        player: Whose loss.

    Returns:
        One line that names the first layer whose output is not finite, and whether its input or
        its weights already were not; or, if the loss is finite, the first weight whose gradient is
        not. None if all is finite: it took the random numbers of that step, or an optimizer.
    """
    watched = copied(model)
    found: list[str] = []

    def watch(name: str, layer: nn.Module) -> None:
        def hook(layer: nn.Module, given: Any, output: Any) -> None:
            # Hooks of inner layers come first, so the first report is of the innermost one.
            if not found and not all_finite(output):
                found.append(f"{name} ({type(layer).__name__}): {cause(layer, given)}")

        layer.register_forward_hook(hook)

    for name, layer in watched.named_modules():
        if name:
            watch(name, layer)
    with isolated(0, "nonfinite"), torch.enable_grad():
        loss = watched.loss(batch, player)
        if found:
            return found[0]
        if not all_finite(loss.total):
            parts = [name for name, part in loss.parts.items() if not all_finite(part)]
            return f"the loss itself ({', '.join(parts) or 'its total'}): every layer is finite"
        named = [(n, p) for n, p in watched.named_parameters() if p.requires_grad]
        if not loss.total.requires_grad:
            return None
        gradients = torch.autograd.grad(loss.total, [p for _, p in named], allow_unused=True)
    for (name, _), gradient in zip(named, gradients, strict=True):
        if gradient is not None and not all_finite(gradient):
            return f"the gradient of {name}: the loss is finite"
    return None


def copied(model: GenerativeModel) -> GenerativeModel:
    """A copy of a model and of what it keeps between steps, cut from the graph that made it."""
    kept = [t for module in model.modules() for t in tensors(list(vars(module).values()))]
    memo = {id(t): t.detach().clone() for t in kept if t.grad_fn is not None}
    return copy.deepcopy(model, memo)


def cause(layer: nn.Module, given: Any) -> str:
    """The cause at a layer: its weights, its input, or the layer itself."""
    weights = [
        name
        for name, tensor in [*layer.named_parameters(), *layer.named_buffers()]
        if not all_finite(tensor)
    ]
    if weights:
        return f"its output is not finite, and its weights already are not ({', '.join(weights)})"
    if not all_finite(given):
        return "its output is not finite, and its input already was not"
    return "its output is the first that is not finite; its input and weights are"


def all_finite(value: Any) -> bool:
    """True if all floats in tensors, and in containers of tensors, are finite."""
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors(value))


def tensors(value: Any) -> Iterator[Tensor]:
    """The floating-point tensors inside tuples, lists and dictionaries."""
    if isinstance(value, Tensor):
        if value.is_floating_point():
            yield value
    elif isinstance(value, dict):
        yield from tensors(list(value.values()))
    elif isinstance(value, tuple | list):
        for part in value:
            yield from tensors(part)
