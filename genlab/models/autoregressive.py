"""Autoregressive models of pixels in raster order, which share likelihood and sampling."""

import torch
from torch import Tensor, nn

from genlab.errors import ConfigError
from genlab.models.completing import Completing
from genlab.nn.causal.fold import Fold
from genlab.nn.causal.sampling.filling import fill
from genlab.nn.conditions import condition_embedding
from genlab.nn.heads.base import Head
from genlab.nn.scaling import to_signed
from genlab.row_streams import part_of, portions, uniform
from genlab.types import Batch, ImageSpec, Loss, SamplingOptions, Tempered

__all__ = ["Autoregressive"]

CONTEXT = 32  # length of a class embedding
PORTION = 1024  # images at a time on a GPU


class Autoregressive(Completing):
    """Autoregressive model: p(x) as a product over pixels, each given those before it.

    A family makes `network`, called with an image ``(B, C, H, W)`` on the scale [-1, 1] and the
    label's embedding ``(B, K, 1, 1)`` or None, and `head`, which reads its output. Likelihood,
    sampling and completion are here; how pixels are drawn is up to `genlab.nn.causal.sampling`,
    whose samples are those of a forward pass for each pixel.

    Args:
        spec: What the images look like.
        conditional: Model p(x | y).
        flat: The network sees the channels of a pixel as pixels of their own, side by side: an
            image ``(1, H, W C)``, whose channels are then as dependent as its pixels.

    Attributes:
        fold: How pixels are put together into what the network takes for one.
    """

    likelihood = "exact"
    network: nn.Module
    head: Head
    fold: Fold

    def __init__(self, spec: ImageSpec, conditional: bool = False, flat: bool = False):
        super().__init__(spec, conditional)
        self.flat = flat
        self.canvas = (
            ImageSpec(1, spec.height, spec.width * spec.channels, spec.levels, spec.num_classes)
            if flat
            else spec
        )
        self.fold = Fold(1, 1)
        self.embedding = condition_embedding(self.condition, CONTEXT)
        self.context = self.embedding.embedding_dim

    def loss(self, batch: Batch, player: str = "model") -> Loss:
        """Negative log-likelihood, nats per image, and ``bpd``, bits/dim."""
        x = self._to_canvas(self._checked(batch.x))
        nll = -self.head.log_prob(self._params(x, self._context(batch.y)), x).mean()
        bits = nll.detach() / (self.spec.dims * 0.6931471805599453)
        return Loss(nll, {"loss": nll.detach(), "bpd": bits})

    @torch.no_grad()
    def log_prob(
        self, batch: Batch, *, samples: int = 1, generator: torch.Generator | None = None
    ) -> Tensor:
        """The log-probability of the discrete images, exactly; nats ``(B,)``."""
        labels = self._check_condition(batch.y if self.conditional else None, len(batch.x))
        x = self._to_canvas(self._checked(batch.x))
        found = []
        with self.evaluating():
            for part in portions(len(x), self.device, PORTION):
                y = None if labels is None else labels[part]
                params = self._params(x[part], self._context(y))
                found.append(self.head.log_prob(params, x[part]))
        return torch.cat(found)

    @torch.no_grad()
    def pixel_log_prob(self, batch: Batch) -> Tensor:
        """Log-probability of each pixel given those before it, nats ``(B, H, W)``; where an image
        is odd. Their sum is `log_prob`."""
        labels = self._check_condition(batch.y if self.conditional else None, len(batch.x))
        x = self._to_canvas(self._checked(batch.x))
        with self.evaluating():
            nats = self.head.pixel_log_prob(self._params(x, self._context(labels)), x)
        return nats.unflatten(2, (-1, self.spec.channels)).sum(-1) if self.flat else nats

    def evaluations(self, options: SamplingOptions | None = None) -> int:
        """The number of pixels, each of which waits for those before it."""
        return self.spec.dims // (1 if self.flat else self.spec.channels)

    def _complete(
        self,
        x: Tensor,
        known: Tensor,
        y: Tensor | None,
        generator: torch.Generator | None,
        options: Tempered,
    ) -> Tensor:
        """Draws pixel by pixel, each from its distribution given those before it.

        Progress is reported after each row of a portion, in rows of single images.

        Raises:
            ConfigError: The known pixels do not come before all others.
        """
        # The number of pixels to begin with
        first = int(known.sum())
        if not bool(known.flatten()[:first].all()):
            raise ConfigError(
                "known is not a causal prefix: the pixels that are kept must come before all "
                "others, row by row and from left to right"
            )
        # What the network takes for pixels
        x = self._to_canvas(x).clone(memory_format=torch.contiguous_format)
        first *= self.spec.channels if self.flat else 1
        dtype = next(self.parameters()).dtype
        # Portions, whose noise is drawn before their pixels
        for part in portions(len(x), self.device, PORTION):
            size = (len(x[part]), self.head.uniforms, *x.shape[2:])
            u = uniform(size, part_of(generator, part), device=self.device, dtype=dtype)
            context = self._context(None if y is None else y[part])

            def report(done: int, rows: int, images: Tensor, before: int = part.start) -> None:
                done, total = before * rows + done * len(images), len(x) * rows
                self.report_progress(done, total, self._from_canvas(images))

            model, scale = (self.network, self.head, self.fold, context), options.temperature
            fill(x[part], u, *model, known=first, temperature=scale, report=report)
        return self._from_canvas(x)

    def fill_with(self, head: Head, x: Tensor) -> Tensor:
        """Runs the sampler with another head in the place of its own, for one that codes.

        Args:
            head: Its `quantile` is handed pixels of x in the place of noise, one number a pixel of
                the canvas, in the order of sampling.
            x: Images, uint8 ``(B, C, H, W)``.

        Returns:
            The images that the head returned pixel by pixel.
        """
        given = self._to_canvas(self._checked(x))
        canvas = torch.zeros_like(given, memory_format=torch.contiguous_format)
        with torch.no_grad(), self.evaluating():
            noise = given.to(next(self.parameters()).dtype)
            fill(canvas, noise, self.network, head, self.fold)
        return self._from_canvas(canvas)

    # ------------------------------------------------------------------------------------------
    # Arguments

    def params(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The head's parameters of images ``(B, C, H, W)``, in parallel; they have gradients.

        Args:
            x: Images, uint8.
            y: Labels ``(B,)``, if the model is conditional.
        """
        return self._params(self._to_canvas(self._checked(x)), self._context(y))

    def _params(self, x: Tensor, context: Tensor | None) -> Tensor:
        sites = self.fold.sites(to_signed(x, self.spec.levels))
        return self.fold.pixels(self.network(sites, context))

    def _context(self, y: Tensor | None) -> Tensor | None:
        vector = self.embedding(y)
        return None if vector is None else vector[:, :, None, None]

    def _to_canvas(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).flatten(2).unsqueeze(1) if self.flat else x

    def _from_canvas(self, x: Tensor) -> Tensor:
        if not self.flat:
            return x
        return x.squeeze(1).unflatten(2, (-1, self.spec.channels)).permute(0, 3, 1, 2).contiguous()
