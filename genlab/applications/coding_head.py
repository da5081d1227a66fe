"""Pixel head that codes: an autoregressive model's own sampler as the encoder and the decoder.

Both run the very operations of sampling, on tensors of the same shapes, so that both have the same
probabilities to the last bit. A forward pass over the whole image is quicker and has other last
bits, which is the end of a decoder.
"""

from importlib import import_module
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genlab.errors import DataError, Unsupported
from genlab.nn.heads.base import Head

__all__ = ["CodingHead", "Decoder", "Encoder"]

GRID = 2.0**-12
"""Step that the head's parameters are rounded to in a portable file."""

FREQUENCY_BITS = 18
"""Of the integer frequencies of a portable file."""

GUARD, GUARD_P = 2.0**-40, 2.0**-46
"""Distance from a rounding boundary, of a parameter and of a probability, below which another
processor might round to the other side: far above the last bits of float64."""


def constriction() -> Any:
    """The library of entropy coders.

    Raises:
        Unsupported: It is not installed.
    """
    try:
        return import_module("constriction")
    except ImportError:
        raise Unsupported(
            "compression needs the package constriction: pip install 'genlab[compress]'"
        ) from None


class Coder(Protocol):
    """A range coder at one end of a file."""

    def symbols(self, given: NDArray[np.int32], p: NDArray[np.float32]) -> NDArray[np.int32]:
        """Codes symbols: takes those that are given, or finds them; returns them.

        Args:
            given: Symbols ``(n,)``, of no meaning to a decoder.
            p: Probabilities ``(n, levels)``.
        """
        ...


class Encoder:
    """Writes symbols."""

    def __init__(self) -> None:
        stream = constriction().stream
        self.coder = stream.queue.RangeEncoder()
        self.family = stream.model.Categorical(perfect=False)

    def symbols(self, given: NDArray[np.int32], p: NDArray[np.float32]) -> NDArray[np.int32]:
        self.coder.encode(given, self.family, p)
        return given

    def content(self) -> bytes:
        """What was written, little-endian words."""
        words: NDArray[np.uint32] = self.coder.get_compressed()
        return words.astype("<u4").tobytes()


class Decoder:
    """Reads symbols."""

    def __init__(self, content: bytes):
        stream = constriction().stream
        words = np.frombuffer(content, "<u4").astype(np.uint32)
        self.coder = stream.queue.RangeDecoder(words)
        self.family = stream.model.Categorical(perfect=False)

    def symbols(self, given: NDArray[np.int32], p: NDArray[np.float32]) -> NDArray[np.int32]:
        try:
            return np.asarray(self.coder.decode(self.family, p), np.int32)
        except AssertionError as error:  # invalid data
            raise DataError(f"the compressed data make no sense: {error}") from None


class CodingHead(Head):
    """Head in the place of a model's own, whose `quantile` codes pixels instead of drawing them.

    Args:
        head: The model's own, of one channel.
        coder: One end of the file.
        portable: Probabilities that another processor finds, too: rounded parameters in float64,
            integer frequencies.

    Attributes:
        bits: Ideal length of what was coded, in bits.
        near: Whether a number came so near a rounding boundary that another processor might round
            it otherwise.
    """

    def __init__(self, head: Head, coder: Coder, portable: bool = False):
        torch.nn.Module.__init__(self)
        if head.image_channels != 1:
            raise Unsupported(
                "compression codes a channel at a time; this model's pixels have "
                f"{head.image_channels} at once: train one with model.flat=true, as image_gpt is"
            )
        self.inner, self.coder, self.portable = head, coder, portable
        self.image_channels, self.levels = 1, head.levels
        self.channels, self.uniforms = head.channels, 1
        self.bits, self.near = 0.0, False

    def pixel_log_prob(
        self, params: Tensor, x: Tensor, *, generator: torch.Generator | None = None
    ) -> Tensor:
        return self.inner.pixel_log_prob(params, x, generator=generator)

    def mean(self, params: Tensor) -> Tensor:
        return self.inner.mean(params)

    def quantile(self, params: Tensor, u: Tensor, temperature: float = 1.0) -> Tensor:
        """The pixels of a line, given as levels in the place of noise, or read from the file."""
        p = self.probabilities(params.reshape(-1, *params.shape[-3:]))
        given = u.reshape(-1).round().to(torch.int32).numpy()
        found = self.coder.symbols(given, p)
        self.bits -= float(np.log2(p[np.arange(len(p)), found].astype(np.float64)).sum())
        return torch.from_numpy(found).to(torch.uint8).view(*params.shape[:-3], 1, 1, 1)

    def probabilities(self, params: Tensor) -> NDArray[np.float32]:
        """Probabilities of all levels, ``(n, levels)``, of parameters ``(n, P, 1, 1)``."""
        if self.portable:
            scaled = params.double() / GRID
            rounded = scaled.round()
            self.near |= bool(((scaled - rounded).abs() > 0.5 - GUARD / GRID).any())
            params = rounded * GRID
        levels = torch.arange(self.levels, dtype=torch.uint8).view(-1, 1, 1, 1, 1)
        nats = self.inner.pixel_log_prob(params[None], levels)[..., 0, 0].T
        p = nats.double().softmax(-1)
        if not self.portable:
            return p.float().numpy()
        scaled = p * (2**FREQUENCY_BITS - self.levels)
        whole = scaled.round()
        self.near |= bool(((scaled - whole).abs() > 0.5 - GUARD_P * 2**FREQUENCY_BITS).any())
        frequencies = whole.long() + 1
        missing = 2**FREQUENCY_BITS - frequencies.sum(1, keepdim=True)
        frequencies.scatter_add_(1, frequencies.argmax(1, keepdim=True), missing)
        return (frequencies.double() / 2**FREQUENCY_BITS).float().numpy()
