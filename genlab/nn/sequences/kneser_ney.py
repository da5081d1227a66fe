"""Interpolated Kneser-Ney n-grams, exact and vectorized by sorted codes of contexts."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from genlab.errors import ConfigError

__all__ = ["KneserNey"]

TABLES = ("grams", "counts", "contexts", "totals", "kinds")
"""Of each level: n-grams and their counts; contexts, the sums of their counts, and how many
different ids follow them."""


class KneserNey(nn.Module):
    r"""Probability of an id given those before it, interpolated over contexts of 0 to `order` ids.

    .. math::
        p_k(w|h) = \frac{\max(c(hw) - D_k, 0) + D_k\, m(h)\, p_{k-1}(w|h')}{N(h)}

    where c counts occurrences at the longest context and different left neighbours below it, N is
    its sum over w, m the number of w that follow h, h' is h without its first id, and
    :math:`p_{-1} = 1/V`. A context that never occurred takes :math:`p_{k-1}`. It sums to 1 for any
    :math:`0 < D_k < 1`. Kneser and Ney 1995; Chen and Goodman 1999, section 4.1.6.

    What lies before a sequence counts as ids of a kind of their own.

    Args:
        levels: Size of the vocabulary V.
        order: Ids of the longest context.

    Attributes:
        discount_logits: Logits of the discounts D, ``(order + 1,)``.

    Raises:
        ConfigError: Contexts so long that their codes would not fit into 63 bits.
    """

    def __init__(self, levels: int, order: int):
        super().__init__()
        most = longest(levels)
        if order > most:
            raise ConfigError(f"model.order={order}: with {levels} ids at most {most}")
        self.levels, self.order = levels, order
        self.discount_logits = nn.Parameter(torch.zeros(order + 1))
        for k in range(order + 1):
            for table in TABLES:
                self.register_buffer(f"{table}_{k}", torch.empty(0, dtype=torch.int64))

    @property
    def counted(self) -> bool:
        """True where anything was counted."""
        return self.table("grams", 0).numel() > 0

    def table(self, name: str, k: int) -> Tensor:
        """A table of the level of contexts of k ids."""
        return self.get_buffer(f"{name}_{k}")

    @torch.no_grad()
    def count(self, x: Tensor) -> None:
        """Counts sequences ``(N, T)`` in the place of what was counted before.

        The discounts become Ney, Essen and Kneser's estimate n1 / (n1 + 2 n2), from the numbers of
        n-grams that were seen once and twice.
        """
        for k in range(self.order + 1):
            # N-grams: of the longest context each occurrence, below it each different neighbour
            if k == self.order:
                seen = self.codes(x, k).flatten()
            else:
                longer = self.codes(x, k + 1).flatten().unique()
                seen = longer % (self.levels + 1) ** (k + 1)
            grams, counts = seen.unique(return_counts=True)
            # Contexts
            contexts, of = (grams // (self.levels + 1)).unique(return_inverse=True)
            totals = torch.zeros_like(contexts).index_add_(0, of, counts)
            kinds = of.bincount(minlength=len(contexts))
            for name, found in zip(TABLES, (grams, counts, contexts, totals, kinds), strict=True):
                # in place: an average of the weights holds on to the tensors
                self.table(name, k).resize_(found.shape).copy_(found)
            once, twice = (counts == 1).sum(), (counts == 2).sum()
            share = (once / (once + 2 * twice).clamp_min(1)).clamp(0.1, 0.9)
            self.discount_logits[k] = share.logit()

    def codes(self, x: Tensor, k: int) -> Tensor:
        """Codes of each id of ``(N, T)`` with the k before it, int64 ``(N, T)``."""
        code = torch.zeros_like(x)
        for back in range(k, -1, -1):
            code = code * (self.levels + 1) + nn.functional.pad(x + 1, (back, 0))[:, : x.shape[1]]
        return code

    def forward(self, x: Tensor, left_out: bool = False) -> Tensor:
        """Probability of each id of sequences ``(N, T)`` given those before it, ``(N, T)``.

        Args:
            x: The sequences.
            left_out: As if this occurrence of the id had not been counted, for sequences that
                were: what gradients of the discounts are to be taken of.
        """
        levels = [self.codes(x, k) for k in range(self.order + 1)]
        return self.interpolate(levels, left_out)

    def following(self, context: Tensor) -> Tensor:
        """Probabilities of all ids after contexts, ``(B, V)``.

        Args:
            context: The last `order` ids and one more for each, so that 0 is none: ``(B, order)``.
        """
        each = torch.arange(1, self.levels + 1, device=context.device)
        code, levels = torch.zeros_like(context[:, :0].sum(1)), []
        for k in range(self.order + 1):
            if k:  # the id k places back is the first of the context
                code = code + context[:, -k] * (self.levels + 1) ** (k - 1)
            levels.append(code[:, None] * (self.levels + 1) + each)
        return self.interpolate(levels, False)

    def interpolate(self, levels: list[Tensor], left_out: bool) -> Tensor:
        """Probabilities of n-grams, given by their codes at each level."""
        found = [self.look_up(k, code) for k, code in enumerate(levels)]
        if left_out:
            found = without_one(found)
        p = torch.full(levels[0].shape, 1 / self.levels, device=levels[0].device)
        for discount, (count, total, kinds) in zip(
            self.discount_logits.sigmoid(), found, strict=True
        ):
            mass = (count - discount).clamp_min(0) + discount * kinds * p
            p = torch.where(total > 0, mass / total.clamp_min(1), p)
        return p

    def look_up(self, k: int, code: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Counts of n-grams, sums over their contexts, and kinds of ids in those; 0 if unseen."""
        context = code // (self.levels + 1)
        return (
            at(self.table("grams", k), self.table("counts", k), code),
            at(self.table("contexts", k), self.table("totals", k), context),
            at(self.table("contexts", k), self.table("kinds", k), context),
        )

    def _load_from_state_dict(self, state: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        # The tables are as long as what was counted.
        for name, mine in self.named_buffers():
            if isinstance(saved := state.get(prefix + name), Tensor):
                mine.resize_(saved.shape)
        super()._load_from_state_dict(state, prefix, *rest)


def longest(levels: int) -> int:
    """Ids of the longest context whose codes fit into 63 bits.

    Example:
        >>> longest(65), longest(256)
        (9, 6)
    """
    k = 0
    while (levels + 1) ** (k + 2) < 2**63:
        k += 1
    return k


def at(keys: Tensor, values: Tensor, wanted: Tensor) -> Tensor:
    """The values of sorted keys, 0 of keys that are not there."""
    if not keys.numel():
        return torch.zeros_like(wanted)
    index = torch.searchsorted(keys, wanted.contiguous()).clamp_max_(len(keys) - 1)
    return torch.where(keys[index] == wanted, values[index], 0)


def without_one(
    found: list[tuple[Tensor, Tensor, Tensor]],
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Counts as they would be with one occurrence less of each n-gram.

    Below the longest context a count falls only where that was the last of its left neighbour.
    """
    less, falls = [], torch.ones_like(found[-1][0])
    for count, total, kinds in reversed(found):
        falls = torch.where(count > 0, falls, 0)  # what was never counted cannot be taken away
        last = falls * (count == 1)
        less.append((count - falls, total - falls, kinds - last))
        falls = last
    return less[::-1]
