"""Mean and covariance of features, gathered batch by batch in float64."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from genlab.errors import DataError

__all__ = ["Moments", "StreamingMoments"]


@dataclass(frozen=True)
class Moments:
    """Mean and covariance (with divisor n - 1) of n feature vectors of dimension d.

    Either `rows` is given, the centred vectors over sqrt(n - 1), which is exact and cheap while
    n < d, or `covariance` is. All tensors are float64.

    Args:
        n: Number of vectors.
        mean: ``(d,)``.
        rows: ``(n, d)`` with ``covariance == rows.T @ rows``, or None.
        full: ``(d, d)``, or None where there are rows.

    Example:
        >>> m = Moments.of(torch.tensor([[0.0], [2.0]]))
        >>> m.mean.item(), m.covariance.item()
        (1.0, 2.0)
    """

    n: int
    mean: Tensor
    rows: Tensor | None = None
    full: Tensor | None = None

    @classmethod
    def of(cls, features: Tensor) -> "Moments":
        """Moments of features ``(n, d)``."""
        stream = StreamingMoments()
        for part in features.split(4096):
            stream.update(part)
        return stream.finish()

    @property
    def dim(self) -> int:
        return len(self.mean)

    @property
    def covariance(self) -> Tensor:
        """``(d, d)``, whichever way it is held."""
        if self.full is not None:
            return self.full
        assert self.rows is not None
        return self.rows.T @ self.rows

    @property
    def trace(self) -> Tensor:
        """Trace of the covariance."""
        if self.full is not None:
            return self.full.trace()
        assert self.rows is not None
        return self.rows.square().sum()

    @cached_property
    def root(self) -> Tensor:
        """Some R ``(r, d)`` with ``covariance == R.T @ R``: the rows, or an eigen-decomposition.

        Worked out once: the reference's serves every later distance to it.
        """
        if self.rows is not None:
            return self.rows
        values, vectors = torch.linalg.eigh(self.covariance)
        return values.clamp(min=0).sqrt()[:, None] * vectors.T


class StreamingMoments:
    """Gathers `Moments` batch by batch.

    While there are fewer vectors than dimensions it keeps the vectors; from then on it keeps sums,
    shifted by the first batch's mean so that no digits cancel.
    """

    def __init__(self) -> None:
        self.n = 0
        self._kept: list[Tensor] = []
        self._shift: Tensor | None = None
        self._sum = torch.zeros(0)
        self._outer = torch.zeros(0)

    def update(self, features: Tensor) -> None:
        """Adds features ``(b, d)``."""
        x = features.detach().to("cpu", torch.float64)
        self.n += len(x)
        if self._shift is not None:
            self._add(x - self._shift)
            return
        self._kept.append(x)
        if self.n >= x.shape[1]:
            kept = torch.cat(self._kept)
            self._shift, self._kept = kept.mean(0), []
            self._sum = torch.zeros_like(self._shift)
            self._outer = torch.zeros(len(self._shift), len(self._shift), dtype=torch.float64)
            self._add(kept - self._shift)

    def _add(self, x: Tensor) -> None:
        self._sum += x.sum(0)
        self._outer.addmm_(x.T, x)

    def finish(self) -> Moments:
        """The moments of all that was added.

        Raises:
            DataError: Fewer than two vectors, or one that is not finite.
        """
        if self.n < 2:
            raise DataError(f"a covariance needs at least 2 images, got n={self.n}")
        if self._shift is None:
            x = torch.cat(self._kept)
            mean = x.mean(0)
            moments = Moments(self.n, mean, rows=(x - mean) / (self.n - 1) ** 0.5)
        else:
            delta = self._sum / self.n
            outer = self._outer - self.n * torch.outer(delta, delta)
            moments = Moments(self.n, self._shift + delta, full=outer / (self.n - 1))
        if not torch.isfinite(moments.trace):
            raise DataError("the features are not finite (NaN or infinity): broken weights?")
        return moments
