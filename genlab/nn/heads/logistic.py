"""Discretized mixture of logistics (PixelCNN++)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from genlab.nn.heads.base import Head
from genlab.nn.scaling import from_signed, to_signed
from genlab.types import ImageSpec

__all__ = ["DiscretizedLogisticMixture"]


class DiscretizedLogisticMixture(Head):
    r"""Discretized mixture of logistics: each is integrated over the bins of the levels.

    On the scale [-1, 1] a level is the centre of a bin of width ``2 / (levels - 1)``; the lowest
    and the highest bin reach to infinity, so the probabilities sum to 1 (Salimans et al. 2017,
    "PixelCNN++", equations 1 to 3). A pixel's channels share the mixture component; with
    ``autoregressive`` the means of later channels are linear in the values of earlier ones.

    The parameters are, in this order: K logits, K * C means, K * C log-scales and, if
    autoregressive, K * C (C - 1) / 2 coefficients before their tanh.

    Args:
        spec: What the images look like.
        components: Number K of mixture components.
        autoregressive: Whether a channel's mean depends on the channels before it.
    """

    def __init__(self, spec: ImageSpec, components: int = 5, autoregressive: bool = True):
        super().__init__(spec)
        k, c = components, spec.channels
        pairs = c * (c - 1) // 2 if autoregressive else 0
        self.components = k
        self.split = [k, k * c, k * c, k * pairs]
        self.channels = sum(self.split)
        self.uniforms = 1 + c
        self.half_bin = 1 / (spec.levels - 1)
        # The floor of PixelCNN++ (-7 for 256 levels), where a bin is as wide as 9 scales; below
        # it a sharper component gains nothing, and the gradient only grows.
        self.log_scales = (math.log(self.half_bin) - 7 + math.log(255), 7.0)

    def _read(self, params: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits ``(..., K, H, W)``; means and log-scales ``(..., K, C, H, W)``; coefficients."""
        logits, *rest = params.split(self.split, -3)
        means, log_scales, pairs = (part.unflatten(-3, (self.components, -1)) for part in rest[:3])
        return logits, means, log_scales.clamp(*self.log_scales), pairs

    def _shift(self, pairs: Tensor, earlier: Tensor) -> Tensor:
        """Shift of channel c's mean by the earlier channels' values ``(..., c, H, W)``."""
        c = earlier.shape[-3]
        first = c * (c - 1) // 2
        return (pairs[..., first : first + c, :, :].tanh() * earlier).sum(-3)

    def pixel_log_prob(
        self, params: Tensor, x: Tensor, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """As `Head.pixel_log_prob`."""
        logits, means, log_scales, pairs = self._read(params)
        value = to_signed(x, self.levels).unsqueeze(-4)
        if pairs.shape[-3]:
            shifts = [self._shift(pairs, value[..., :c, :, :]) for c in range(1, value.shape[-3])]
            means = means + F.pad(torch.stack(shifts, -3), (0, 0, 0, 0, 1, 0))
        per_scale = (-log_scales).exp()
        centre, half = (value - means) * per_scale, self.half_bin * per_scale
        # With bin edges a < b in units of the scale and S the sigmoid,
        # S(b) - S(a) = S(b) S(-a) (1 - exp(a - b)): each factor's logarithm is stable
        # everywhere, and an edge bin only lacks some factors. No case distinction, no clamp.
        inside_below, inside_above = (x > 0).unsqueeze(-4), (x < self.levels - 1).unsqueeze(-4)
        log_p = (
            F.logsigmoid(centre + half) * inside_above
            + F.logsigmoid(half - centre) * inside_below
            + (-torch.expm1(-2 * half)).log() * (inside_above & inside_below)
        )
        return (log_p.sum(-3) + logits.log_softmax(-3)).logsumexp(-3)

    def mean(self, params: Tensor) -> Tensor:
        """As `Head.mean`; up to 16 levels exact, else that of the logistics clipped to [-1, 1].

        The two differ by less than half a level. A later channel's mean is the one that follows
        from the earlier channels' means.
        """
        logits, means, log_scales, pairs = self._read(params)
        weight = logits.softmax(-3)
        done: list[Tensor] = []
        for c in range(self.image_channels):
            mu, scale = means[..., c, :, :], log_scales[..., c, :, :].exp()
            if done and pairs.shape[-3]:
                mu = mu + self._shift(pairs, torch.stack(done, -3).unsqueeze(-4))
            done.append((weight * self._clipped_mean(mu, scale)).sum(-3))
        return (torch.stack(done, -3) + 1) / 2

    def _clipped_mean(self, mu: Tensor, scale: Tensor) -> Tensor:
        if self.levels > 16:  # -1 plus the integral of P(X > t) over t from -1 to 1
            return scale * (F.softplus((mu + 1) / scale) - F.softplus((mu - 1) / scale)) - 1
        edges = torch.arange(1, 2 * self.levels - 2, 2) * self.half_bin - 1
        above = torch.stack([((mu - edge) / scale).sigmoid() for edge in edges.tolist()])
        return above.sum(0) * (2 * self.half_bin) - 1

    def quantile(self, params: Tensor, u: Tensor, temperature: float = 1.0) -> Tensor:
        """As `Head.quantile`; the first uniform number picks the component."""
        logits, means, log_scales, pairs = self._read(params)
        below = (logits / temperature).softmax(-3).cumsum(-3)
        k = (below <= u[..., :1, :, :]).sum(-3, keepdim=True).clamp_max(self.components - 1)

        def of_component(part: Tensor) -> Tensor:
            index = k.unsqueeze(-3).expand(*k.shape[:-2], part.shape[-3], *k.shape[-2:])
            return part.gather(-4, index).squeeze(-4)

        means, log_scales, pairs = map(of_component, (means, log_scales, pairs))
        noise = temperature * u[..., 1:, :, :].clamp_min(torch.finfo(u.dtype).tiny).logit()
        image: list[Tensor] = []
        for c in range(self.image_channels):
            mu = means[..., c, :, :]
            if image and pairs.shape[-3]:
                earlier = to_signed(torch.stack(image, -3), self.levels)
                mu = mu + self._shift(pairs, earlier)
            value = mu + log_scales[..., c, :, :].exp() * noise[..., c, :, :]
            image.append(from_signed(value, self.levels))
        return torch.stack(image, -3)
