"""The scale, and dequantization on it."""

import math

import pytest
import torch

from genlab.nn.dequantize import dequantize, quantize
from genlab.nn.scaling import from_signed, from_unit, to_signed, to_unit

LEVELS = [2, 3, 4, 10, 255, 256]


@pytest.mark.parametrize("levels", LEVELS)
def test_every_level_comes_back(levels):
    x = torch.arange(levels).to(torch.uint8)
    torch.testing.assert_close(from_unit(to_unit(x, levels), levels), x)
    torch.testing.assert_close(from_signed(to_signed(x, levels), levels), x)


@pytest.mark.parametrize("levels", LEVELS)
def test_the_ends_are_the_ends(levels):
    ends = torch.tensor([0, levels - 1], dtype=torch.uint8)
    torch.testing.assert_close(to_unit(ends, levels), torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(to_signed(ends, levels), torch.tensor([-1.0, 1.0]))
    torch.testing.assert_close(from_unit(torch.tensor([-7.0, 7.0]), levels), ends)
    torch.testing.assert_close(from_signed(torch.tensor([-7.0, 7.0]), levels), ends)


def test_floats_are_rounded_not_truncated():
    u = torch.tensor([99.4, 99.6, 254.6]) / 255
    torch.testing.assert_close(from_unit(u, 256), torch.tensor([99, 100, 255]).to(torch.uint8))


def test_the_scale_follows_the_default_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        assert to_signed(torch.zeros(1, dtype=torch.uint8), 256).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("levels", LEVELS)
def test_dequantized_images_stay_in_their_bins(levels):
    x = torch.randint(0, levels, (50, 3, 4, 4)).to(torch.uint8)
    y, log_volume = dequantize(x, levels)
    assert 0 <= y.min() < y.max() <= 1
    assert (quantize(y, levels) == x).float().mean() > 0.999  # rounding may cross an edge
    torch.testing.assert_close(log_volume, torch.full((50,), -48 * math.log(levels)))


def test_a_uniform_density_gives_the_uniform_probability_exactly():
    """log p(y) = 0 on the unit cube: log P(x) = log_volume, 8 bits a sub-pixel."""
    _, log_volume = dequantize(torch.zeros(1, 1, 28, 28, dtype=torch.uint8), 256)
    assert -log_volume.item() / 784 / math.log(2) == pytest.approx(8.0)


def test_the_noise_is_uniform_and_its_own():
    x = torch.zeros(20_000, 1, dtype=torch.uint8)
    y, _ = dequantize(x, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(y.mean(), torch.tensor(0.25), rtol=0, atol=0.005)
    torch.testing.assert_close(y.var(), torch.tensor(0.25 / 12), rtol=0.05, atol=0)
    before = torch.get_rng_state()
    again, _ = dequantize(x, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(again, y)
    assert torch.equal(torch.get_rng_state(), before)
