"""PixelCNN++."""

from typing import Any

import torch
from torch import Tensor, nn

from genlab.models.autoregressive import Autoregressive
from genlab.nn.causal.gated_resnet import GatedResnet, concat_elu
from genlab.nn.causal.layers import Pointwise
from genlab.nn.causal.masked import MaskedConv2d, VerticalConv2d
from genlab.nn.heads.logistic import DiscretizedLogisticMixture
from genlab.ranges import Fraction, PositiveInt
from genlab.types import ImageSpec

__all__ = ["PixelCNNPP"]


class PixelCNNPP(Autoregressive):
    """PixelCNN++ (Salimans et al. 2017, arXiv:1701.05517), with dilation in place of strides.

    One stream sees the rows above, the other what is above and to the left; the first half of the
    blocks speaks to the second by short cuts, outermost to outermost. Where the published network
    halves the image, this one doubles the distance between neighbours, so that each value belongs
    to one pixel, as cached sampling wants it. The means of later colors depend on earlier ones.

    Args:
        spec: What the images look like.
        blocks: Blocks of each stream at each dilation, on the way in and on the way out.
        width: Channels of a stream.
        dilations: From the outermost blocks to the innermost.
        dropout: Probability of dropout in the blocks.
        components: Components of the logistic mixture.
        conditional: Model p(x | y); every block sees an embedding of the label.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        blocks: PositiveInt = 2,
        width: PositiveInt = 32,
        dilations: list[int] | None = None,
        dropout: Fraction = 0.5,
        components: PositiveInt = 10,
        conditional: bool = False,
    ):
        super().__init__(spec, conditional)
        self.head = DiscretizedLogisticMixture(spec, components)
        steps = [d for d in dilations or [1, 2, 4] for _ in range(blocks)]
        self.network = TwoStreams(
            spec.channels, width, steps, dropout, self.context, self.head.channels
        )


class TwoStreams(nn.Module):
    """Network of a PixelCNN++, called with an image and a context."""

    def __init__(
        self,
        inputs: int,
        width: int,
        steps: list[int],
        dropout: float,
        context: int,
        outputs: int,
    ):
        super().__init__()
        # First layers, which do not see their own pixel
        self.down = VerticalConv2d(inputs, width, rows=2, reach=1, strict=True)
        self.right = MaskedConv2d(inputs, width, rows=1, left=2, strict=True)
        options: dict[str, Any] = {"dropout": dropout, "context": context}

        def vertical(dilation: int, extra: int) -> GatedResnet:
            def conv(i: int, o: int) -> nn.Module:
                return VerticalConv2d(i, o, rows=1, reach=1, dilation=dilation)

            return GatedResnet(width, conv, extra=extra, **options)

        def slanted(dilation: int, extra: int) -> GatedResnet:
            def conv(i: int, o: int) -> nn.Module:
                return MaskedConv2d(i, o, rows=1, left=1, right=0, dilation=dilation)

            return GatedResnet(width, conv, extra=extra, **options)

        # Two streams in, and out again with what was kept on the way in
        back = steps[::-1]
        self.down_in = nn.ModuleList(vertical(d, 0) for d in steps)
        self.right_in = nn.ModuleList(slanted(d, width) for d in steps)
        self.down_out = nn.ModuleList(vertical(d, width) for d in back)
        self.right_out = nn.ModuleList(slanted(d, 2 * width) for d in back)
        self.out = Pointwise(2 * width, outputs, scale=0.1)

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        """An image ``(B, C, H, W)`` on [-1, 1] to the head's parameters ``(B, P, H, W)``."""
        down, right = self.down(x), self.right(x)
        seen = []
        for vertical, slanted in zip(self.down_in, self.right_in, strict=True):
            down = vertical(down, None, context)
            right = slanted(right, down, context)
            seen.append((down, right))
        for vertical, slanted in zip(self.down_out, self.right_out, strict=True):
            above, before = seen.pop()
            down = vertical(down, above, context)
            right = slanted(right, torch.cat([down, before], 1), context)
        return self.out(concat_elu(right))
