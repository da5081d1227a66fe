"""MADE: a masked autoencoder for distribution estimation."""

from genlab.models.autoregressive import Autoregressive
from genlab.nn.causal.masked_mlp import MaskedMLP
from genlab.nn.heads.heads import HeadName, make_head
from genlab.ranges import Fraction, PositiveInt
from genlab.types import ImageSpec

__all__ = ["MADE"]


class MADE(Autoregressive):
    """MADE: a multilayer perceptron masked to be autoregressive in raster order.

    Germain et al. 2015, arXiv:1502.03509, with one order. Colors are pixels side by side.

    Args:
        spec: What the images look like.
        hidden: Units of a hidden layer.
        depth: Number of hidden layers.
        dropout: Probability of dropout of hidden units.
        head: Distribution of a pixel; ``auto`` is Bernoulli for binary images, else logistic.
        head_components: Components of the logistic mixture.
        conditional: Model p(x | y); every hidden layer sees an embedding of the label.

    Raises:
        ConfigError: The head does not suit the images.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        hidden: PositiveInt = 1024,
        depth: PositiveInt = 2,
        dropout: Fraction = 0.0,
        head: HeadName = "auto",
        head_components: PositiveInt = 5,
        conditional: bool = False,
    ):
        super().__init__(spec, conditional, flat=True)
        self.head = make_head(head, self.canvas, components=head_components)
        self.network = MaskedMLP(
            (self.canvas.height, self.canvas.width),
            self.head.channels,
            hidden=hidden,
            depth=depth,
            dropout=dropout,
            context=self.context,
        )
