"""Interface of a family, which the contract test (tests/test_contract.py) defines."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from genlab.errors import ConfigError, Unsupported
from genlab.nn.conditions import check_condition
from genlab.types import (
    Batch,
    ImageSpec,
    LabelSpec,
    Loss,
    OnProgress,
    SamplingOptions,
    Spec,
    Tempered,
)

__all__ = ["GenerativeModel"]

OPTIONAL = ("log_prob", "encode", "decode", "reconstruct", "latent", "complete")
"""What a family may leave out; its capabilities are those of these that it overrides."""


class GenerativeModel(nn.Module, ABC):
    """A generative model of one or more kinds of data.

    Images are uint8 outside a model and float inside it: what turns integers into reals belongs to
    the model, so that likelihoods compare across families.

    A family implements `loss` and `draw`, and what else it can: that is derived from what it
    overrides. Declared is what no program finds out, and what must be known before an import.

    Args:
        spec: Kind and geometry of the data.
        conditional: Model p(x | y) of the data's condition y, whatever it is, rather than p(x).

    Raises:
        ConfigError: Data or a condition of a kind that the family does not take, or no condition.
    """

    accepts: ClassVar[tuple[type[Spec], ...]] = (ImageSpec,)
    """The kinds of data that the family models."""

    conditions: ClassVar[tuple[type[Spec], ...]] = (LabelSpec,)
    """The kinds of condition that it can model its data given."""

    sampling_options: ClassVar[type[SamplingOptions]] = Tempered
    """The record of what can be chosen when samples are drawn."""

    likelihood: Literal["exact", "bound", "estimate", "none"] = "none"
    """Whether `log_prob` is the log-probability, a lower bound or an estimate of it, or missing."""

    bound_name: str | None = None
    """Name of a bound or an estimate that k samples tighten no further; None where they do."""

    draws_in_steps: ClassVar[bool] = False
    """True if `draw` reports partial results, see `report_progress`."""

    begins_with_all: ClassVar[bool] = False
    """True if `begin` needs all training examples."""

    players: ClassVar[tuple[str, ...]] = ("model",)
    """The parts with an optimizer each, in the order they are trained; see `player`."""

    optimizer: ClassVar[str | None] = None
    """Name of the config of plain `torch.optim.SGD` that the family must have; None of most."""

    images_seen: int = 0
    """How many training images the model has seen before this step, see `begin_step`."""

    step: int = 0
    """How many optimizer steps were made before this one."""

    spec: Any  # of one of the kinds in `accepts`; a family annotates which
    _on_progress: OnProgress | None = None

    def __init__(self, spec: Spec, conditional: bool = False):
        super().__init__()
        check_fit(type(self), spec, conditional)
        self.spec = spec
        self.condition = spec.condition if conditional else None

    @property
    def num_classes(self) -> int:
        """Number of labels of a model that is conditioned on labels, 0 of any other."""
        return self.condition.num_classes if isinstance(self.condition, LabelSpec) else 0

    @property
    def conditional(self) -> bool:
        """True of a model of p(x | y)."""
        return self.condition is not None

    @property
    def device(self) -> torch.device:
        """Device of the parameters."""
        return next(self.parameters()).device

    def begin_step(self, images_seen: int, step: int) -> None:
        """Sets `images_seen` and `step`; called before each step, and when a model is read."""
        # When it is read, too: networks that grow draw at the size that they had come to.
        self.images_seen, self.step = images_seen, step

    def player(self, name: str) -> nn.Module:
        """The module whose parameters the named player's optimizer owns."""
        return self if name == "model" else getattr(self, name)

    def updates(self, player: str) -> bool:
        """True where the player is updated in step number `step`: in all by default."""
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
        self, n: int, y: Tensor | None, generator: torch.Generator | None, options: Any
    ) -> Tensor:
        """Draws n examples; called by `sample`, which checked the arguments and set the mode."""

    @torch.no_grad()
    def sample(
        self,
        n: int,
        y: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
        options: SamplingOptions | None = None,
        on_progress: OnProgress | None = None,
    ) -> Tensor:
        """Draws examples.

        Args:
            n: How many, at least 1.
            y: Conditions of a conditional model: labels ``(n,)``, images ``(n, C, H, W)`` ...
            generator: Source of all randomness, on the model's device; the global one if None.
            options: A record of `sampling_options`; `usual_sampling` if None.
            on_progress: Told of partial results by a family that `draws_in_steps`.

        Returns:
            ``(n, *spec.shape)`` of the spec's dtype; integers are below ``spec.levels``.

        Raises:
            ConfigError: An argument is out of its range, or conditions are missing or superfluous.
        """
        if n < 1:
            raise ConfigError(f"n={n}: at least one must be drawn")
        options = self._check_options(options)
        y = self._check_condition(y, n)
        with self.evaluating(), self.reporting(on_progress):
            return self.draw(n, y, generator, options)

    @property
    def usual_sampling(self) -> SamplingOptions:
        """Options that it draws with where none are given: the record's defaults, or its own."""
        return self.sampling_options()

    def evaluations(self, options: SamplingOptions | None = None) -> int:
        """Passes of a network, one after the other, that drawing with these options takes: NFE."""
        return 1

    def report_progress(self, done: int, total: int, x: Tensor) -> None:
        """Passes a partial result x on to the `on_progress` of `sample`; called in `draw`."""
        if self._on_progress is not None:
            self._on_progress(done, total, x)

    def log_prob(
        self, batch: Batch, *, samples: int = 1, generator: torch.Generator | None = None
    ) -> Tensor:
        """Log-probability of discrete images, nats ``(B,)``; a lower bound if `likelihood` says so.

        Args:
            batch: The images.
            samples: Importance samples k of a bound; an exact likelihood uses none.
            generator: Source of the bound's randomness; the global one if None.
        """
        raise Unsupported(f"{type(self).__name__} has no likelihood")

    def encode(self, batch: Batch) -> Tensor:
        """Latent codes of the images, ``(B, ...)``."""
        raise Unsupported(f"{type(self).__name__} has no latent code")

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Images of latent codes, uint8 ``(B, C, H, W)``."""
        raise Unsupported(f"{type(self).__name__} has no latent code")

    def latent(
        self,
        n: int,
        *,
        generator: torch.Generator | None = None,
        options: SamplingOptions | None = None,
    ) -> Tensor:
        """Draws latent codes ``(n, ...)`` from the prior, such as `decode` takes; see `sample`."""
        raise Unsupported(f"{type(self).__name__} has no latent code")

    def complete(
        self,
        x: Tensor,
        known: int,
        y: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
        options: SamplingOptions | None = None,
        on_progress: OnProgress | None = None,
    ) -> Tensor:
        """Keeps the first `known` pixels of uint8 images, in raster order; the rest as `sample`."""
        raise Unsupported(f"{type(self).__name__} does not draw pixel by pixel")

    def reconstruct(self, batch: Batch) -> Tensor:
        """The model's reconstruction of the examples, as they are."""
        if self.can("encode") and self.can("decode"):
            return self.decode(self.encode(batch), batch.y if self.conditional else None)
        raise Unsupported(f"{type(self).__name__} does not reconstruct images")

    def diagnostics(self, batch: Batch) -> dict[str, float]:
        """Health of the model on a validation batch (active units, code usage), for the log."""
        return {}

    def after_step(self, player: str) -> None:
        """Called after the player's optimizer step, for what no gradient updates."""

    def begin(self, batches: Iterable[Batch]) -> None:
        """Called once before the first step, with training images; buffers keep what it finds."""

    def finish(self, batches: Iterable[Batch]) -> None:
        """Called once after training, with training images, for what is fitted to the result."""

    def can(self, method: str) -> bool:
        """True where the family implements the optional method."""
        derived = method == "reconstruct" and self.can("encode") and self.can("decode")
        return derived or getattr(type(self), method) is not getattr(GenerativeModel, method)

    def capabilities(self) -> frozenset[str]:
        """The optional methods that the family implements."""
        return frozenset(method for method in OPTIONAL if self.can(method))

    def evaluating(self) -> AbstractContextManager[None]:
        """Evaluation mode inside, and each sub-module's own mode again afterwards."""
        return evaluation_mode(self)

    @contextmanager
    def reporting(self, on_progress: OnProgress | None) -> Iterator[None]:
        """Context in which `report_progress` reports to the given function."""
        before, self._on_progress = self._on_progress, on_progress
        try:
            yield
        finally:
            self._on_progress = before

    def _check_options(self, options: SamplingOptions | None) -> Any:
        """The options of a call, the usual ones for None."""
        if isinstance(options, self.sampling_options) or options is None:
            return options or self.usual_sampling
        wanted, given = self.sampling_options.__name__, type(options).__name__
        raise ConfigError(f"{type(self).__name__} draws with {wanted}, not {given}")

    def _check_condition(self, y: Tensor | None, n: int) -> Tensor | None:
        """The conditions of n examples, checked and on the model's device."""
        y = check_condition(y, self.condition, n)
        return None if y is None else y.to(self.device)


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside, and each sub-module's own mode again afterwards."""
    # Only what changes is touched: setting an attribute of every module takes milliseconds.
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


def check_fit(family: type[GenerativeModel], spec: Spec, conditional: bool) -> None:
    """Refuses data of a kind, or with a condition, that a family does not take."""
    name, condition = family.__name__, spec.condition
    if not isinstance(spec, family.accepts):
        raise ConfigError(f"model: {name} models {kinds(family.accepts)}, not {spec.kind()}s")
    if not conditional or isinstance(condition, family.conditions):
        return
    needed = kinds(family.conditions)
    if condition is None:
        raise ConfigError(f"model.conditional=true needs {needed}, and this data set has none")
    raise ConfigError(
        f"model.conditional=true: {name} can be conditioned on {needed}, and this data set offers "
        f"{condition.kind()}s"
    )


def kinds(specs: Iterable[type[Spec]]) -> str:
    """Kinds of data for a person: ``images or vectors``."""
    return " or ".join(f"{spec.kind()}s" for spec in specs) or "nothing"
