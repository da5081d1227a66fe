"""Builder of a multi-scale flow."""

import dataclasses
from dataclasses import dataclass
from typing import Literal

from genlab.errors import ConfigError
from genlab.nn.flows.actnorm import ActNorm
from genlab.nn.flows.conditioner import make_conditioner
from genlab.nn.flows.coupling import Coupling, split_sizes
from genlab.nn.flows.elementwise import ElementwiseName, make_elementwise
from genlab.nn.flows.invertible import Chain, Flatten, Invertible
from genlab.nn.flows.lu import InvertibleLinear, Riffle
from genlab.nn.flows.multiscale import FactorOut, TopPrior
from genlab.nn.flows.squeeze import Squeeze

__all__ = ["FlowPlan", "MixName", "build_flow"]

MixName = Literal["lu", "riffle"]
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class FlowPlan:
    """Plan of a flow; the words are those of `genlab.models.flow.Flow`."""

    coupling: ElementwiseName = "affine"
    bins: int = 8
    mix: MixName = "lu"
    actnorm: bool = True
    checkerboard: bool = False
    steps: int = 4
    width: int = 32
    depth: int = 1
    top_steps: int = 0
    top_width: int = 128
    top_depth: int = 1
    context: int = 0
    recompute: bool = False


def build_flow(plan: FlowPlan, shape: Shape, scales: int) -> Chain:
    """The flow from maps of a shape to vectors of as many numbers.

    Args:
        plan: What to build it of.
        shape: ``(C, H, W)``.
        scales: How many at most; squeezing ends at an odd side.

    Raises:
        ConfigError: No coupling is left: neither a scale nor a step of the vector.
    """
    return _scale(plan, shape, scales, channels=shape[0], done=0)


def _scale(plan: FlowPlan, shape: Shape, scales: int, channels: int, done: int) -> Chain:
    squeezes = not plan.checkerboard or shape[0] == channels
    odd = shape[1] % 2 == 1 or shape[2] % 2 == 1
    if scales == 0 or (squeezes and odd):
        return _top(plan, shape, done)
    maps: list[Invertible] = []
    if squeezes:
        squeeze = Squeeze(shape)
        maps, shape = [squeeze], squeeze.after
    maps += _couplings(plan, shape, plan.steps, plan.width, plan.depth)
    stays, leaves = split_sizes(shape[0])
    staying = (stays, *shape[1:])
    prior = make_conditioner(staying, 2 * leaves, width=plan.width, depth=0, context=plan.context)
    wider = dataclasses.replace(plan, width=plan.width * 2) if squeezes else plan
    rest = _scale(wider, staying, scales - 1, channels, done + 1)
    return Chain([*maps, FactorOut(shape, prior, rest)], plan.recompute)


def _top(plan: FlowPlan, shape: Shape, scales: int) -> Chain:
    flat = Flatten(shape)
    n = flat.after[0]
    if plan.top_steps == 0 and scales == 0:
        raise ConfigError(
            f"model.top_steps=0: images of {shape[1]}x{shape[2]} go through the flow as a vector "
            "(model.scales=0, or an odd side), so it must be at least 1"
        )
    maps: list[Invertible] = [flat]
    if plan.top_steps and n > 1:
        # Every other number in each half, rather than the upper and the lower half of an image.
        maps += [Riffle(n)]
        maps += _couplings(plan, (n,), plan.top_steps, plan.top_width, plan.top_depth)
    return Chain([*maps, TopPrior(n, plan.context)], plan.recompute)


def _couplings(
    plan: FlowPlan, shape: tuple[int, ...], steps: int, width: int, depth: int
) -> list[Invertible]:
    function = make_elementwise(plan.coupling, bins=plan.bins)
    channels = shape[0]
    maps: list[Invertible] = []
    for step in range(steps):
        if plan.actnorm:
            maps.append(ActNorm(channels))
        # A matrix that starts by reversing the channels already swaps the halves.
        swap = plan.mix == "riffle" and step % 2 == 1
        if plan.mix == "lu":
            maps.append(InvertibleLinear(channels, reverse=step > 0))
        elif step and step % 2 == 0:
            maps.append(Riffle(channels))
        given, changing = Coupling.counts(channels, swap)
        network = make_conditioner(
            (given, *shape[1:]),
            changing * function.size,
            width=width,
            depth=depth,
            context=plan.context,
        )
        maps.append(Coupling(channels, network, function, swap=swap))
    return maps
