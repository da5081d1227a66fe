"""Interface of the sampling engines, and the choice of the fastest."""

from collections.abc import Callable
from typing import Protocol

from torch import Tensor, nn

from genlab.nn.causal.layers import Pointwise
from genlab.nn.causal.sampling.cached import Cached
from genlab.nn.causal.sampling.wavefront import Wavefront, lag

__all__ = ["Engine", "choose_engine", "is_wavefront_faster"]

LIMIT = 2000
"""Channels of a site, of all images, for each site of a line."""


class Engine(Protocol):
    """A causal network's output at one line of sites after the other.

    An engine is made of a network, an image whose first rows are done, a context and the number of
    these rows; `Cached` has the details. Use: for each line `begin`; then `params` and `put`, once,
    or several times where the channels of a site are drawn one after the other.
    """

    lines: list[list[int]]
    """Sites by their numbers in raster order, ascending: those of a line are computed at once."""

    def begin(self, line: int) -> None:
        """Comes to a line, the sites of all lines before being known."""

    def params(self) -> Tensor:
        """The output at the sites of the line, ``(sites, B, P)``; valid until the next call."""

    def put(self, value: Tensor) -> None:
        """Makes the sites of the line known, ``(sites, B, C)``, as far as they are drawn."""


def choose_engine(
    network: nn.Module, image: Tensor, context: Tensor | None = None, rows: int = 0
) -> Engine:
    """The fastest engine of a network, or that which its method `engine` makes.

    Arguments and errors are those of `Cached`.
    """
    own: Callable[..., Engine] | None = getattr(network, "engine", None)
    if own is not None:
        return own(image, context, rows)
    faster = is_wavefront_faster(network, tuple(image.shape), image.device.type)
    return (Wavefront if faster else Cached)(network, image, context, rows)


def is_wavefront_faster(network: nn.Module, shape: tuple[int, ...], device: str = "cpu") -> bool:
    """True if the sites of a line are computed faster at once than one after the other.

    At once, operations are fewer and larger, but do a little more. So it pays where a line has
    many sites, and where the work at a site, of all images, is little beside the start of an
    operation. The limit is measured, see ``docs/sampling.md``; on a GPU starts are all that counts.

    Args:
        network: The network.
        shape: Of the image, ``(B, C, H, W)``.
        device: Type of the device.
    """
    batch, _, height, width = shape
    behind = lag(network)
    if behind is None or behind >= width:
        return False
    lines = behind * (height - 1) + width
    widest = max(m.weight.shape[1] for m in network.modules() if isinstance(m, Pointwise))
    return device != "cpu" or batch * widest * lines <= LIMIT * height * width
