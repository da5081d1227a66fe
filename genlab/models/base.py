"""The interface of a family. The contract test (tests/test_contract.py) is its definition."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from genlab.errors import ConfigError, Unsupported
from genlab.types import Batch, ImageSpec, Loss

__all__ = ["GenerativeModel"]

OPTIONAL = ("log_prob", "encode", "decode", "reconstruct", "latent", "complete")
"""What a family may leave out; its capabilities are those of these that it overrides."""


class GenerativeModel(nn.Module, ABC):
    """A generative model of discrete images.

    Images are uint8 outside a model and float inside it. Whatever turns integers into reals
    (scaling, dequantization) belongs to the model, so that likelihoods compare across families.

    A family implements `loss` and `draw`, and as many of `log_prob`, `encode`, `decode` and
    `reconstruct` as it can: what it can do is derived from what it overrides, never declared.
    The one declared fact is `likelihood`, which no program can find out, and a test proves it.

    Args:
        spec: What the images look like.
        conditional: Model p(x | y) of the labels y rather than p(x).

    Raises:
        ConfigError: A conditional model of data without labels.
    """

    likelihood: ClassVar[Literal["exact", "bound", "none"]] = "none"
    """Whether `log_prob` is the log-probability, a lower bound of it, or does not exist."""

    players: ClassVar[tuple[str, ...]] = ("model",)
    """The parts with an optimizer each, in the order they are trained; see `player`."""

    images_seen: int = 0
    """How many training images the model has seen; the trainer sets it before each step."""

    step: int = 0
    """How many optimizer steps were made before this one; the trainer sets it before each."""

    def __init__(self, spec: ImageSpec, conditional: bool = False):
        super().__init__()
        if conditional and spec.num_classes == 0:
            raise ConfigError("model.conditional=true needs labels, and this data set has none")
        self.spec = spec
        self.num_classes = spec.num_classes if conditional else 0

    @property
    def conditional(self) -> bool:
        """Whether the model is one of p(x | y)."""
        return self.num_classes > 0

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    def player(self, name: str) -> nn.Module:
        """The module whose parameters the named player's optimizer owns."""
        return self if name == "model" else getattr(self, name)

    def moves(self, player: str) -> bool:
        """Whether the player moves in step number `step`; each does in every step by default."""
        return True

    def frozen(self, player: str) -> tuple[str, ...]:
        """The players whose weights need no gradients in a player's turn: all others by default."""
        return tuple(other for other in self.players if other != player)

    def compilable(self) -> tuple[str, ...]:
        """The methods that `trainer.compile` may compile, of those that `loss` consists of.

        What they do must depend on their tensors, the weights, buffers and the mode alone: code
        that reads `step` or `images_seen` would be compiled anew in each step.
        """
        return ("loss",)

    @abstractmethod
    def loss(self, batch: Batch, player: str = "model") -> Loss:
        """The player's loss on a batch, a mean over its images."""

    @abstractmethod
    def draw(
        self,
        n: int,
        y: Tensor | None,
        generator: torch.Generator | None,
        temperature: float,
    ) -> Tensor:
        """Draws n images; called by `sample`, which has checked the arguments and set the mode."""

    @torch.no_grad()
    def sample(
        self,
        n: int,
        y: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """Draws images.

        Args:
            n: How many, at least 1.
            y: Labels, int64 of shape ``(n,)``; needed by a conditional model and by no other.
            generator: Source of all randomness, on the model's device; the global one if None.
            temperature: Scale of the randomness, above 0; 1 samples from the model itself.

        Returns:
            uint8 of shape ``(n, C, H, W)`` with values below ``levels``.

        Raises:
            ConfigError: An argument is out of its range, or labels are missing or superfluous.
        """
        if n < 1:
            raise ConfigError(f"n={n}: at least one image must be drawn")
        if temperature <= 0:
            raise ConfigError(f"temperature={temperature}: must be > 0")
        y = self._check_labels(y, n)
        with self.evaluating():
            return self.draw(n, y, generator, temperature)

    def log_prob(
        self, batch: Batch, *, samples: int = 1, generator: torch.Generator | None = None
    ) -> Tensor:
        """Log-probability of the discrete images, or a lower bound of it, as `likelihood` says.

        Args:
            batch: The images.
            samples: Importance samples of a bound (k of the k-sample bound); an exact likelihood
                needs and uses none.
            generator: Source of the bound's randomness; the global one if None.

        Returns:
            Nats per image, shape ``(B,)``.
        """
        raise Unsupported(f"{type(self).__name__} has no likelihood")

    def encode(self, batch: Batch) -> Tensor:
        """Latent codes of the images, ``(B, ...)``."""
        raise Unsupported(f"{type(self).__name__} has no latent code")

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Images of latent codes, uint8 ``(B, C, H, W)``."""
        raise Unsupported(f"{type(self).__name__} has no latent code")

    def latent(
        self, n: int, *, generator: torch.Generator | None = None, temperature: float = 1.0
    ) -> Tensor:
        """Draws latent codes ``(n, ...)`` from the prior, such as `decode` takes.

        Args:
            n: How many.
            generator: Source of the randomness, on the model's device; the global one if None.
            temperature: Scale of the randomness.
        """
        raise Unsupported(f"{type(self).__name__} has no latent code")

    def complete(
        self,
        x: Tensor,
        known: int,
        y: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
        on_row: Callable[[int, Tensor], None] | None = None,
    ) -> Tensor:
        """Keeps the first pixels of images, in raster order, and draws the others given them.

        Args:
            x: Images, uint8 ``(B, C, H, W)``.
            known: How many pixels are kept.
            y: Labels, as for `sample`.
            generator: Source of all randomness.
            temperature: Scale of the randomness.
            on_row: Called after each finished row, with its number and the images so far.

        Returns:
            uint8 ``(B, C, H, W)``.
        """
        raise Unsupported(f"{type(self).__name__} does not draw pixel by pixel")

    def reconstruct(self, batch: Batch) -> Tensor:
        """The model's reconstruction of the images, uint8 ``(B, C, H, W)``."""
        if self.can("encode") and self.can("decode"):
            return self.decode(self.encode(batch), batch.y if self.conditional else None)
        raise Unsupported(f"{type(self).__name__} does not reconstruct images")

    def diagnostics(self, batch: Batch) -> dict[str, float]:
        """Health of the model on a validation batch (active units, code usage), for the log."""
        return {}

    def after_step(self, player: str) -> None:
        """Called after the player's optimizer step, for what no gradient updates."""
        return

    def finish(self, batches: Iterable[Batch]) -> None:
        """Called once after training, with training images, for what is fitted to the result."""
        return

    def can(self, method: str) -> bool:
        """Whether the family implements the optional method."""
        overridden = getattr(type(self), method) is not getattr(GenerativeModel, method)
        if method == "reconstruct":
            return overridden or (self.can("encode") and self.can("decode"))
        return overridden

    def capabilities(self) -> frozenset[str]:
        """The optional methods that the family implements."""
        return frozenset(method for method in OPTIONAL if self.can(method))

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Evaluation mode inside, and each sub-module's own mode again afterwards."""
        # Only what changes is touched: setting an attribute of every module takes milliseconds.
        training = [module for module in self.modules() if module.training]
        for module in training:
            module.training = False
        try:
            yield
        finally:
            for module in training:
                module.training = True

    def _check_labels(self, y: Tensor | None, n: int) -> Tensor | None:
        if not self.conditional:
            if y is not None:
                raise ConfigError("labels were given, but the model is not conditional")
            return None
        if y is None:
            raise ConfigError(f"the model is conditional: give a label below {self.num_classes}")
        if y.shape != (n,) or y.min() < 0 or y.max() >= self.num_classes:
            raise ConfigError(f"labels must be {n} integers from 0 to {self.num_classes - 1}")
        return y.to(self.device, torch.int64)
