"""Randomness of its own for each example, so that neither their number nor the batch matters."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from genlab.rng import key, stream

__all__ = ["RowGenerator", "categorical", "normal", "part_of", "portions", "uniform"]


class RowGenerator(torch.Generator):
    """A generator for each example of a batch, keyed by the example's own number.

    `normal`, `uniform` and `categorical` draw each row from its own, so that example i of a seed
    is the same however many are drawn at a time. To torch itself it is one generator, keyed by the
    first example: a model that calls ``torch.randn`` with it is reproducible, batch for batch.

    Args:
        seed: Key of the streams.
        purpose: What they are for.
        rows: The numbers of the examples, one after the other.
        device: Of the generator that torch sees; the rows are drawn on the CPU, and are the same
            on all devices.

    Example:
        >>> both = normal((2, 3), RowGenerator(0, "samples", range(2)))
        >>> torch.equal(both[1:], normal((1, 3), RowGenerator(0, "samples", range(1, 2))))
        True
    """

    rows: Sequence[torch.Generator]

    def __new__(
        cls, seed: int, purpose: str, rows: range, device: torch.device | str = "cpu"
    ) -> "RowGenerator":
        return super().__new__(cls, device)  # type: ignore[call-arg]

    def __init__(
        self, seed: int, purpose: str, rows: range, device: torch.device | str = "cpu"
    ) -> None:
        self.manual_seed(key(seed, purpose, rows.start))
        self.rows = [stream(seed, purpose, row) for row in rows]

    def part(self, rows: slice) -> "RowGenerator":
        """The same generators of some of the examples."""
        other = RowGenerator(0, "", range(0), self.device)
        other.set_state(self.get_state())
        other.rows = self.rows[rows]
        return other

    def stacked(self, draw: Callable[..., Tensor], shape: Sequence[int]) -> Tensor:
        """Draws of each example's generator, on the CPU.

        Raises:
            ValueError: The first dimension is not that of the examples.
        """
        if shape[0] != len(self.rows):
            raise ValueError(f"{len(self.rows)} examples have no noise of shape {tuple(shape)}")
        dtype, count = torch.get_default_dtype(), math.prod(shape[1:])
        out = torch.empty(len(self.rows), count, dtype=dtype)
        for row, generator in zip(out, self.rows, strict=True):
            # of 16 numbers at least: fewer are drawn in another way
            row.copy_(draw(max(count, 16), dtype=dtype, generator=generator)[:count])
        return out.view(*shape)


def part_of(generator: torch.Generator | None, rows: slice) -> torch.Generator | None:
    """The generator of some examples of a batch; one that is no `RowGenerator` is for all."""
    return generator.part(rows) if isinstance(generator, RowGenerator) else generator


def portions(n: int, device: torch.device, most: int = 2048, on_cpu: int = 256) -> list[slice]:
    """Portions of n examples whose memory is bounded: of so many at most, and so many on a CPU."""
    size = on_cpu if device.type == "cpu" else most
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def normal(
    shape: Sequence[int],
    generator: torch.Generator | None = None,
    *,
    device: torch.device | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Standard normal numbers; a `RowGenerator` draws each row from the example's own stream."""
    if isinstance(generator, RowGenerator):
        return generator.stacked(torch.randn, shape).to(device, dtype)
    return torch.randn(tuple(shape), device=device, dtype=dtype, generator=generator)


def uniform(
    shape: Sequence[int],
    generator: torch.Generator | None = None,
    *,
    device: torch.device | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Numbers that are uniform on [0, 1); see `normal`."""
    if isinstance(generator, RowGenerator):
        return generator.stacked(torch.rand, shape).to(device, dtype)
    return torch.rand(tuple(shape), device=device, dtype=dtype, generator=generator)


def categorical(p: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
    """Indices drawn with probabilities ``(..., K)``, n of each: ``(n, ...)``; see `normal`."""
    flat = p.reshape(-1, p.shape[-1])
    if not isinstance(generator, RowGenerator):
        if p.dim() == 1:
            return torch.multinomial(p, n, replacement=True, generator=generator)
        drawn = torch.multinomial(flat, n, replacement=True, generator=generator)
        return drawn.T.reshape(n, *p.shape[:-1])
    u = uniform((n, len(flat)), generator, device=p.device, dtype=p.dtype)
    ends = flat.cumsum(-1)
    index = torch.searchsorted(ends, (u.T * ends[:, -1:]).contiguous(), right=True).T
    return index.clamp_(max=p.shape[-1] - 1).reshape(n, *p.shape[:-1])
