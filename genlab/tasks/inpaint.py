"""Completion: the upper part of real images kept, and the rest drawn by an autoregressive model."""

import torch
from torch import Tensor

from genlab.errors import ConfigError, Unsupported
from genlab.modalities.images.levels import to_bytes
from genlab.rng import stream
from genlab.system.progress import Progress
from genlab.tasks.base import Trained
from genlab.tasks.drawing import follow
from genlab.types import SamplingOptions

__all__ = ["COLUMNS", "completion", "kept_pixels"]

DRAWS = 6
"""Completions of each image."""

COLUMNS = DRAWS + 2
"""What was kept, the completions, and the image."""

GREY = 64
"""What stands where nothing was kept."""


def kept_pixels(keep: float, height: int, width: int) -> int:
    """How many pixels, in raster order, are kept.

    Args:
        keep: Below 1 the share of the rows; else a number of pixels.
        height: Rows of an image.
        width: Pixels of a row.

    Raises:
        ConfigError: Nothing would be left to draw, or it is no whole number of pixels.

    Example:
        >>> kept_pixels(0.5, 28, 28), kept_pixels(100, 28, 28)
        (392, 100)
    """
    if keep < 1:
        return round(keep * height) * width
    if keep != int(keep) or keep >= height * width:
        raise ConfigError(
            f"keep={keep:g}: below 1 a share of the {height} rows, else a whole number of pixels "
            f"below {height * width}"
        )
    return int(keep)


def completion(
    loaded: Trained,
    n: int,
    seed: int,
    keep: float,
    options: SamplingOptions | None,
    progress: Progress,
) -> Tensor:
    """Rows of what was kept of a test image, its completions, and the image itself.

    Returns:
        uint8 ``(rows * COLUMNS, C, H, W)``, 0 to 255.

    Raises:
        Unsupported: The family cannot complete images.
    """
    model, spec = loaded.model, loaded.model.spec
    if not model.can("complete"):
        raise Unsupported(
            f"task=complete: {type(model).__name__} does not draw pixel by pixel; pixelcnn, made, "
            "image_gpt and their kin do"
        )
    known = kept_pixels(keep, spec.height, spec.width)
    rows = max(1, n // COLUMNS)
    loaded.data.prepare_data()
    test = loaded.data.test
    order = torch.randperm(len(test.x), generator=stream(seed, "complete"))[:rows]
    images = test.x[order].to(model.device)
    y = test.y[order].to(model.device) if model.conditional and test.y is not None else None
    drawn = model.complete(
        images.repeat_interleave(DRAWS, 0),
        known,
        y.repeat_interleave(DRAWS) if y is not None else None,
        generator=stream(seed, "completion", device=model.device),
        options=options,
        on_progress=follow(progress("completing", rows * DRAWS), rows * DRAWS),
    )
    shown = to_bytes(images, spec.levels).flatten(2)
    masked = shown.clone()
    masked[:, :, known:] = GREY
    drawn = to_bytes(drawn, spec.levels).flatten(2).unflatten(0, (rows, DRAWS))
    table = torch.cat([masked[:, None], drawn, shown[:, None]], 1)
    return table.flatten(0, 1).unflatten(2, (spec.height, spec.width)).cpu()
