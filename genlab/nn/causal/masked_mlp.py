"""A masked multilayer perceptron (MADE) whose units are sorted by what they may see."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["CachedMLP", "MaskedLinear", "MaskedMLP"]


class MaskedLinear(nn.Module):
    """A linear layer in which each unit sees inputs up to its own degree only.

    Args:
        inputs: Degrees of the inputs, ascending.
        outputs: Degrees of the outputs, ascending.
        scale: Factor on the initial weights.
    """

    mask: Tensor

    def __init__(self, inputs: Tensor, outputs: Tensor, scale: float = 1.0):
        super().__init__()
        mask = (inputs[None] <= outputs[:, None]).to(torch.get_default_dtype())
        seen = mask.sum(1, keepdim=True).clamp_min(1)
        self.weight = nn.Parameter(scale * seen.rsqrt() * torch.randn_like(mask) * mask)
        self.bias = nn.Parameter(torch.zeros(len(outputs)))
        self.register_buffer("mask", mask, persistent=False)

    def matrix(self) -> Tensor:
        """The weights that count."""
        return self.weight * self.mask

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs)`` to ``(B, outputs)``."""
        return F.linear(x, self.matrix(), self.bias)


class MaskedMLP(nn.Module):
    """MADE (Germain et al. 2015, arXiv:1502.03509): an autoregressive network without weights
    shared over pixels. A unit of degree d sees the first d pixels.

    Args:
        size: Height and width of the image of one channel.
        outputs: Parameters P of a pixel.
        hidden: Units of a hidden layer.
        depth: Number of hidden layers.
        dropout: Probability of dropout of hidden units.
        context: Channels of the context, 0 for none.
    """

    def __init__(
        self,
        size: tuple[int, int],
        outputs: int,
        *,
        hidden: int,
        depth: int,
        dropout: float = 0.0,
        context: int = 0,
    ):
        super().__init__()
        self.size, self.outputs = size, outputs
        pixels = size[0] * size[1]
        pixel = torch.arange(1, pixels + 1)
        units = 1 + torch.arange(hidden) * max(pixels - 1, 1) // hidden
        self.degrees = [pixel, *[units] * depth, (pixel - 1).repeat_interleave(outputs)]
        pairs = zip(self.degrees, self.degrees[1:], strict=False)
        scales = [2**0.5] * depth + [0.1]
        self.layers = nn.ModuleList(
            MaskedLinear(*pair, scale) for pair, scale in zip(pairs, scales, strict=True)
        )
        self.context = nn.ModuleList(
            nn.Linear(context, hidden, bias=False) for _ in range(depth if context else 0)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        """An image ``(B, 1, H, W)`` on [-1, 1] to parameters ``(B, P, H, W)``."""
        y = x.flatten(1)
        *hidden, last = self.layers
        for layer, bias in zip(hidden, self.context_biases(context), strict=True):
            y = self.dropout(torch.relu(layer(y) + bias))
        return last(y).unflatten(1, (*self.size, self.outputs)).permute(0, 3, 1, 2)

    def engine(self, image: Tensor, context: Tensor | None, rows: int) -> "CachedMLP":
        """Engine that samples it, see `genlab.nn.causal.sampling.engines.choose_engine`."""
        return CachedMLP(self, image, context, rows)

    def context_biases(self, context: Tensor | None) -> list[Tensor]:
        """Biases that the context adds to each hidden layer."""
        if context is None:
            zero = next(self.parameters()).new_zeros(())
            return [zero] * (len(self.degrees) - 2)
        return [layer(context.flatten(1)) for layer in self.context]


class CachedMLP:
    """A masked MLP one pixel after the other, a `genlab.nn.causal.sampling.engines.Engine`.

    Units are sorted by degree, so those that a pixel completes lie together: each weight is used
    once an image, and an image costs one forward pass without the masked half.

    Args:
        network: The network, in evaluation mode.
        image: The image so far, ``(B, 1, H, W)``.
        context: Context of the images, or None.
        rows: How many rows are done.
    """

    def __init__(
        self, network: MaskedMLP, image: Tensor, context: Tensor | None = None, rows: int = 0
    ):
        self.network = network
        self.layers = [layer for layer in network.layers if isinstance(layer, MaskedLinear)]
        self.weights = [layer.matrix() for layer in self.layers]
        self.biases = network.context_biases(context)
        self.values = [image.flatten(1).clone()]
        self.values += [image.new_zeros(len(image), len(d)) for d in network.degrees[1:-1]]
        pixels = torch.arange(len(network.degrees[0]) + 1)
        self.ends = [
            torch.searchsorted(degrees, pixels, right=True).tolist()
            for degrees in network.degrees[:-1]
        ]
        self.known, self.index = 0, rows * image.shape[3]
        self.lines = [[pixel] for pixel in range(self.index, len(network.degrees[0]))]
        self._advance(self.index)

    def begin(self, line: int) -> None:
        """Comes to a pixel."""
        (self.index,) = self.lines[line]

    def params(self) -> Tensor:
        """The parameters ``(1, B, P)`` of the pixel."""
        size, end = self.network.outputs, self.ends[-1][self.index]
        part = slice(self.index * size, (self.index + 1) * size)
        weight, bias = self.weights[-1][part, :end], self.layers[-1].bias[part]
        return F.linear(self.values[-1][:, :end], weight, bias)[None]

    def put(self, value: Tensor) -> None:
        """Makes the pixel ``(1, B, 1)`` known, and with it the units of its degree."""
        self.values[0][:, self.index] = value[0, :, 0]
        self._advance(self.index + 1)

    def _advance(self, known: int) -> None:
        """Computes the units that the first pixels complete."""
        for i, (layer, bias) in enumerate(zip(self.layers[:-1], self.biases, strict=True)):
            start, end = self.ends[i + 1][self.known], self.ends[i + 1][known]
            if start < end:
                seen = self.ends[i][known]
                y = F.linear(
                    self.values[i][:, :seen],
                    self.weights[i][start:end, :seen],
                    layer.bias[start:end],
                )
                y = y + (bias[:, start:end] if bias.ndim else bias)
                self.values[i + 1][:, start:end] = y.relu_()
        self.known = known
