"""Splines against zuko's, against autograd, and at their ends."""

import pytest
import torch
from zuko.transforms import MonotonicRQSTransform

from genlab.nn.flows.spline import knots, rational_quadratic, rational_quadratic_inverse

BOUND = 3.0


def case(bins=6, n=400, spread=2.5, dtype=torch.float64):
    """Numbers inside and outside the interval, and the parameters of a spline for each."""
    x = spread * torch.randn(n, 3, dtype=dtype)
    return x, torch.randn(n, 3 * bins - 1, 3, dtype=dtype)


def zukos(widths, heights, slopes):
    """zuko's spline with the same knots, which it would otherwise choose itself."""
    other = MonotonicRQSTransform(
        widths.movedim(1, -1), heights.movedim(1, -1), slopes.movedim(1, -1).log(), bound=BOUND
    )
    zero = torch.zeros_like(widths[:, :1])
    one = torch.ones_like(slopes[:, :1])
    other.horizontal = torch.cat([zero, widths], 1).cumsum(1).movedim(1, -1) - BOUND
    other.vertical = torch.cat([zero, heights], 1).cumsum(1).movedim(1, -1) - BOUND
    other.derivatives = torch.cat([one, slopes, one], 1).movedim(1, -1)
    return other


def test_values_slopes_and_inverses_are_zukos():
    x, params = case()
    bins = knots(params, BOUND)
    other = zukos(*bins)
    y, log_slope = rational_quadratic(x, *bins, BOUND)
    expected, expected_slope = other.call_and_ladj(x)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(log_slope, expected_slope, rtol=0, atol=1e-8)
    found = rational_quadratic_inverse(y, *bins, BOUND)
    torch.testing.assert_close(found, other.inv(y), rtol=0, atol=1e-9)
    torch.testing.assert_close(found, x, rtol=0, atol=1e-10)


def test_gradients_are_zukos():
    x, params = case(n=50)
    x.requires_grad_()
    bins = [b.detach().requires_grad_() for b in knots(params, BOUND)]
    weight = torch.randn_like(x)

    def gradients(y, log_slope):
        return torch.autograd.grad((weight * y + log_slope).sum(), [x, *bins])

    mine = gradients(*rational_quadratic(x, *bins, BOUND))
    theirs = gradients(*zukos(*bins).call_and_ladj(x))
    torch.testing.assert_close(mine, theirs, rtol=1e-7, atol=1e-8)


def test_the_logarithm_of_the_slope_is_autograds():
    x, params = case()
    x.requires_grad_()
    y, log_slope = rational_quadratic(x, *knots(params, BOUND), BOUND)
    (slope,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(log_slope.exp(), slope, rtol=1e-8, atol=1e-10)
    outside = x.detach().abs() >= BOUND
    assert outside.any()
    assert not outside.all()
    assert (log_slope[outside] == 0).all()
    torch.testing.assert_close(y[outside], x[outside], rtol=0, atol=0)


def test_parameters_of_zero_are_the_identity():
    x, params = case()
    y, log_slope = rational_quadratic(x, *knots(torch.zeros_like(params), BOUND), BOUND)
    torch.testing.assert_close(y, x, rtol=0, atol=1e-12)
    torch.testing.assert_close(log_slope, torch.zeros_like(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_the_ends_and_wild_parameters_stay_finite_and_invertible(scale):
    ends = torch.tensor([-BOUND, BOUND, 0.0, -BOUND + 1e-6, BOUND - 1e-6])
    x = ends.view(1, -1, 1).expand(200, 5, 1).flatten(0, 1)
    params = scale * torch.randn(len(x), 17, 1)
    params.requires_grad_()
    bins = knots(params, BOUND)
    y, log_slope = rational_quadratic(x, *bins, BOUND)
    (y.sum() + log_slope.sum()).backward()
    assert params.grad.isfinite().all()
    assert (y.abs() <= BOUND + 1e-5).all()
    found = rational_quadratic_inverse(y, *bins, BOUND)
    # Where a spline is steep, x is known better than y, and where it is flat, y better than x.
    again, _ = rational_quadratic(found, *bins, BOUND)
    error = torch.minimum((found - x).abs(), (again - y).abs())
    torch.testing.assert_close(error, torch.zeros_like(error), rtol=0, atol=1e-4)
