"""Variational autoencoders."""

import math
from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor

from genlab.errors import ConfigError
from genlab.models.base import GenerativeModel
from genlab.nn.autoencoders.encoder_decoder import Activation, EncoderDecoder, NetworkName
from genlab.nn.conditions import condition_embedding
from genlab.nn.heads.heads import HeadName, make_head
from genlab.nn.latents.distributions import Mixture, draw_normal, kl_from_standard, sampled_rate
from genlab.nn.latents.priors import FittedPrior, LearnedPrior, PriorName, make_prior
from genlab.nn.scaling import from_unit, to_unit
from genlab.ranges import Fraction, NonNegativeFloat, NonNegativeInt, PositiveInt
from genlab.row_streams import normal
from genlab.types import Batch, ImageSpec, Loss, SamplingOptions, Tempered

__all__ = ["VAE"]

CONTEXT = 16  # length of a class embedding


class VAE(GenerativeModel):
    r"""Variational autoencoder (Kingma and Welling 2014, arXiv:1312.6114).

    ``p(x) = E_p(z)[p(x | z)]``, with a diagonal normal posterior ``q(z | x)``. The loss is
    ``distortion + beta rate``, nats per image: distortion ``E_q[-log p(x | z)]`` and rate
    ``KL(q(z | x) || p(z))``.

    Args:
        spec: What the images look like.
        network: Encoder and decoder, see `genlab.nn.autoencoders.encoder_decoder.EncoderDecoder`.
        width: Channels at full size (conv, resnet).
        hidden: Units of a hidden layer (mlp, conv).
        depth: Hidden layers (mlp) or residual blocks at each size (resnet).
        activation: Of the hidden layers (mlp).
        dropout: Probability of dropout in both networks.
        latent: Length of the code.
        head: Distribution of a pixel; ``auto`` is Bernoulli for binary images, else logistic.
        head_components: Components of the logistic mixture.
        prior: ``normal`` (standard), ``mixture`` (of normals, learned), ``vamp`` (VampPrior,
            Tomczak and Welling 2018) or ``fitted`` (standard normal while training, then a
            mixture fitted to the codes, Ghosh et al. 2020; see `finish`).
        prior_components: Components of any prior but ``normal``.
        objective: ``elbo``, or ``iwae``: the bound of `samples` importance samples (Burda et al.
            2016, arXiv:1509.00519, equation 8).
        samples: Codes drawn per image and step; for ``elbo`` their average is taken.
        beta: Weight of the rate (Higgins et al. 2017).
        warmup: Images over which the weight of the rate rises from 0 to beta.
        free_bits: Nats per code dimension that cost nothing (Kingma et al. 2016,
            arXiv:1606.04934, equation 15).
        conditional: Model p(x | y); both networks see an embedding of the label.
        output: What a decoded code is shown as: the ``mean`` image, or a ``sample`` of the pixels.

    Raises:
        ConfigError: Options that exclude each other, or do not suit the images.
    """

    likelihood = "bound"
    spec: ImageSpec

    def __init__(
        self,
        spec: ImageSpec,
        *,
        network: NetworkName = "conv",
        width: PositiveInt = 32,
        hidden: PositiveInt = 256,
        depth: PositiveInt = 2,
        activation: Activation = "relu",
        dropout: Fraction = 0.0,
        latent: PositiveInt = 32,
        head: HeadName = "auto",
        head_components: PositiveInt = 5,
        prior: PriorName = "normal",
        prior_components: PositiveInt = 100,
        objective: Literal["elbo", "iwae"] = "elbo",
        samples: PositiveInt = 1,
        beta: NonNegativeFloat = 1.0,
        warmup: NonNegativeInt = 0,
        free_bits: NonNegativeFloat = 0.0,
        conditional: bool = False,
        output: Literal["mean", "sample"] = "mean",
    ):
        super().__init__(spec, conditional)
        if free_bits and (objective != "elbo" or prior not in ("normal", "fitted")):
            raise ConfigError(
                f"model.free_bits={free_bits} needs a rate for each dimension: "
                "take model.objective=elbo with model.prior=normal or fitted"
            )
        self.latent_dim, self.objective, self.samples = latent, objective, samples
        self.beta, self.warmup, self.free_bits, self.output = beta, warmup, free_bits, output
        # Networks, head and prior
        self.embedding = condition_embedding(self.condition, CONTEXT)
        context = self.embedding.embedding_dim
        networks = EncoderDecoder(network, width, hidden, depth, activation, dropout)
        self.head = make_head(head, spec, components=head_components)
        self.encoder = networks.encoder(spec.shape, 2 * latent, context=context)
        shape = (self.head.channels, spec.height, spec.width)
        self.decoder = networks.decoder(latent + context, shape)
        self.prior = make_prior(prior, prior_components, latent, spec.shape, context)
        self.trains_on_normal = prior in ("normal", "fitted")

    def compilable(self) -> tuple[str, ...]:
        """The loss, or what in it does not read `images_seen`, as ``warmup`` does."""
        return ("_posterior", "_distortion") if self.warmup else ("loss",)

    def loss(self, batch: Batch, player: str = "model") -> Loss:
        """Distortion plus weighted rate, or the importance-weighted bound; nats per image."""
        context = self.embedding(batch.y)
        mean, log_std = self._posterior(to_unit(batch.x, self.spec.levels), context)
        z, noise = draw_normal(mean, log_std, self.samples)
        distortion = self._distortion(z, context, batch.x, None)
        weight = self.beta * min(1.0, self.images_seen / self.warmup) if self.warmup else self.beta
        if self.objective == "elbo" and self.trains_on_normal:
            rates = kl_from_standard(mean, log_std)
            means = rates.sum(-1).mean(), distortion.mean()
            # Free per dimension and batch, not per image: equation 15.
            cost = rates.mean(0).clamp_min(self.free_bits).sum() if self.free_bits else means[0]
            total = means[1] + weight * cost
        else:
            rate = sampled_rate(z, noise, log_std, self._mixture(training=True))
            means = rate.mean(), distortion.mean()
            total = means[1] + weight * means[0]
            if self.objective == "iwae":
                log_weights = -(distortion + weight * rate)
                total = math.log(self.samples) - log_weights.logsumexp(0).mean()
        parts = {"loss": total, "rate": means[0], "distortion": means[1]}
        return Loss(total, {name: part.detach() for name, part in parts.items()})

    @torch.no_grad()
    def log_prob(
        self, batch: Batch, *, samples: int = 1, generator: torch.Generator | None = None
    ) -> Tensor:
        """A lower bound of the log-probability of the discrete images, nats ``(B,)``.

        With one sample it is the ELBO at one code (the rate in closed form where it has one); with
        k it is the importance-weighted bound, ``log 1/k sum_i p(x, z_i) / q(z_i | x)`` (Burda et
        al. 2016, equation 8). Images and samples are taken in portions of bounded memory.
        """
        labels = self._check_condition(batch.y if self.conditional else None, len(batch.x))
        # Numbers in a portion's decoded maps: what stays in a CPU's cache, or fills a GPU.
        budget, most = (2**20, 2**11) if self.device.type == "cpu" else (2**27, 2**17)
        size = self.head.channels * self.spec.height * self.spec.width
        rows = min(max(1, budget // size), most)
        bounds = []
        with self.evaluating():
            mixture = self._mixture()
            for start in range(0, len(batch.x), rows):
                x = batch.x[start : start + rows]
                y = None if labels is None else labels[start : start + rows]
                bounds.append(self._bound(x, y, samples, rows // len(x), mixture, generator))
        return torch.cat(bounds)

    def _bound(
        self,
        x: Tensor,
        y: Tensor | None,
        samples: int,
        portion: int,
        mixture: Mixture | None,
        generator: torch.Generator | None,
    ) -> Tensor:
        context = self.embedding(y)
        mean, log_std = self._posterior(to_unit(x, self.spec.levels), context)
        total = torch.full_like(mean[:, 0], -math.inf)
        for start in range(0, samples, portion):
            k = min(portion, samples - start)
            z, noise = draw_normal(mean, log_std, k, generator)
            distortion = self._distortion(z, context, x, generator)
            if samples == 1 and mixture is None:
                return -distortion[0] - kl_from_standard(mean, log_std).sum(-1)
            rate = sampled_rate(z, noise, log_std, mixture)
            total = torch.logaddexp(total, (-distortion - rate).logsumexp(0))
        return total - math.log(samples)

    @torch.no_grad()
    def encode(self, batch: Batch) -> Tensor:
        """The posterior's means, ``(B, latent)``."""
        labels = self._check_condition(batch.y if self.conditional else None, len(batch.x))
        with self.evaluating():
            x = to_unit(batch.x, self.spec.levels)
            return self._posterior(x, self.embedding(labels))[0]

    @torch.no_grad()
    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The mean images of codes ``(B, latent)``."""
        labels = self._check_condition(y, len(z))
        with self.evaluating():
            params = self._decode(z, self.embedding(labels))
            return from_unit(self.head.mean(params), self.spec.levels)

    @torch.no_grad()
    def latent(
        self,
        n: int,
        *,
        generator: torch.Generator | None = None,
        options: SamplingOptions | None = None,
    ) -> Tensor:
        """Codes ``(n, latent)`` from the prior; the temperature scales the prior's spread."""
        mixture, temperature = self._mixture(), self._check_options(options).temperature
        if mixture is not None:
            return mixture.sample(n, generator=generator, temperature=temperature)
        return temperature * normal((n, self.latent_dim), generator, device=self.device)

    def draw(
        self, n: int, y: Tensor | None, generator: torch.Generator | None, options: Tempered
    ) -> Tensor:
        """Codes from the prior, decoded; the temperature scales the prior's spread."""
        z = self.latent(n, generator=generator, options=options)
        params = self._decode(z, self.embedding(y))
        if self.output == "sample":
            return self.head.sample(params, generator=generator, temperature=options.temperature)
        return from_unit(self.head.mean(params), self.spec.levels)

    @torch.no_grad()
    def diagnostics(self, batch: Batch) -> dict[str, float]:
        """Use of the code.

        Returns:
            ``active_units``: code dimensions whose posterior mean varies over the images, by
            ``Var_x E_q[z] > 0.01`` (Burda et al. 2016, section 5.3); ``rate``: nats per image;
            ``collapsed``: 1 if the rate is below 0.1 nats: the decoder ignores the code.
        """
        generator = torch.Generator(self.device).manual_seed(0)
        with self.evaluating():
            x, mixture = to_unit(batch.x, self.spec.levels), self._mixture()
            mean, log_std = self._posterior(x, self.embedding(batch.y))
            if mixture is None:
                rate = kl_from_standard(mean, log_std).sum(-1).mean()
            else:
                z, noise = draw_normal(mean, log_std, 16, generator)
                rate = sampled_rate(z, noise, log_std, mixture).mean()
        active = (mean.var(0) > 0.01).sum() if len(mean) > 1 else 0  # one alone does not vary
        return {"active_units": float(active), "rate": float(rate), "collapsed": float(rate < 0.1)}

    @torch.no_grad()
    def finish(self, batches: Iterable[Batch]) -> None:
        """Fits a mixture to codes drawn for training images; other priors stay as they are."""
        if not isinstance(self.prior, FittedPrior | LearnedPrior):
            return
        generator, codes = torch.Generator(self.device).manual_seed(0), []
        with self.evaluating():
            for batch in batches:
                x = to_unit(batch.x, self.spec.levels)
                posterior = self._posterior(x, self.embedding(batch.y))
                codes.append(draw_normal(*posterior, 1, generator)[0][0])
        self.prior.fit(torch.cat(codes))

    def _posterior(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation of q(z | x), of images on the scale [0, 1]."""
        mean, log_std = self.encoder(x, context).chunk(2, -1)
        return mean, log_std.clamp(-10, 5)

    def _decode(self, z: Tensor, context: Tensor | None) -> Tensor:
        """Parameters of the head ``(..., P, H, W)`` of codes ``(..., latent)``."""
        if context is not None:
            z = torch.cat([z, context.expand(*z.shape[:-1], -1)], -1)
        return self.decoder(z.reshape(-1, z.shape[-1])).unflatten(0, z.shape[:-1])

    def _distortion(
        self, z: Tensor, context: Tensor | None, x: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        """``-log p(x | z)`` of codes ``(k, B, latent)``: nats ``(k, B)``."""
        return -self.head.log_prob(self._decode(z, context), x, generator=generator)

    def _mixture(self, training: bool = False) -> Mixture | None:
        """The prior, None for the standard normal."""
        if self.prior is None or (training and self.trains_on_normal):
            return None
        return self.prior(self._posterior)
