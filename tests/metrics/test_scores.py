"""Scores and distances on features, against torch-fidelity, scipy and closed forms."""

import math

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
import torch
from torch.testing import assert_close

from genlab.errors import DataError
from genlab.metrics.diversity import class_kl, class_shares, mode_count, stacked_modes, vendi_score
from genlab.metrics.inception_score import class_score
from genlab.metrics.kernel import kernel_distance, median_distance, mmd_rbf, unbiased_mmd
from genlab.metrics.manifold import manifold_scores, neighbour_distances
from genlab.metrics.wasserstein import exact_w2, excess_w2, sliced_w2, wasserstein_1d


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# --- class score


@pytest.mark.parametrize("n", [128, 1003])
def test_class_score_equals_torch_fidelity(n):
    theirs = pytest.importorskip("torch_fidelity.metric_isc")
    logits = randn(n, 40) * 3
    expected = theirs.isc_features_to_metric(logits, splits=10, shuffle=True, rng_seed=2020)
    found = class_score(logits)
    assert found.mean == pytest.approx(expected["inception_score_mean"], abs=1e-10)
    assert found.std == pytest.approx(expected["inception_score_std"], abs=1e-10)


def test_class_score_lies_between_one_and_the_number_of_classes():
    certain = 1e4 * torch.eye(10).repeat(100, 1)
    assert class_score(certain, splits=1).mean == pytest.approx(10, rel=1e-12)
    assert class_score(torch.zeros(100, 10)) == pytest.approx((1, 0))
    with pytest.raises(DataError, match="n=9"):
        class_score(torch.zeros(9, 10))


# --- kernels


def test_kernel_distance_equals_torch_fidelity():
    theirs = pytest.importorskip("torch_fidelity.metric_kid")
    x, y = randn(300, 64, seed=1), randn(250, 64, seed=2) * 1.1 + 0.1
    expected = theirs.kid_features_to_metric(
        x, y, kid_subsets=20, kid_subset_size=100, rng_seed=2020, verbose=False
    )
    found = kernel_distance(x, y, subsets=20, size=100)
    assert found.mean == pytest.approx(expected["kernel_inception_distance_mean"], abs=1e-6)
    assert found.std == pytest.approx(expected["kernel_inception_distance_std"], abs=1e-6)
    with pytest.raises(DataError, match="got 300, 250"):
        kernel_distance(x, y)


def test_mmd_of_a_linear_kernel_is_the_difference_of_means():
    x, y = randn(4000, 3, seed=1).double() + 0.5, randn(3000, 3, seed=2).double()
    linear = unbiased_mmd(x @ x.T, x @ y.T, y @ y.T)
    assert float(linear) == pytest.approx(0.75, abs=0.05)
    biased = (x.mean(0) - y.mean(0)).square().sum()
    correction = x.var(0).sum() / len(x) + y.var(0).sum() / len(y)
    assert_close(linear, biased - correction, rtol=1e-9, atol=1e-9)


def test_rbf_mmd_equals_the_closed_form_of_gaussians():
    d, b, shift = 2, 1.5, 1.0
    x, y = randn(1500, d, seed=1) + torch.tensor([shift, 0.0]), randn(1500, d, seed=2)
    # E k(x, y) of N(m, I), N(0, I) under exp(-|x - y|^2 / 2 b^2)
    peak = (b**2 / (b**2 + 2)) ** (d / 2)
    exact = 2 * peak * (1 - math.exp(-(shift**2) / (2 * (b**2 + 2))))
    found = mmd_rbf(x, y, bandwidth=b, scales=(1.0,))
    assert found == pytest.approx(exact, abs=0.01)
    doubled = mmd_rbf(x, y, bandwidth=b, scales=(1.0, 1.0))
    assert doubled == pytest.approx(found, rel=1e-12)
    with pytest.raises(DataError, match="bandwidth=0"):
        mmd_rbf(x, y, bandwidth=median_distance(torch.zeros(9, 2)))


def test_rbf_mmd_is_unbiased():
    values = [
        mmd_rbf(randn(60, 4, seed=i), randn(60, 4, seed=1000 + i), bandwidth=2.0)
        for i in range(200)
    ]
    assert abs(np.mean(values)) < 3 * np.std(values) / 200**0.5
    assert min(values) < 0


# --- neighbours


def straightforward_prdc(real, fake, k):
    """Density and coverage word by word from the paper, with numpy and no vectorizing."""
    distance = np.linalg.norm(fake[:, None] - real[None], axis=2)
    within = np.linalg.norm(real[:, None] - real[None], axis=2)
    radius = np.sort(within, axis=1)[:, k]
    density = np.mean([np.sum(row < radius) / k for row in distance])
    coverage = np.mean([any(distance[:, j] < radius[j]) for j in range(len(real))])
    return density, coverage


@pytest.mark.parametrize(("n", "m"), [(300, 500), (1500, 1100)])
def test_manifold_scores_equal_torch_fidelity_and_the_papers(n, m):
    theirs = pytest.importorskip("torch_fidelity.metric_prc")
    fake, real = randn(n, 8, seed=1).double() * 0.8 + 0.2, randn(m, 8, seed=2).double()
    found = manifold_scores(fake, real)
    expected = theirs.calculate_precision_recall_full(fake, real, neighborhood=3)
    assert (found.precision, found.recall) == pytest.approx(expected, abs=1e-7)  # theirs: float32
    density, coverage = straightforward_prdc(real.numpy(), fake.numpy(), 5)
    assert found.density == pytest.approx(density, abs=1e-12)
    assert found.coverage == pytest.approx(coverage, abs=1e-12)
    assert 0.1 < found.precision < 1
    assert 0.1 < found.recall < 1


def test_borders_belong_to_precision_but_not_to_coverage():
    grid = torch.arange(12.0)[:, None]  # every radius is an integer
    shifted = torch.tensor([[-1.0], [-2.0], [-3.0], [-4.0]])
    found = manifold_scores(shifted, grid, ball=1, prdc_ball=1)
    assert found.precision == 0.25  # -1 is at distance 1 from 0, whose radius is 1
    assert found.coverage == 0
    assert found.density == 0


def test_a_repeated_image_has_precision_but_neither_recall_nor_coverage():
    real = randn(500, 16)
    copies = real[real.norm(dim=1).argmin()] + 1e-3 * randn(500, 16, seed=3)
    found = manifold_scores(copies, real)
    assert found.precision == 1
    assert found.density > 1
    assert found.recall < 0.01
    assert found.coverage < 0.1


def test_equal_distributions_have_the_expected_coverage():
    n, k = 2000, 5
    found = manifold_scores(randn(n, 4, seed=1), randn(n, 4, seed=2))
    expected = 1 - math.prod((n - i) / (2 * n - i) for i in range(1, k + 1))
    assert found.coverage == pytest.approx(expected, abs=0.02)
    assert found.density == pytest.approx(1, abs=0.05)


def test_neighbours_are_others():
    x = randn(50, 3)
    exact = np.sort(scipy.spatial.distance.cdist(x.double(), x.double()), axis=1)[:, 1:5]
    assert_close(neighbour_distances(x.double(), 4), torch.from_numpy(exact), rtol=1e-6, atol=1e-9)
    with pytest.raises(DataError, match="5 nearest neighbours need at least 6 images, got n=5"):
        manifold_scores(x, x[:5])
    with pytest.raises(DataError, match="3 nearest neighbours need at least 4 images, got n=3"):
        manifold_scores(x[:3], x)


# --- optimal transport


@pytest.mark.parametrize("m", [200, 333])
def test_w1_equals_scipy(m):
    x, y = randn(200, seed=1), randn(m, seed=2) * 2 + 1
    expected = scipy.stats.wasserstein_distance(x.double().numpy(), y.double().numpy())
    assert wasserstein_1d(x, y) == pytest.approx(expected, rel=1e-12)


def test_sliced_w2_of_a_shift_is_its_square_over_the_dimensions():
    x = randn(100, 32)
    shift = torch.zeros(32)
    shift[3] = 2.0
    assert sliced_w2(x, x + shift, projections=4000) == pytest.approx(4 / 32, rel=0.05)
    assert sliced_w2(x, x) == 0


def test_sliced_w2_of_one_dimension_is_the_exact_one():
    x, y = randn(200, 1, seed=1), randn(200, 1, seed=2) * 3
    assert sliced_w2(x, y, projections=7) == pytest.approx(exact_w2(x, y), rel=1e-9)


def test_exact_w2_finds_the_best_of_all_assignments():
    from itertools import permutations

    x, y = randn(6, 3, seed=1).double(), randn(6, 3, seed=2).double()
    costs = [(x - y[list(p)]).square().sum(1).mean() for p in permutations(range(6))]
    assert exact_w2(x, y) == pytest.approx(float(min(costs)), rel=1e-12)
    with pytest.raises(DataError, match="got 6 and 5"):
        exact_w2(x, y[:5])


def test_excess_w2_is_about_zero_between_equal_distributions():
    a, b, c = (randn(256, 32, seed=i) for i in range(3))
    assert exact_w2(a, b) > 20
    assert abs(excess_w2(a, b, c)) < 2
    assert excess_w2(a + 1, b, c) == pytest.approx(32, rel=0.25)


# --- diversity


def test_vendi_counts_what_is_different():
    x = torch.eye(7).repeat(11, 1)
    assert vendi_score(x) == pytest.approx(7, rel=1e-9)
    assert vendi_score(torch.ones(9, 4)) == pytest.approx(1, abs=1e-6)
    few, many = randn(20, 30), randn(30, 20)
    for y in (few, many):
        z = (y / y.norm(dim=1, keepdim=True)).double()
        values = np.linalg.eigvalsh((z @ z.T / len(z)).numpy()).clip(1e-300)
        expected = np.exp(-(values * np.log(values)).sum())
        assert vendi_score(y) == pytest.approx(expected, rel=1e-6)


def test_modes_are_counted_by_their_share():
    logits = torch.eye(10)[torch.tensor([0] * 500 + [1] * 495 + [2] * 5)]
    shares = class_shares(logits)
    assert_close(shares[:3], torch.tensor([0.5, 0.495, 0.005], dtype=torch.float64))
    assert mode_count(shares) == 2
    assert mode_count(shares, least=0) == 10
    exact = 0.5 * math.log(5) + 0.495 * math.log(4.95) + 0.005 * math.log(0.05)
    assert class_kl(shares) == pytest.approx(exact, rel=1e-12)
    assert class_kl(shares, shares) == 0
    assert class_kl(torch.full((10,), 0.1), shares) == math.inf


def test_stacked_modes_of_a_perfect_generator():
    labels = torch.randint(1000, (26_000,), generator=torch.Generator().manual_seed(0))
    modes, kl = stacked_modes(torch.nn.functional.one_hot(labels, 1000).float())
    assert modes == 1000
    assert kl == pytest.approx(999 / (2 * 26_000), abs=0.002)
    modes, kl = stacked_modes(torch.nn.functional.one_hot(labels % 10, 1000).float())
    assert modes == 10
    assert kl == pytest.approx(math.log(100), abs=0.01)
