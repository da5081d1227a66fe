"""Completion: the first part of real images kept, and the rest drawn given it."""

import torch

from genlab.errors import ConfigError, Unsupported
from genlab.modalities.provenance import Kind
from genlab.models.base import GenerativeModel
from genlab.ranges import PositiveFloat
from genlab.rng import stream
from genlab.row_streams import RowGenerator
from genlab.system.progress import Progress
from genlab.tasks.base import Outcome, Request, Task, Trained
from genlab.tasks.drawing import follow

__all__ = ["COLUMNS", "Complete", "kept_pixels"]

DRAWS = 6
"""Completions of each image."""

COLUMNS = DRAWS + 2
"""Columns of the picture: the kept part, the completions, and the image."""

GREY = 64
"""The value where nothing was kept."""


class Complete(Task):
    """Completes test images: rows of what was kept, its completions, and the image itself.

    Args:
        keep: Below 1 the share of the rows that is kept; else a number of pixels.
    """

    needs = ("complete",)

    def __init__(self, keep: PositiveFloat = 0.5):
        self.keep = keep

    def check(self, model: GenerativeModel) -> None:
        if not model.can("complete"):
            raise Unsupported(
                f"task=complete: {type(model).__name__} does not draw pixel by pixel; pixelcnn, "
                "made, image_gpt and their kin do"
            )

    def run(self, trained: Trained, request: Request, progress: Progress) -> Outcome:
        """Rows of `COLUMNS` images each, 0 to 255.

        Raises:
            ConfigError: Nothing would be left to draw.
        """
        model, spec, display = trained.model, trained.model.spec, trained.modality.display
        known = kept_pixels(self.keep, spec.height, spec.width)
        rows = max(1, request.n // COLUMNS)
        # Test images
        trained.data.prepare_data()
        test = trained.data.test
        order = torch.randperm(len(test.x), generator=stream(request.seed, "complete"))[:rows]
        rows = len(order)
        images = test.x[order].to(model.device)
        y = test.y[order].to(model.device) if model.conditional and test.y is not None else None
        # Their completions
        drawn = model.complete(
            images.repeat_interleave(DRAWS, 0),
            known,
            y.repeat_interleave(DRAWS, 0) if y is not None else None,
            generator=RowGenerator(request.seed, "completion", range(rows * DRAWS), model.device),
            options=request.options,
            on_progress=follow(progress("completing", rows * DRAWS), rows * DRAWS),
        )
        # Rows of all of it
        shown = display(images).flatten(2)
        masked = shown.clone()
        masked[:, :, known:] = GREY
        completed = display(drawn).flatten(2).unflatten(0, (rows, DRAWS))
        table = torch.cat([masked[:, None], completed, shown[:, None]], 1)
        x = table.flatten(0, 1).unflatten(2, (spec.height, spec.width)).cpu()
        parts: list[Kind] = ["composite"] * DRAWS
        return Outcome(x, COLUMNS, kinds=("real", *parts, "real"))


def kept_pixels(keep: float, height: int, width: int) -> int:
    """Number of pixels, in raster order, that are kept.

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
