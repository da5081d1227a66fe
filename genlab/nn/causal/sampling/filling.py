"""Drawing of pixels from uniform noise: the sampling loop of all autoregressive models."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from genlab.nn.causal.fold import Fold
from genlab.nn.causal.sampling.engines import Engine, choose_engine
from genlab.nn.heads.base import Head
from genlab.nn.scaling import to_signed

__all__ = ["fill"]


def fill(
    x: Tensor,
    u: Tensor,
    network: nn.Module,
    head: Head,
    fold: Fold,
    context: Tensor | None = None,
    *,
    known: int = 0,
    temperature: float = 1.0,
    report: Callable[[int, int, Tensor], None] | None = None,
    params: Tensor | None = None,
    make_engine: Callable[..., Engine] = choose_engine,
) -> Tensor:
    """Draws all pixels but the first ones from given uniform noise.

    Args:
        x: Images, uint8 ``(B, C, H, W)``, contiguous; they are changed.
        u: Uniform noise ``(B, uniforms, H, W)``, see `genlab.nn.heads.base.Head.quantile`, of the
            network's dtype.
        network: The network, in evaluation mode; called with sites, see `Fold`, and the context.
        head: The distribution of a pixel, given the network's output.
        fold: How pixels are put together to sites.
        context: Context of the images, ``(B, K, 1, 1)``, or None.
        known: How many pixels are kept, in raster order.
        temperature: Scale of the randomness.
        report: Called after each finished row with the number of rows that are done, that of all,
            and the images so far.
        params: Where to write the head's parameters of each pixel, ``(B, P, H, W)``; of those of
            several ordered colors, as they were when the last one was drawn.
        make_engine: Makes the engine; called as `choose_engine`.

    Returns:
        The images.
    """
    batch, _, height, columns = x.shape
    if known >= height * columns:
        return x
    x.view(batch, -1, height * columns)[:, :, known:] = 0
    size, ordered, width = fold.size, fold.ordered, columns // fold.size
    # No autocast: the buffers have one dtype, and rounding must not depend on the caller.
    with torch.inference_mode(), torch.autocast(x.device.type, enabled=False):
        sites = fold.sites(x)
        first = known // columns
        engine = make_engine(network, to_signed(sites, head.levels).to(u.dtype), context, first)

        # Pixels and noise in the order of the lines: what a line needs lies together.
        order = torch.tensor([site for line in engine.lines for site in line], device=x.device)
        drawn = sites.flatten(2)[:, :, order].permute(2, 0, 1).contiguous()
        pixels = drawn.view(len(order), batch, -1, size, ordered)  # of a site, see `Fold.sites`
        noise = u.unflatten(3, (width, size)).flatten(2, 3)[:, :, order].permute(3, 2, 0, 1)
        noise = noise.contiguous()[..., None, None]  # (size, sites, B, uniforms, 1, 1)
        place = order.argsort().view(-1, width)  # where the sites of each row lie in that order

        stop = 0
        for number, line in enumerate(engine.lines):
            # Draw the line: of each of its sites one pixel, or one color, after the other.
            start, stop = stop, stop + len(line)
            engine.begin(number)
            for offset in range(size):
                # Only the first site can be known: the others are in rows below.
                skip = start + (line[0] * size + offset < known)
                for color in range(ordered):
                    found = engine.params()[skip - start :]
                    if skip < stop:
                        found = fold.of_pixel(found.flatten(0, 1), offset)
                        uniform = noise[offset, skip:stop].flatten(0, 1)
                        value = head.quantile(found, uniform, temperature)
                        value = value.view(stop - skip, batch, -1, ordered)
                        chosen = slice(color, color + 1) if ordered > 1 else slice(None)
                        pixels[skip:stop, :, :, offset, chosen] = value[..., chosen]
                    engine.put(to_signed(drawn[start:stop], head.levels).to(u.dtype))
                if params is not None and skip < stop:
                    where = order[skip:stop] * size + offset
                    given = found.view(stop - skip, batch, -1).permute(1, 2, 0)
                    params.view(batch, -1, height * columns)[:, :, where] = given
            # Hand over the row that this line completes: the first one that it crosses.
            row, column = divmod(line[0], width)
            if column == width - 1:
                done = drawn[place[row - first]]
                x[:, :, row] = fold.pixels(done.permute(1, 2, 0)[:, :, None])[:, :, 0]
                if report is not None:
                    report(row + 1, height, x)
    return x
