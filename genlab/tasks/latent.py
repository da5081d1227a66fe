"""Ways through the space of codes: from one image to another, and round trips as a film."""

import torch
from torch import Tensor

from genlab.errors import Unsupported
from genlab.modalities.images.grid import Pixels, grid
from genlab.modalities.images.levels import to_bytes
from genlab.rng import stream
from genlab.tasks.base import Trained
from genlab.tasks.drawing import conditions_for
from genlab.types import Batch, SamplingOptions

__all__ = ["ends", "interpolation", "interpolations", "slerp", "walk"]

STEPS = 8
"""Images in a row of an interpolation."""

STOPS = 4
"""Codes that a round trip passes."""


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


@torch.no_grad()
def interpolation(
    loaded: Trained, n: int, seed: int, options: SamplingOptions | None = None
) -> Tensor:
    """Rows that go from one code to another in equal steps.

    The ends are codes of test images where the family encodes, else codes of its prior.

    Returns:
        uint8 ``(rows * STEPS, C, H, W)``, 0 to 255.

    Raises:
        Unsupported: The family has no codes, or nothing between two of them.
    """
    model, rows = loaded.model, max(1, n // STEPS)
    codes, y = ends(loaded, 2 * rows, seed, options)
    start, end = codes[:rows], codes[rows:]
    between = torch.stack([slerp(start, end, i / (STEPS - 1)) for i in range(STEPS)], 1)
    y_between = y[:rows].repeat_interleave(STEPS) if y is not None else None
    return to_bytes(model.decode(between.flatten(0, 1), y_between), model.spec.levels).cpu()


def interpolations(loaded: Trained, seed: int) -> dict[str, Pixels]:
    """The picture of eight interpolations by its kind; nothing where the family has none."""
    try:
        images = interpolation(loaded, 8 * STEPS, seed)
    except Unsupported:
        return {}
    return {"interpolations": grid(images, columns=STEPS)}


@torch.no_grad()
def walk(
    loaded: Trained,
    n: int,
    frames: int,
    seed: int,
    options: SamplingOptions | None = None,
    y: Tensor | None = None,
) -> Tensor:
    """Round trips through codes of the prior: the last frame is one step from the first.

    Args:
        loaded: The run.
        n: How many trips.
        frames: Images of a trip.
        seed: Key of the codes.
        options: Of the prior: a temperature below 1 makes images more alike, and better.
        y: The condition of each trip, such as a label; the classes in turn if None.

    Returns:
        uint8 ``(frames, n, C, H, W)``, 0 to 255.

    Raises:
        Unsupported: The family draws no codes, or decodes none.
    """
    model = loaded.model
    if not (model.can("latent") and model.can("decode")):
        raise Unsupported(
            f"task=walk: {type(model).__name__} has no space of codes; VAEs, GANs and flows have"
        )
    generator = stream(seed, "walk", device=model.device)
    stops = model.latent(STOPS * n, generator=generator, options=options)
    stops = stops.unflatten(0, (STOPS, n))
    labels = conditions_for(model, n) if y is None else y
    labels = labels.to(model.device) if labels is not None else None
    film = []
    for i in range(frames):
        at = i * STOPS / frames
        leg = int(at)
        z = slerp(stops[leg], stops[(leg + 1) % STOPS], at - leg)
        film.append(to_bytes(model.decode(z, labels), model.spec.levels).cpu())
    return torch.stack(film)


def ends(
    loaded: Trained, n: int, seed: int, options: SamplingOptions | None = None
) -> tuple[Tensor, Tensor | None]:
    """Codes to go between, and their labels where the model is conditional.

    Raises:
        Unsupported: See `interpolation`.
    """
    model = loaded.model
    if not model.can("decode") or not (model.can("encode") or model.can("latent")):
        raise Unsupported(
            f"task=interpolate: {type(model).__name__} has no latent code; VAEs, GANs and flows "
            "have"
        )
    if not model.can("encode"):
        generator = stream(seed, "interpolate", device=model.device)
        y = conditions_for(model, n // 2)
        labels = y.repeat(2).to(model.device) if y is not None else None
        return model.latent(n, generator=generator, options=options), labels
    loaded.data.prepare_data()
    test = loaded.data.test
    order = torch.randperm(len(test.x), generator=stream(seed, "interpolate"))[:n]
    y = test.y[order].to(model.device) if model.conditional and test.y is not None else None
    codes = model.encode(Batch(test.x[order].to(model.device), y))
    if not codes.is_floating_point():
        raise Unsupported(
            f"task=interpolate: the codes of {type(model).__name__} are discrete, there is nothing "
            "between two of them"
        )
    return codes, y
