"""The Fréchet distance against closed forms, scipy and torch-fidelity."""

import time

import numpy as np
import pytest
import scipy.linalg
import torch
from torch.testing import assert_close

from genlab.errors import DataError
from genlab.metrics.frechet import frechet_distance, frechet_infinity
from genlab.metrics.moments import Moments, StreamingMoments


def normal(n, d, seed, scale=1.0, shift=0.0):
    draw = torch.Generator().manual_seed(seed)
    mix = torch.randn(d, d, generator=torch.Generator().manual_seed(99)) / d**0.5
    return (torch.randn(n, d, generator=draw) @ mix * scale + shift).double()


def scipy_distance(x, y):
    x, y = x.numpy(), y.numpy()
    s, t = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    shift = ((x.mean(0) - y.mean(0)) ** 2).sum()
    return shift + np.trace(s) + np.trace(t) - 2 * np.trace(scipy.linalg.sqrtm(s @ t).real)


def distance(x, y):
    return frechet_distance(Moments.of(x), Moments.of(y))


def gaussian(mean, covariance):
    return Moments(1000, mean, full=covariance)


@pytest.mark.parametrize("n", [10, 31, 32, 33, 5000])
def test_moments_equal_numpy_however_they_are_batched(n):
    x = normal(n, 32, seed=1, shift=1e4).float()
    moments = StreamingMoments()
    for part in x.split(7):
        moments.update(part)
    found = moments.finish()
    assert found.n == n
    exact = x.double().numpy()
    assert_close(found.mean, torch.from_numpy(exact.mean(0)), rtol=1e-12, atol=0)
    covariance = torch.from_numpy(np.cov(exact, rowvar=False))
    assert_close(found.covariance, covariance, rtol=1e-9, atol=1e-9)
    assert_close(found.root.T @ found.root, covariance, rtol=1e-9, atol=1e-9)
    assert_close(found.trace, covariance.trace(), rtol=1e-9, atol=0)


def test_closed_form_of_isotropic_gaussians():
    d, a, b = 17, 1.3, 0.4
    m = torch.linspace(-1, 1, d, dtype=torch.float64)
    eye = torch.eye(d, dtype=torch.float64)
    found = frechet_distance(gaussian(m, a**2 * eye), gaussian(-m, b**2 * eye))
    exact = float((2 * m).square().sum() + d * (a - b) ** 2)
    assert found == pytest.approx(exact, rel=1e-9)


def test_closed_form_of_commuting_covariances():
    q = torch.linalg.qr(normal(12, 12, seed=3)).Q
    s, t = torch.rand(2, 12, dtype=torch.float64)
    zero = torch.zeros(12, dtype=torch.float64)
    found = frechet_distance(gaussian(zero, q * s @ q.T), gaussian(zero, q * t @ q.T))
    assert found == pytest.approx(float((s.sqrt() - t.sqrt()).square().sum()), rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(400, 300), (300, 400)])
def test_equals_scipy_with_more_vectors_than_dimensions(n, m):
    x, y = normal(n, 24, 1), normal(m, 24, 2, scale=1.4, shift=0.3)
    assert distance(x, y) == pytest.approx(scipy_distance(x, y), rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(400, 300), (20, 15), (20, 300), (300, 20)])
def test_every_rank_equals_torch_fidelity(n, m):
    fidelity = pytest.importorskip("torch_fidelity.metric_fid")
    x, y = normal(n, 24, 1), normal(m, 24, 2, scale=1.4, shift=0.3)
    statistics = [fidelity.fid_features_to_statistics(z) for z in (x, y)]
    theirs = fidelity.fid_statistics_to_metric(*statistics, False)["frechet_inception_distance"]
    assert distance(x, y) == pytest.approx(theirs, rel=1e-7)


@pytest.mark.parametrize(("n", "m"), [(40, 50), (40, 90), (90, 40)])
def test_low_rank_path_equals_the_full_one(n, m):
    x, y = normal(n, 64, 1), normal(m, 64, 2, shift=0.2)
    full = [gaussian(z.mean(0), torch.from_numpy(np.cov(z.numpy(), rowvar=False))) for z in (x, y)]
    assert distance(x, y) == pytest.approx(frechet_distance(*full), rel=1e-6)


def test_equal_sets_are_at_distance_zero():
    few, many = normal(100, 256, 1, shift=3), normal(900, 64, 1, shift=3)
    assert distance(few, few) <= 1e-12
    assert distance(many, many) <= 1e-6
    # and nothing is lost nearby, where the root of each zero eigenvalue would leave 1e-8
    repeated = few[:20].repeat(5, 1)
    assert distance(repeated + 1e-5, repeated) == pytest.approx(256e-10, rel=1e-3)


def test_symmetric_and_invariant_under_rotation():
    x, y = normal(300, 24, 1), normal(200, 24, 2, scale=0.7, shift=0.3)
    q = torch.linalg.qr(normal(24, 24, seed=3)).Q
    assert distance(x, y) == pytest.approx(distance(y, x), rel=1e-9)
    assert distance(x, y) == pytest.approx(distance(x @ q, y @ q), rel=1e-9)


def test_infinity_removes_the_bias_of_few_samples():
    reference = Moments.of(normal(200_000, 32, 0))
    x = normal(2000, 32, 5)
    biased = frechet_distance(Moments.of(x), reference)
    assert abs(frechet_infinity(x, reference)) < biased / 4
    with pytest.raises(DataError, match="at least 150 samples, got 100"):
        frechet_infinity(x[:100], reference)


def test_what_has_no_covariance_is_refused():
    with pytest.raises(DataError, match="at least 2 images, got n=1"):
        Moments.of(torch.zeros(1, 4))
    with pytest.raises(DataError, match="not finite"):
        Moments.of(torch.full((5, 4), float("nan")))
    with pytest.raises(DataError, match="4 and 5 dimensions"):
        distance(torch.randn(9, 4), torch.randn(9, 5))


@pytest.mark.slow
def test_four_times_faster_than_scipy_at_inception_size():
    d = 2048
    decay = torch.arange(1, d + 1, dtype=torch.float64)[:, None] ** -0.7
    mix = torch.randn(d, d, dtype=torch.float64) * decay

    def features(n, shift):
        return (torch.randn(n, d, dtype=torch.float64) @ mix * 0.3 + 0.3 + shift).clamp(min=0)

    x, y = features(5000, 0.05), features(6000, 0.0)
    samples, reference = Moments.of(x), Moments.of(y)
    assert reference.root.shape == (d, d)
    start = time.process_time()
    ours = frechet_distance(samples, reference)
    middle = time.process_time()
    root = scipy.linalg.sqrtm((samples.covariance @ reference.covariance).numpy())
    theirs = time.process_time() - middle
    shift = (samples.mean - reference.mean).square().sum()
    exact = float(shift + samples.trace + reference.trace) - 2 * np.trace(root.real)
    assert ours == pytest.approx(exact, rel=1e-6)
    print(f"ours {middle - start:.2f} CPU-s, scipy sqrtm {theirs:.2f} CPU-s")
    assert theirs > 4 * (middle - start)
