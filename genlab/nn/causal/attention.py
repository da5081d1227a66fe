"""Attention to earlier pixels, with the keys and values of all of them kept."""

import torch
import torch.nn.functional as F
from torch import Tensor

from genlab.nn.causal.layers import CausalLayer, Domain, State

__all__ = ["CausalAttention"]


class CausalAttention(CausalLayer):
    """Scaled dot product attention of each pixel to those before it, in raster order.

    A strict one never looks at its own pixel's key and value, so these may know the pixel (as in
    PixelSNAIL, Chen et al. 2018, arXiv:1712.09763); then there is a key and a value of zeros in
    front, or the first pixel would have nothing to look at. Otherwise the own key counts, too.

    Args:
        heads: Number of heads, which share the channels out among them.
        strict: Not its own pixel.
    """

    def __init__(self, heads: int, *, strict: bool = False):
        super().__init__()
        self.heads, self.strict = heads, strict

    def domain(self, *inputs: Domain) -> Domain:
        """Of the pixels before: keys and values too, unless strict; the queries always."""
        query, *others = inputs
        return max(Domain.PIXEL, query, *(others if not self.strict else []))

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Maps ``(B, K, H, W)``, ``(B, K, H, W)`` and ``(B, V, H, W)`` to ``(B, V, H, W)``."""
        q, k, v = (self._split(x) for x in (query, key, value))
        if self.strict:
            k, v = (F.pad(x, (0, 0, 1, 0))[:, :, :-1] for x in (k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return y.transpose(-2, -1).reshape(value.shape)

    def start(self, batch: int, height: int, width: int, like: Tensor) -> State:
        """Empty stores of keys and values."""
        return AttentionState(self, batch, height, width, like)

    def _split(self, x: Tensor) -> Tensor:
        """Maps as ``(B, heads, H W, channels of a head)``."""
        if x.shape[2:].numel() == 1:  # with the strides of a transposed pixel, kernels refuse it
            return x.flatten(1).unflatten(1, (self.heads, 1, -1))
        return x.flatten(2).unflatten(1, (self.heads, -1)).transpose(-2, -1)


class AttentionState(State):
    """Keys and values of the pixels so far; of a strict layer, one pixel late."""

    def __init__(self, layer: CausalAttention, batch: int, height: int, width: int, like: Tensor):
        self.layer, self.batch, self.width = layer, batch, width
        self.like, self.size = like, height * width + layer.strict
        self.keys = self.values = like.new_zeros(0)

    def _store(self, time: int, key: Tensor, value: Tensor) -> None:
        if not len(self.keys):
            heads = self.layer.heads
            shape = (self.batch, heads, self.size)
            self.keys = self.like.new_zeros(*shape, key.shape[1] // heads)
            self.values = self.like.new_zeros(*shape, value.shape[1] // heads)
        self.keys[:, :, time] = key.unflatten(1, self.keys.shape[1::2])
        self.values[:, :, time] = value.unflatten(1, self.values.shape[1::2])

    def pixel(self, row: int, column: int, *inputs: Tensor) -> Tensor:
        """Attends to all that is stored."""
        query, key, value = inputs
        time = row * self.width + column
        if not self.layer.strict:
            self._store(time, key, value)
        elif time == 0:
            self._store(0, torch.zeros_like(key), torch.zeros_like(value))
        q = query.unflatten(1, (self.layer.heads, 1, -1))
        k, v = self.keys[:, :, : time + 1], self.values[:, :, : time + 1]
        return F.scaled_dot_product_attention(q, k, v).flatten(1)

    def done(self, row: int, column: int, *inputs: Tensor) -> None:
        """Stores what the next pixel may attend to."""
        time = row * self.width + column + 1
        if self.layer.strict and time < self.size:
            self._store(time, *inputs[1:])

    def fill(self, output: Tensor, *inputs: Tensor) -> None:
        """Stores the keys and values of the rows above."""
        _, key, value = inputs
        first = torch.zeros_like(key[:, :, 0, 0]), torch.zeros_like(value[:, :, 0, 0])
        self._store(0, *first)
        start, count = int(self.layer.strict), key.shape[2] * key.shape[3]
        self.keys[:, :, start : start + count] = self.layer._split(key)
        self.values[:, :, start : start + count] = self.layer._split(value)
