"""What a discriminator sees: each change of an image against torchvision's."""

import math

import pytest
import torch
import torchvision.transforms.functional as tv
from torch.nn.functional import grid_sample
from torchvision.transforms import InterpolationMode

from genlab.nn.gan.ada import (
    INTERVAL,
    SPEED,
    AdaptiveAugment,
    color_matrices,
    geometric_matrices,
    recolor,
    warp,
)
from genlab.nn.gan.diffaugment import DiffAugment, brighten, contrast, cutout, saturate, shift
from genlab.nn.gan.resample import resample


@pytest.fixture
def x():
    return torch.rand(3, 3, 12, 16, generator=torch.Generator().manual_seed(0))


def test_translation_is_torchvisions(x):
    down, right = torch.tensor([2, -1, 0]), torch.tensor([-3, 2, 1])
    moved = shift(x, down, right, 0.25)
    for i in range(3):
        expected = tv.affine(x[i], 0.0, [int(right[i]), int(down[i])], 1.0, [0.0, 0.0], fill=[0.25])
        torch.testing.assert_close(moved[i], expected)


def test_cutout_is_torchvisions_erase(x):
    cut = cutout(x, torch.tensor([2, 0, 5]), torch.tensor([3, 10, 0]), (6, 6), 0.5)
    for i, (top, left) in enumerate([(2, 3), (0, 10), (5, 0)]):
        torch.testing.assert_close(cut[i], tv.erase(x[i], top, left, 6, 6, torch.tensor(0.5)))


def test_contrast_of_grey_images_is_torchvisions(x):
    grey = 0.4 + 0.2 * x[:, :1]  # so that nothing is clipped
    changed = contrast(grey, torch.tensor([0.5, 1.0, 1.5]))
    for i, factor in enumerate((0.5, 1.0, 1.5)):
        torch.testing.assert_close(changed[i], tv.adjust_contrast(grey[i], factor))


def test_saturation_and_brightness_are_their_formulas(x):
    """Torchvision weights the channels for grey and multiplies for brightness; this does not."""
    changed = saturate(x, torch.tensor([0.0, 1.0, 2.0]))
    torch.testing.assert_close(changed[0], x[0].mean(0, keepdim=True).expand(3, -1, -1))
    torch.testing.assert_close(changed[1], x[1])
    torch.testing.assert_close(changed[2], 2 * x[2] - x[2].mean(0, keepdim=True))
    torch.testing.assert_close(brighten(x, torch.tensor([0.1, 0, -0.1]))[2], x[2] - 0.1)


def test_diffaugment_can_be_differentiated_and_keeps_its_bounds(x):
    x = (2 * x - 1).requires_grad_()
    y = DiffAugment(["translation"])(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert set(gradient.unique().tolist()) <= {0.0, 1.0}
    kept = gradient.flatten(1).mean(1)
    assert (kept >= (1 - 2 / 12) * (1 - 2 / 16) - 1e-6).all()  # an eighth of each side, at most
    erased = DiffAugment(["cutout"], fill=7.0)(x.detach().repeat(50, 1, 1, 1))
    share = (erased == 7).float().mean((1, 2, 3))
    assert (share > 0).all()
    assert float(share.max()) == pytest.approx(0.25)
    bright = DiffAugment(["color"])(torch.zeros(500, 1, 4, 4))
    assert float(bright.min()) >= -0.5
    assert float(bright.max()) <= 0.5
    assert float(bright.std()) > 0.2


def matrix(rows):
    return torch.tensor([rows], dtype=torch.float32)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[1, 0, 0], [0, 1, 0]], lambda x: x),
        ([[-1, 0, 0], [0, 1, 0]], tv.hflip),
        ([[1, 0, 0], [0, -1, 0]], tv.vflip),
        ([[0, -1, 0], [1, 0, 0]], lambda x: torch.rot90(x, 1, (1, 2))),
    ],
)
def test_flips_and_quarter_turns_are_torchvisions(rows, expected):
    x = torch.rand(1, 3, 8, 8)
    ours = warp(x, matrix(rows))[0]
    theirs = expected(x[0])
    if rows[0][0] == 0:  # either sense of rotation is as good; torchvision names this one
        theirs = tv.rotate(x[0], -90) if not torch.allclose(ours, theirs, atol=1e-5) else theirs
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_rotation_and_scale_are_torchvisions_away_from_the_border():
    x, angle, scale = torch.rand(1, 1, 33, 33), 20.0, 1.25
    a = math.radians(angle)
    c, s = math.cos(a) / scale, math.sin(a) / scale
    ours = warp(x, matrix([[c, s, 0], [-s, c, 0]]))[0]
    theirs = tv.affine(
        x[0], angle, [0, 0], scale, [0.0, 0.0], interpolation=InterpolationMode.BILINEAR
    )
    torch.testing.assert_close(ours[:, 8:-8, 8:-8], theirs[:, 8:-8, 8:-8], rtol=1e-3, atol=1e-4)


def test_colours_follow_their_matrices():
    x = torch.rand(2, 3, 4, 4)
    third = torch.eye(4).repeat(2, 1, 1)
    third[:, :3, :3] = torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])  # hue by 120 degrees
    torch.testing.assert_close(recolor(x, third), x[:, [2, 0, 1]])
    brighter = torch.eye(4).repeat(2, 1, 1)
    brighter[:, :3, 3] = 0.2
    torch.testing.assert_close(recolor(x, brighter), x + 0.2)
    grey = x[:, :1]
    torch.testing.assert_close(recolor(grey, brighter), grey + 0.2)


def test_hue_and_saturation_leave_grey_images_alone_and_luma_flips_invert_them():
    torch.manual_seed(0)
    matrices = color_matrices(400, torch.tensor(1.0))
    grey = torch.ones(400, 3, 1, 1) * 0.3
    changed = recolor(grey, matrices)
    torch.testing.assert_close(changed, changed.mean(1, keepdim=True).expand_as(changed))
    single = recolor(grey[:, :1], matrices)
    torch.testing.assert_close(single, changed[:, :1], rtol=1e-4, atol=1e-4)


def test_nothing_happens_with_probability_zero():
    p = torch.tensor(0.0)
    torch.testing.assert_close(geometric_matrices(4, p, 1.0), torch.eye(3)[:2].repeat(4, 1, 1))
    torch.testing.assert_close(color_matrices(4, p), torch.eye(4).repeat(4, 1, 1))
    x = torch.rand(2, 1, 7, 7)
    torch.testing.assert_close(AdaptiveAugment()(x), x, rtol=1e-5, atol=1e-6)


def test_everything_happens_as_often_as_its_probability():
    torch.manual_seed(0)
    m = geometric_matrices(4000, torch.tensor(0.5), aspect=2.0)
    colors = color_matrices(4000, torch.tensor(0.5))
    same = (colors == torch.eye(4)).flatten(1).all(1).float().mean()
    assert float(same) < 0.1
    flipped = (m[:, 0, 0] * m[:, 1, 1] - m[:, 0, 1] * m[:, 1, 0] < 0).float().mean()
    assert float(flipped) == pytest.approx(0.25, abs=0.03)  # half of those that are drawn


def test_the_probability_follows_the_sign_of_the_overfitting():
    ada = AdaptiveAugment(target=0.5)
    for step in range(3 * INTERVAL):
        ada.observe(torch.tensor([3.0, 1.0, 2.0, -1.0, 1.0, 1.0, 1.0, 1.0]))  # mean sign 0.75
        ada.update()
        expected = ((step + 1) // INTERVAL) * INTERVAL * 8 / SPEED
        assert float(ada.p) == pytest.approx(expected)
    for _ in range(100 * INTERVAL):
        ada.observe(torch.tensor([1.0, -1.0]))
        ada.update()
    assert float(ada.p) == 0


def test_resampling_is_grid_samples():
    g = torch.manual_seed(0)
    x = torch.randn(3, 2, 5, 7, dtype=torch.float64, generator=g)
    grid = 3 * torch.randn(3, 5, 7, 2, dtype=torch.float64, generator=g)  # far beyond the border
    grid = grid.float().double()
    want = grid_sample(x, grid, padding_mode="reflection", align_corners=False)
    torch.testing.assert_close(resample(x, grid), want, rtol=1e-5, atol=1e-5)


def test_resampling_has_a_second_derivative():
    g = torch.manual_seed(0)
    x = torch.randn(2, 1, 3, 4, dtype=torch.float64, generator=g).requires_grad_()
    grid = torch.randn(2, 3, 4, 2, dtype=torch.float64, generator=g)
    assert torch.autograd.gradcheck(lambda x: resample(x, grid).square(), x)
    assert torch.autograd.gradgradcheck(lambda x: resample(x, grid).square(), x)
