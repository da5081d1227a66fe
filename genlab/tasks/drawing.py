"""Drawing: samples and reconstructions of a model, in batches, from a stream of their own."""

import torch
from torch import Tensor

from genlab.errors import ConfigError, Unsupported
from genlab.modalities.base import Modality
from genlab.modalities.rendering import Rendering
from genlab.models.base import GenerativeModel
from genlab.row_streams import RowGenerator
from genlab.system.progress import Advance, Progress
from genlab.tasks.base import Outcome, Request, Task, Trained
from genlab.types import Batch, OnProgress, SamplingOptions

__all__ = ["Draw", "conditions_for", "draw_samples", "follow", "pairs"]

LARGEST_FILM = 256
"""Examples that a film shows at the most."""


class Draw(Task):
    """Draws samples.

    Args:
        gif: Keep every partial result of a family that draws in steps, as a film.
    """

    def __init__(self, gif: bool = False):
        self.gif = gif

    def run(self, trained: Trained, request: Request, progress: Progress) -> Outcome:
        """Samples ``(n, ...)``; of a film the partial results of each step.

        Raises:
            Unsupported: A film of a family that does not draw in steps.
            ConfigError: A film of too many examples.
        """
        model, modality = trained.model, trained.modality
        if not self.gif:
            advance = follow(progress("drawing", request.n), request.n)
            return Outcome(draw(model, modality, request, advance))
        if not model.draws_in_steps:
            raise Unsupported(
                f"gif=true: {type(model).__name__} draws at once; a film of a walk through its "
                "codes: task=walk"
            )
        most = min(request.batch, LARGEST_FILM)
        if request.n > most:
            raise ConfigError(f"gif=true n={request.n}: a film shows at most {most} examples")
        frames: list[Tensor] = []

        def keep(done: int, total: int, x: Tensor) -> None:
            frames.append(modality.display(x).cpu().clone())

        draw(model, modality, request, keep)
        return Outcome(torch.stack(frames), film=True)


def draw(
    model: GenerativeModel, modality: Modality, request: Request, on_progress: OnProgress
) -> Tensor:
    """Samples for a request."""
    return draw_samples(
        model,
        modality,
        request.n,
        seed=request.seed,
        y=request.y,
        options=request.options,
        batch=request.batch,
        on_progress=on_progress,
    )


@torch.no_grad()
def draw_samples(
    model: GenerativeModel,
    modality: Modality,
    n: int,
    *,
    seed: int,
    y: Tensor | None = None,
    options: SamplingOptions | None = None,
    purpose: str = "samples",
    batch: int = 500,
    on_progress: OnProgress | None = None,
) -> Tensor:
    """Draws samples in batches; each has a random stream of its own, whatever the batch.

    A model that is conditioned on labels, and given none, draws the classes in turn.

    Args:
        model: What to draw from.
        modality: The kind of its data.
        n: How many samples.
        seed: Key of the streams.
        y: Conditions, such as labels ``(n,)``.
        options: See `GenerativeModel.sample`.
        purpose: Name of the streams.
        batch: Samples at a time.
        on_progress: Told of the steps of a family that draws in steps, of each batch of any other.

    Returns:
        ``(n, ...)`` on the scale of `Modality.display`, on the CPU.
    """
    conditions = conditions_for(model, n) if y is None else y
    drawn = []
    for start in range(0, n, batch):
        size = min(batch, n - start)
        part = conditions[start : start + size] if conditions is not None else None

        def report(done: int, total: int, x: Tensor, start: int = start, size: int = size) -> None:
            if on_progress is not None:
                on_progress(start * total + done * size, n * total, x)

        own = RowGenerator(seed, purpose, range(start, start + size), model.device)
        x = model.sample(size, part, generator=own, options=options, on_progress=report)
        if not model.draws_in_steps:
            report(1, 1, x)
        drawn.append(modality.display(x).cpu())
    return torch.cat(drawn)


def conditions_for(
    model: GenerativeModel, n: int, given: Tensor | None = None, start: int = 0
) -> Tensor | None:
    """Conditions of n samples of a conditional model; None for any other.

    Args:
        model: The model.
        n: How many.
        given: Conditions of the data, which are taken in turn where they are no labels.
        start: Samples that were drawn before: the turn goes on from there.

    Raises:
        Unsupported: The conditions are no labels, and none were given.
    """
    if model.condition is None:
        return None
    turn = torch.arange(start, start + n)
    if model.num_classes:
        return turn % model.num_classes
    if given is None:
        name, kind = type(model).__name__, model.condition.kind()
        raise Unsupported(f"{name} draws given {kind}s of the data, and here are none")
    return given[turn % len(given)]


def follow(advance: Advance, n: int) -> OnProgress:
    """Advances a bar of n examples by the share of them that is reported as done."""
    shown = 0

    def on_progress(done: int, total: int, x: Tensor) -> None:
        nonlocal shown
        before, shown = shown, done * n // total
        advance(shown - before)

    return on_progress


@torch.no_grad()
def pairs(model: GenerativeModel, modality: Modality, batch: Batch) -> Rendering:
    """Examples, each beside its reconstruction."""
    batch = Batch(
        batch.x.to(model.device),
        batch.y.to(model.device) if model.conditional and batch.y is not None else None,
    )
    with model.evaluating():
        again = model.reconstruct(batch)
    return modality.compare(modality.display(batch.x.cpu()), modality.display(again.cpu()))
