"""Adaptive discriminator augmentation (ADA)."""

import math

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import affine_grid

from genlab.nn.gan.resample import resample

__all__ = ["AdaptiveAugment", "color_matrices", "geometric_matrices", "recolor", "warp"]

INTERVAL = 4  # steps between two changes of the probability
SPEED = 500_000  # images over which it may go from 0 to 1


def _eye(b: int, n: int, device: torch.device) -> Tensor:
    return torch.eye(n, device=device).repeat(b, 1, 1)


def warp(x: Tensor, matrices: Tensor) -> Tensor:
    """Resamples images bilinearly; each matrix takes a point of the new image to one of the old.

    Points are in units of half the image's height and width from its centre. Beyond the border
    the image is mirrored.

    Args:
        x: Images ``(B, C, H, W)``.
        matrices: ``(B, 2, 3)``.
    """
    return resample(x, affine_grid(matrices, list(x.shape), align_corners=False))


def recolor(x: Tensor, matrices: Tensor) -> Tensor:
    """Affine maps of the colours; images of one channel use the mean of the rows for grey.

    Args:
        x: Images ``(B, C, H, W)``.
        matrices: ``(B, 4, 4)``, of colours ``(r, g, b, 1)``.
    """
    matrices = matrices.to(x.dtype)
    if x.shape[1] == 3:
        mixed = torch.einsum("bij,bjhw->bihw", matrices[:, :3, :3], x)
        return mixed + matrices[:, :3, 3, None, None]
    rows = matrices[:, :3].mean(1)  # grey in, grey out
    return x * rows[:, :3].sum(1)[:, None, None, None] + rows[:, 3][:, None, None, None]


def geometric_matrices(b: int, p: Tensor, aspect: float) -> Tensor:
    """Random flips, quarter turns, shifts, scales and rotations, each with probability p.

    Karras et al. 2020, arXiv:2006.06676, appendix B, pixel blitting and general geometric
    transformations.

    Args:
        b: Number of images.
        p: Probability of each, a scalar.
        aspect: Width over height; other than 1, quarter turns are left out.

    Returns:
        ``(b, 2, 3)``, for `warp`.
    """
    device = p.device

    def rand() -> Tensor:
        return torch.rand(b, device=device)

    def happens() -> Tensor:
        return (rand() < p).float()

    def turn(angle: Tensor) -> Tensor:
        m = _eye(b, 3, device)
        m[:, 0, 0] = m[:, 1, 1] = angle.cos()
        # In units of half the sides, a rotation of an oblong image is no rotation.
        m[:, 0, 1], m[:, 1, 0] = -angle.sin() / aspect, angle.sin() * aspect
        return m

    def scale(horizontal: Tensor, vertical: Tensor) -> Tensor:
        return torch.diag_embed(torch.stack([horizontal, vertical, torch.ones_like(vertical)], 1))

    def shift(horizontal: Tensor, vertical: Tensor) -> Tensor:
        m = _eye(b, 3, device)
        m[:, 0, 2], m[:, 1, 2] = horizontal, vertical
        return m

    one = torch.ones(b, device=device)
    m = scale(1 - 2 * torch.floor(2 * rand()) * happens(), one)
    if aspect == 1:
        m = m @ turn(torch.floor(4 * rand()) * happens() * math.pi / 2)
    on = happens()
    m = m @ shift((2 * rand() - 1) * 0.25 * on, (2 * rand() - 1) * 0.25 * on)
    isotropic = torch.exp2(0.2 * torch.randn(b, device=device) * happens())
    m = m @ scale(isotropic, isotropic)
    # Two rotations, before and after the anisotropic scale, together with probability p.
    half = 1 - (1 - p).clamp_min(0).sqrt()
    m = m @ turn((2 * rand() - 1) * math.pi * (rand() < half).float())
    stretch = torch.exp2(0.2 * torch.randn(b, device=device) * happens())
    m = m @ scale(stretch, 1 / stretch)
    m = m @ turn((2 * rand() - 1) * math.pi * (rand() < half).float())
    on = happens()
    x, y = torch.randn(2, b, device=device) * 0.25
    return (m @ shift(x * on, y * on))[:, :2]


def color_matrices(b: int, p: Tensor) -> Tensor:
    """Random brightness, contrast, luma flips, hues and saturations, each with probability p.

    Karras et al. 2020, appendix B, colour transformations, of images on [-1, 1].

    Returns:
        ``(b, 4, 4)``, for `recolor`.
    """
    device = p.device
    m = _eye(b, 4, device)
    # The grey axis, about which luma, hue and saturation change
    grey = torch.tensor([1.0, 1.0, 1.0, 0.0], device=device) / math.sqrt(3)
    outer = torch.outer(grey, grey)

    def rand() -> Tensor:
        return torch.rand(b, device=device)

    def happens() -> Tensor:
        return (rand() < p).float()

    # Brightness, contrast, luma flip, hue, saturation, in this order
    shift = _eye(b, 4, device)
    shift[:, :3, 3] = (0.2 * torch.randn(b, device=device) * happens())[:, None]
    m = shift @ m
    factor = torch.exp2(0.5 * torch.randn(b, device=device) * happens())
    m = torch.diag_embed(torch.stack([factor, factor, factor, torch.ones_like(factor)], 1)) @ m
    flip = torch.floor(2 * rand()) * happens()
    m = (_eye(b, 4, device) - 2 * outer * flip[:, None, None]) @ m
    m = _rotation_about_grey((2 * rand() - 1) * math.pi * happens()) @ m
    saturation = torch.exp2(torch.randn(b, device=device) * happens())
    return (outer + (torch.eye(4, device=device) - outer) * saturation[:, None, None]) @ m


def _rotation_about_grey(angle: Tensor) -> Tensor:
    """Rotations of colours about the grey axis, as ``(B, 4, 4)`` (Rodrigues' formula)."""
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]], device=angle.device) / math.sqrt(3)
    a = angle[:, None, None]
    m = _eye(len(angle), 4, angle.device)
    m[:, :3, :3] += a.sin() * cross + (1 - a.cos()) * (cross @ cross)
    return m


class AdaptiveAugment(nn.Module):
    """Adaptive discriminator augmentation (Karras et al. 2020, arXiv:2006.06676).

    Each transformation happens with probability p, which
    rises while ``E[sign D(real)]`` over the last steps exceeds a target, and falls otherwise.
    Below p = 0.8 the generator does not learn the augmentations.

    Args:
        target: Of the overfitting signal.
    """

    p: Tensor
    signs: Tensor

    def __init__(self, target: float = 0.6):
        super().__init__()
        self.target = target
        self.register_buffer("p", torch.zeros(()))
        # Since p was last changed: the sum of the logits' signs, the number of logits and of steps.
        self.register_buffer("signs", torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        """Changed images, of the shape of x ``(B, C, H, W)``."""
        b, _, height, width = x.shape
        x = warp(x, geometric_matrices(b, self.p, width / height))
        return recolor(x, color_matrices(b, self.p)) if x.shape[1] in (1, 3) else x

    @torch.no_grad()
    def observe(self, on_real: Tensor) -> None:
        """Adds the logits of real images to the sums that `update` decides by."""
        n = float(len(on_real))
        self.signs += torch.stack(
            [on_real.float().sign().sum(), on_real.new_tensor(n), on_real.new_ones(())]
        )

    @torch.no_grad()
    def update(self) -> None:
        """Moves p towards the target, once every `INTERVAL` steps; called after each step."""
        total = self.signs.clone()
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(total)  # the logits of all processes count
        # No ``if`` on what is due: its value would have to be waited for on a GPU.
        # Steps are made together: one's own are counted.
        due = self.signs[2] >= INTERVAL
        signal = total[0] / total[1].clamp_min(1)
        change = torch.sign(signal - self.target) * total[1] / SPEED
        self.p.copy_(torch.where(due, (self.p + change).clamp(0, 1), self.p))
        self.signs.mul_(torch.where(due, 0.0, 1.0))
