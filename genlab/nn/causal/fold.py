"""Neighbours in a row as channels of one site: the same order, with fewer and richer sites."""

from torch import Tensor

__all__ = ["Fold"]


class Fold:
    """Turns ``size`` neighbouring pixels of a row into one site, and parameters back into pixels.

    Raster order stays what it is: the pixels of a site come one after the other as color groups of
    its channels (`genlab.nn.causal.layers.color_mask`), left before right, and within a pixel the
    colors, where these are ordered. A network of a given number of weights costs a ``size``-th.

    Args:
        size: Pixels of a site.
        ordered: Ordered colors of a pixel, 1 if the head treats a pixel as a whole.
    """

    def __init__(self, size: int, ordered: int):
        self.size, self.ordered = size, ordered
        self.colors = size * ordered

    def sites(self, x: Tensor) -> Tensor:
        """Images ``(B, C, H, W)`` to ``(B, C size, H, W / size)``.

        Example:
            >>> import torch
            >>> Fold(2, 1).sites(torch.arange(4).view(1, 1, 1, 4)).tolist()
            [[[[0, 2]], [[1, 3]]]]
        """
        if self.size == 1:
            return x
        x = x.unflatten(3, (-1, self.size)).unflatten(1, (-1, self.ordered))
        return x.permute(0, 1, 5, 2, 3, 4).flatten(1, 3)

    def pixels(self, params: Tensor) -> Tensor:
        """Parameters ``(B, P size, H, W / size)`` of sites to those of pixels ``(B, P, H, W)``."""
        if self.size == 1:
            return params
        params = params.unflatten(1, (-1, self.size, self.ordered))
        return params.permute(0, 1, 3, 4, 5, 2).flatten(1, 2).flatten(3)

    def of_pixel(self, params: Tensor, index: int) -> Tensor:
        """Of a site's parameters ``(B, P size)``, those of one of its pixels, ``(B, P, 1, 1)``."""
        if self.size > 1:
            params = params.unflatten(1, (-1, self.size, self.ordered))[:, :, index].flatten(1)
        return params[..., None, None]
