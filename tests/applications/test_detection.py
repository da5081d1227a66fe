"""The mathematics of detection: against counting, scikit-learn's definitions, and uniform laws."""

import io
import itertools
import math

import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from genlab.applications.complexity import Residual, png_nats, statistics
from genlab.applications.conformal import check_alpha, p_values
from genlab.applications.floors import NearestNeighbour, PrincipalComponents
from genlab.applications.roc import auroc, false_alarms
from genlab.errors import ConfigError


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("seed", range(5))
def test_auroc_counts_pairs_and_ties_by_half(seed):
    normal, odd = (torch.randint(6, (n,), generator=generator(seed + n)) for n in (23, 31))
    pairs = [(b > a) + 0.5 * (b == a) for a, b in itertools.product(normal.tolist(), odd.tolist())]
    assert auroc(normal, odd) == pytest.approx(sum(pairs) / len(pairs), abs=1e-12)
    assert auroc(odd, normal) == pytest.approx(1 - auroc(normal, odd), abs=1e-12)


def test_false_alarms_are_those_at_the_threshold_that_catches_enough():
    normal = torch.arange(100.0)
    odd = torch.arange(50.0, 150.0)
    # 95 of the 100 odd ones are at 55 or above, and so are 45 normal ones
    assert false_alarms(normal, odd) == 0.45
    assert false_alarms(normal, odd, 1.0) == 0.5
    assert false_alarms(normal, odd + 1000) == 0
    assert false_alarms(normal, odd - 1000) == 1


def test_p_values_of_normal_images_are_uniform():
    """Over fresh scores and fresh calibration alike, flags are as rare as was asked for."""
    n, alpha = 39, 0.1
    flagged = []
    for seed in range(400):
        scores = torch.randn(n + 20, generator=generator(seed)).round(decimals=1)  # with ties
        flagged.append((p_values(scores[:n], scores[n:]) <= alpha).double().mean())
    rate = torch.stack(flagged).mean().item()
    assert rate <= alpha + 0.01
    without_ties = torch.randn(4000, generator=generator())
    p = p_values(without_ties[:1999], without_ties[1999:])
    assert_close(p.sort().values, torch.linspace(0, 1, len(p)).double(), rtol=0, atol=0.05)


def test_a_level_needs_enough_images():
    check_alpha(0.01, 99)
    with pytest.raises(ConfigError, match=r"alpha=0.01: needs 99 normal images .* there are 98"):
        check_alpha(0.01, 98)


def test_the_residual_takes_off_what_is_linear_and_nothing_else():
    g = generator()
    x = torch.cat([torch.ones(200, 1), torch.rand(200, 3, generator=g)], 1).double()
    rest = torch.randn(200, generator=g).double()
    rest -= x @ torch.linalg.lstsq(x, rest[:, None]).solution[:, 0]
    score = x @ torch.tensor([5.0, -3.0, 100.0, 0.1]).double() + rest
    fitted = Residual(x, score)
    assert_close(fitted(x, score), rest)
    assert_close(fitted(x[:3], score[:3] + 7), rest[:3] + 7)


def test_a_statistic_that_is_always_the_same_does_no_harm():
    x = torch.ones(10, 4).double()
    score = torch.arange(10.0)
    assert_close(Residual(x, score)(x, score), score.double() - 4.5)


def test_complexity_of_known_images():
    checks = torch.tensor([[0, 255], [255, 0]], dtype=torch.uint8).tile(4, 4)[None, None]
    flat = torch.full_like(checks, 255)
    found = statistics(torch.cat([checks, flat]))
    assert_close(found[:, 1], torch.tensor([2 * 7 * 8.0, 0]).double())
    assert_close(found[:, 2], torch.tensor([32.0, 64.0]).double())
    file = io.BytesIO()
    Image.fromarray(flat[0, 0].numpy()).convert("1").save(file, "PNG", optimize=True)
    assert png_nats(flat)[0] == pytest.approx(8 * math.log(2) * file.tell())
    noise = torch.randint(256, (1, 3, 32, 32), generator=generator(), dtype=torch.uint8)
    assert png_nats(noise)[0] > 3 * 32 * 32 * 8 * math.log(2)  # nothing to save, and a header


def test_the_plane_of_the_components_is_at_no_distance():
    g = generator()
    axes = torch.rand(3, 1, 4, 4, generator=g)
    images = torch.einsum("nk,kchw->nchw", torch.rand(50, 3, generator=g), axes) * 80
    score = PrincipalComponents(images, 3)
    assert_close(score(images), torch.zeros(50).double(), rtol=0, atol=1e-4)
    away = images[:1].clone()
    away[0, 0, 0, 0] += 100
    assert score(away)[0] > 0.01


def test_a_known_image_is_its_own_neighbour():
    images = torch.randint(256, (30, 1, 5, 5), generator=generator(), dtype=torch.uint8)
    score = NearestNeighbour(images)
    assert_close(score(images), torch.zeros(30).double(), rtol=0, atol=2e-3)
    other = images[:1].clone()
    other[0, 0, 0, 0] = (int(other[0, 0, 0, 0]) + 128) % 256
    gap = abs(int(other[0, 0, 0, 0]) - int(images[0, 0, 0, 0])) / 255
    assert score(other)[0] == pytest.approx(gap, rel=1e-3)
