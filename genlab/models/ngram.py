"""Interpolated Kneser-Ney n-grams as a family: counted rather than trained."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from genlab.errors import ConfigError
from genlab.modalities.sequences.characters import encode
from genlab.models.base import GenerativeModel
from genlab.nn.sequences.kneser_ney import KneserNey
from genlab.ranges import PositiveFloat, PositiveInt
from genlab.row_streams import uniform
from genlab.types import Batch, Loss, SequenceSpec, Tempered

__all__ = ["NGram", "TextSampling"]


@dataclass(frozen=True)
class TextSampling(Tempered):
    """Options of a family that draws a sequence id by id.

    Args:
        temperature: Scale of the log-probabilities; 1 samples from the model itself.
        top_k: Draw among the k most probable ids only; None: among all.
        top_p: Draw among the fewest most probable ids that have at least this probability together.
        prompt: What each text begins with, character by character.
    """

    top_k: PositiveInt | None = None
    top_p: PositiveFloat = 1.0
    prompt: str = ""


class NGram(GenerativeModel):
    """Interpolated Kneser-Ney n-gram: an exact likelihood by counting.

    It counts all training sequences before the first step. Steps then fit the discounts, a number
    for each length of context, by the leaving-one-out likelihood of training sequences (Ney, Essen
    and Kneser 1994): the likelihood itself would take a text for known that it has counted.

    Args:
        spec: Kind and geometry of the sequences.
        order: Ids of the longest context.
    """

    accepts = (SequenceSpec,)
    conditions = ()
    sampling_options = TextSampling
    likelihood = "exact"
    begins_with_all: ClassVar[bool] = True
    spec: SequenceSpec

    def __init__(self, spec: SequenceSpec, order: PositiveInt = 5):
        super().__init__(spec)
        self.counts = KneserNey(spec.levels, order)

    def begin(self, batches: Iterable[Batch]) -> None:
        self.counts.count(torch.cat([batch.x for batch in batches]).to(self.device))

    def compilable(self) -> tuple[str, ...]:
        return ()  # tables as long as what was counted

    def loss(self, batch: Batch, player: str = "model") -> Loss:
        """Leaving-one-out negative log-likelihood, nats per sequence."""
        if not self.counts.counted:
            self.counts.count(batch.x)
        p = self.counts(batch.x, left_out=True)
        total = -p.log().sum(1).mean()
        return Loss(total, {"loss": total.detach()})

    def log_prob(
        self, batch: Batch, *, samples: int = 1, generator: torch.Generator | None = None
    ) -> Tensor:
        return self.counts(batch.x).double().log().sum(1)

    def draw(
        self, n: int, y: Tensor | None, generator: torch.Generator | None, options: TextSampling
    ) -> Tensor:
        """Draws by inverse distribution functions, id by id."""
        length, order = self.spec.length, self.counts.order
        given = self.prompted(options.prompt)
        # A column of zeros for each id before the first
        x = torch.zeros(n, order + length, dtype=self.spec.dtype, device=self.device)
        x[:, order : order + len(given)] = given + 1
        u = uniform((n, length), generator, device=self.device)
        for t in range(len(given), length):
            p = restricted(self.counts.following(x[:, t : t + order]), options)
            ends = p.cumsum(1)
            drawn = torch.searchsorted(ends, u[:, t, None] * ends[:, -1:], right=True)
            # at the last one that can be drawn, where rounding takes u to the end
            most = (p > 0).long().cumsum(1).argmax(1, keepdim=True)
            x[:, order + t] = drawn.minimum(most)[:, 0] + 1
        return x[:, order:] - 1

    def prompted(self, prompt: str) -> Tensor:
        """Ids of a prompt.

        Raises:
            ConfigError: The data has no characters, lacks one of them, or the prompt is too long.
        """
        if not prompt:
            return torch.empty(0, dtype=self.spec.dtype, device=self.device)
        if self.spec.vocabulary is None:
            raise ConfigError("sampling.prompt: this data has no characters")
        if len(prompt) > self.spec.length:
            raise ConfigError(
                f"sampling.prompt: {len(prompt)} characters, and the texts have {self.spec.length}"
            )
        return encode(prompt, self.spec.vocabulary, "sampling.prompt").to(self.device)


def restricted(p: Tensor, options: TextSampling) -> Tensor:
    """Probabilities ``(B, V)`` at a temperature, of the most probable ids only; not normalized.

    Example:
        >>> p = torch.tensor([[0.5, 0.3, 0.2]])
        >>> restricted(p, TextSampling(top_k=2)), restricted(p, TextSampling(top_p=0.6))
        (tensor([[0.5000, 0.3000, 0.0000]]), tensor([[0.5000, 0.3000, 0.0000]]))
    """
    if options.temperature != 1:
        p = (p.log() / options.temperature).softmax(1)
    ranked, order = p.sort(dim=1, descending=True, stable=True)
    keep = torch.ones_like(ranked, dtype=torch.bool)
    if options.top_k is not None:
        keep[:, options.top_k :] = False
    if options.top_p < 1:
        keep &= ranked.cumsum(1) - ranked < options.top_p
    return torch.zeros_like(p).scatter(1, order, ranked * keep)
