"""A model of your own: each pixel given the one at its left and the one above, a table of odds.

    cd examples/own_model
    genlab list models --config-dir conf
    genlab train --config-dir conf trust=[neighbours] model=neighbours data=mnist_dyn data.limit=2000 optimizer.lr=0.1 name=table
    genlab sample run=table trust=[neighbours] n=16

One file and one YAML, and nothing of the package changed: it is checked, trained, resumed, measured,
drawn from and compared like every other family. Half a minute; about 129 nats for binary digits,
where independent pixels have 206.
"""  # noqa: E501 - commands as they are typed

import torch
from torch import Tensor, nn

from genlab.errors import ConfigError
from genlab.models.base import GenerativeModel
from genlab.row_streams import uniform
from genlab.types import Batch, ImageSpec, Loss, Tempered

__all__ = ["Neighbours"]


class Neighbours(GenerativeModel):
    """``p(x) = prod_ij p_ij(x_ij | x_i,j-1, x_i-1,j)``, a table for each place of a binary image.

    Args:
        spec: Binary images of one channel.
        start: Log-odds of a white pixel before training.

    Raises:
        ConfigError: Other images.
    """

    likelihood = "exact"

    def __init__(self, spec: ImageSpec, start: float = -1.0):
        super().__init__(spec)
        if spec.levels != 2 or spec.channels != 1:
            raise ConfigError("data: neighbours models binary images: data=mnist_dyn")
        # (H, W, left, above): log-odds of white
        self.odds = nn.Parameter(torch.full((spec.height, spec.width, 2, 2), start))

    def loss(self, batch: Batch, player: str = "model") -> Loss:
        """Negative log-likelihood, nats per image."""
        nll = -self.log_prob(batch).mean()
        return Loss(nll, {"loss": nll.detach()})

    def log_prob(
        self, batch: Batch, *, samples: int = 1, generator: torch.Generator | None = None
    ) -> Tensor:
        """Exact log-probability, nats ``(B,)``."""
        x = batch.x[:, 0].long()
        left = nn.functional.pad(x, (1, 0))[:, :, :-1]
        above = nn.functional.pad(x, (0, 0, 1, 0))[:, :-1]
        rows, columns = torch.meshgrid(*map(torch.arange, x.shape[1:]), indexing="ij")
        odds = self.odds[rows, columns, left, above]
        return -nn.functional.softplus(torch.where(x == 1, -odds, odds)).sum((1, 2))

    def draw(
        self, n: int, y: Tensor | None, generator: torch.Generator | None, options: Tempered
    ) -> Tensor:
        """Pixel by pixel, row by row; `uniform` gives each image randomness of its own."""
        height, width = self.spec.shape[1:]
        x = torch.zeros(n, height + 1, width + 1, dtype=torch.long, device=self.device)
        u = uniform((n, height, width), generator, device=self.device)
        for i in range(height):
            for j in range(width):
                odds = self.odds[i, j, x[:, i + 1, j], x[:, i, j + 1]] / options.temperature
                x[:, i + 1, j + 1] = (u[:, i, j] < odds.sigmoid()).long()
        return x[:, None, 1:, 1:].to(torch.uint8)
