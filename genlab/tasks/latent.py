"""Paths through the latent space: from one example to another, and round trips as a film."""

import torch
from torch import Tensor

from genlab.errors import Unsupported
from genlab.modalities.rendering import Rendering
from genlab.models.base import GenerativeModel
from genlab.ranges import PositiveInt
from genlab.rng import stream
from genlab.row_streams import RowGenerator
from genlab.system.progress import Progress, quiet
from genlab.tasks.base import Outcome, Request, Task, Trained
from genlab.tasks.drawing import conditions_for
from genlab.types import Batch

__all__ = ["STEPS", "Interpolate", "Walk", "interpolations", "slerp"]

STEPS = 8
"""Examples in a row of an interpolation."""

STOPS = 4
"""Codes that a round trip passes."""


class Interpolate(Task):
    """Rows that go from one code to another in equal steps.

    The ends are codes of test examples where the family encodes, else codes of its prior.
    """

    needs = ("decode",)

    def check(self, model: GenerativeModel) -> None:
        if not model.can("decode") or not (model.can("encode") or model.can("latent")):
            raise Unsupported(
                f"task=interpolate: {type(model).__name__} has no latent code; VAEs, GANs and "
                "flows have"
            )

    @torch.no_grad()
    def run(self, trained: Trained, request: Request, progress: Progress) -> Outcome:
        """Rows of `STEPS` examples each.

        Raises:
            Unsupported: There is nothing between two codes.
        """
        model, rows = trained.model, max(1, request.n // STEPS)
        codes, y = ends(trained, 2 * rows, request)
        start, end = codes[::2], codes[1::2]
        between = torch.stack([slerp(start, end, i / (STEPS - 1)) for i in range(STEPS)], 1)
        y_between = y[::2].repeat_interleave(STEPS, 0) if y is not None else None
        x = model.decode(between.flatten(0, 1), y_between)
        return Outcome(trained.modality.display(x).cpu(), STEPS)


class Walk(Task):
    """Round trips through codes of the prior: the last frame is one step from the first.

    Args:
        frames: Examples of a trip.
    """

    needs = ("latent", "decode")

    def __init__(self, frames: PositiveInt = 48):
        self.frames = frames

    def check(self, model: GenerativeModel) -> None:
        if not (model.can("latent") and model.can("decode")):
            raise Unsupported(
                f"task=walk: {type(model).__name__} has no space of codes; VAEs, GANs and flows "
                "have"
            )

    @torch.no_grad()
    def run(self, trained: Trained, request: Request, progress: Progress) -> Outcome:
        """A film of n trips; without conditions the classes in turn, one a trip."""
        model, n = trained.model, request.n
        rows = RowGenerator(request.seed, "walk", range(STOPS * n), model.device)
        stops = model.latent(STOPS * n, generator=rows, options=request.options)
        stops = stops.unflatten(0, (n, STOPS)).transpose(0, 1)
        y = conditions_for(model, n) if request.y is None else request.y
        y = y.to(model.device) if y is not None else None
        film = []
        for i in range(self.frames):
            at = i * STOPS / self.frames
            leg = int(at)
            z = slerp(stops[leg], stops[(leg + 1) % STOPS], at - leg)
            film.append(trained.modality.display(model.decode(z, y)).cpu())
        return Outcome(torch.stack(film), film=True)


def interpolations(trained: Trained, seed: int) -> dict[str, Rendering]:
    """The rendering of eight interpolations by its kind; nothing where the family has none."""
    task, model = Interpolate(), trained.model
    request = Request(8 * STEPS, seed, None, model.usual_sampling)
    try:
        task.check(model)
        made = task.run(trained, request, quiet)
    except Unsupported:
        return {}
    return {"interpolations": trained.modality.render(made.x, made.columns)}


def slerp(start: Tensor, end: Tensor, weight: float) -> Tensor:
    """The spherical interpolation of codes (Shoemake 1985; White 2016, arXiv:1609.04468).

    Codes of many dimensions lie near a sphere, which the straight way between two of them leaves:
    half way it is shorter by a factor of 1.4, where a decoder was never trained.

    Args:
        start: ``(B, ...)``.
        end: ``(B, ...)``.
        weight: 0 for the start, 1 for the end.

    Example:
        >>> slerp(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), 0.5)
        tensor([[0.7071, 0.7071]])
    """
    a, b = start.flatten(1), end.flatten(1)
    cosine = torch.cosine_similarity(a, b, dim=1).clamp(-1, 1)[:, None]
    angle = cosine.acos()
    sine = angle.sin()
    close = sine < 1e-4  # the same direction, or the opposite one: the straight way
    safe = torch.where(close, 1.0, sine)
    first = torch.where(close, 1 - weight, ((1 - weight) * angle).sin() / safe)
    second = torch.where(close, weight, (weight * angle).sin() / safe)
    return (first * a + second * b).view_as(start)


def ends(trained: Trained, n: int, request: Request) -> tuple[Tensor, Tensor | None]:
    """Codes to go between, and their conditions where the model is conditional.

    Raises:
        Unsupported: The codes are discrete.
    """
    model, seed = trained.model, request.seed
    if not model.can("encode"):
        generator = RowGenerator(seed, "interpolate", range(n), model.device)
        y = conditions_for(model, n // 2)
        both = y.repeat_interleave(2, 0).to(model.device) if y is not None else None
        return model.latent(n, generator=generator, options=request.options), both
    trained.data.prepare_data()
    test = trained.data.test
    # of few test images some are ends more than once
    order = torch.randperm(len(test.x), generator=stream(seed, "interpolate"))
    order = order.repeat(-(-n // len(order)))[:n]
    y = test.y[order].to(model.device) if model.conditional and test.y is not None else None
    codes = model.encode(Batch(test.x[order].to(model.device), y))
    if not codes.is_floating_point():
        raise Unsupported(
            f"task=interpolate: the codes of {type(model).__name__} are discrete, there is "
            "nothing between two of them"
        )
    return codes, y
