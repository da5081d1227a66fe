"""Autoregressive models of pixels in raster order, which share likelihood and sampling."""

import torch
from torch import Tensor, nn

from genlab.errors import ConfigError
from genlab.models.base import GenerativeModel
from genlab.nn.causal.fold import Fold
from genlab.nn.causal.sampling.filling import fill
from genlab.nn.conditions import condition_embedding
from genlab.nn.heads.base import Head
from genlab.nn.scaling import to_signed
from genlab.row_streams import part_of, uniform
from genlab.types import Batch, ImageSpec, Loss, OnProgress, SamplingOptions, Tempered

__all__ = ["Autoregressive"]

CONTEXT = 32  # length of a class embedding


class Autoregressive(GenerativeModel):
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
    spec: ImageSpec
    draws_in_steps = True
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
            for part in self._portions(len(x)):
                y = None if labels is None else labels[part]
                params = self._params(x[part], self._context(y))
                found.append(self.head.log_prob(params, x[part]))
        return torch.cat(found)

    def draw(
        self, n: int, y: Tensor | None, generator: torch.Generator | None, options: Tempered
    ) -> Tensor:
        """Draws pixel by pixel, each from its distribution given those before it.

        Progress is reported after each row of a portion, in rows of single images.
        """
        x = torch.zeros(n, *self.spec.shape, dtype=torch.uint8, device=self.device)
        return self._complete(x, 0, y, generator, options)

    @torch.no_grad()
    def complete(
        self,
        x: Tensor,
        known: int | Tensor,
        y: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
        options: SamplingOptions | None = None,
        on_progress: OnProgress | None = None,
    ) -> Tensor:
        """Keeps the first pixels of images, in raster order, and draws the others given them.

        Args:
            x: Images, uint8 ``(B, C, H, W)``; what is in the other pixels does not matter.
            known: How many pixels are kept; or a mask ``(H, W)`` of those that are, which must
                come before all others.
            y: Labels ``(B,)``, if the model is conditional.
            generator, options, on_progress: As for `sample`.

        Returns:
            uint8 ``(B, C, H, W)``.

        Raises:
            ConfigError: Images that do not suit the model, or pixels that are not a prefix.
        """
        chosen = self._check_options(options)
        known = self._prefix(known)
        x = self._checked(x).to(self.device)
        if known and int(x.flatten(2)[:, :, :known].max()) >= self.spec.levels:
            raise ConfigError(f"the images' values must be below {self.spec.levels}, the levels")
        y = self._check_condition(y, len(x))
        with self.evaluating(), self.reporting(on_progress):
            return self._complete(x, known, y, generator, chosen)

    def _complete(
        self,
        x: Tensor,
        known: int,
        y: Tensor | None,
        generator: torch.Generator | None,
        options: Tempered,
    ) -> Tensor:
        """Draws all pixels but the first ones, a portion of the images at a time."""
        x = self._to_canvas(x).clone(memory_format=torch.contiguous_format)
        known *= self.spec.channels if self.flat else 1
        dtype = next(self.parameters()).dtype
        for part in self._portions(len(x)):
            size = (len(x[part]), self.head.uniforms, *x.shape[2:])
            u = uniform(size, part_of(generator, part), device=self.device, dtype=dtype)
            context = self._context(None if y is None else y[part])

            def report(done: int, rows: int, images: Tensor, first: int = part.start) -> None:
                done, total = first * rows + done * len(images), len(x) * rows
                self.report_progress(done, total, self._from_canvas(images))

            model, scale = (self.network, self.head, self.fold, context), options.temperature
            fill(x[part], u, *model, known=known, temperature=scale, report=report)
        return self._from_canvas(x)

    def _portions(self, n: int) -> list[slice]:
        """Portions of bounded memory."""
        size = 256 if self.device.type == "cpu" else 1024
        return [slice(start, start + size) for start in range(0, n, size)]

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

    def _checked(self, x: Tensor) -> Tensor:
        """Images that are what they should be.

        Raises:
            ConfigError: Not uint8, or of another shape.
        """
        if x.dtype != torch.uint8:
            raise ConfigError(f"images must be uint8, 0 to {self.spec.levels - 1}, not {x.dtype}")
        if x.shape[1:] != self.spec.shape:
            raise ConfigError(
                f"images must be of shape {self.spec.shape}, not {tuple(x.shape[1:])}"
            )
        return x

    def _prefix(self, known: int | Tensor) -> int:
        """Number of pixels that are kept."""
        pixels = self.spec.height * self.spec.width
        if isinstance(known, Tensor):
            mask = known.to(torch.bool)
            if mask.shape != (self.spec.height, self.spec.width):
                raise ConfigError(f"known must be a mask of shape {self.spec.shape[1:]}")
            count = int(mask.sum())
            if not bool(mask.flatten()[:count].all()):
                raise ConfigError(
                    "known is not a causal prefix: the pixels that are kept must come before all "
                    "others, row by row and from left to right"
                )
            return count
        if not 0 <= known <= pixels:
            raise ConfigError(f"known={known}: must be from 0 to {pixels}, the number of pixels")
        return known
