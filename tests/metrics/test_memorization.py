"""Copies of training images are seen, held-out images are not."""

import pytest
import scipy.spatial
import torch
from torch.testing import assert_close

from genlab.errors import DataError
from genlab.metrics.memorization import authenticity, nearest_neighbours, neighbour_ratio
from genlab.metrics.real import Reference


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_neighbours_equal_scipys():
    x, train = randn(700, 5), randn(300, 5, seed=1)
    distance, index = scipy.spatial.cKDTree(train.double()).query(x.double(), k=3)
    found = nearest_neighbours(x.double(), train.double(), 3)
    assert_close(found.indices, torch.from_numpy(index))
    assert_close(found.distance, torch.from_numpy(distance))
    with pytest.raises(DataError, match="at least 301"):
        nearest_neighbours(x, train, 301)


def test_small_distances_are_exact_far_from_the_origin():
    train = randn(100, 16) + 1000
    found = nearest_neighbours(train, train)
    assert_close(found.distance, torch.zeros(100, 1), rtol=0, atol=0)


def test_copies_are_seen():
    train, test, fresh = randn(2000, 16), randn(500, 16, seed=1), randn(500, 16, seed=2)
    copies = train[:500] + 1e-3 * randn(500, 16, seed=3)
    assert neighbour_ratio(fresh, test, train) == pytest.approx(1, abs=0.05)
    assert neighbour_ratio(copies, test, train) < 0.01
    assert 0.4 < authenticity(fresh, train) < 0.8
    assert authenticity(copies, train) == 0
    with pytest.raises(DataError, match="no scale"):
        neighbour_ratio(fresh, train[:10], train)


def test_authenticity_is_its_definition():
    train = torch.tensor([[0.0], [1.0], [10.0]])
    # nearest of 0.4 is 0, at 0.4 < 1; of 12 is 10, at 2 < 9; of 2.5 is 1, at 1.5 > 1
    assert authenticity(torch.tensor([[0.4], [12.0], [2.5]]), train) == pytest.approx(1 / 3)


def test_panel_shows_each_sample_beside_its_neighbours():
    train = torch.arange(4, dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 1, 2, 2)
    samples = torch.full((2, 1, 2, 2), 9, dtype=torch.uint8)
    reference = Reference(train, train, "f" * 64, "few")
    found = reference.picture(samples, torch.tensor([[3, 1], [0, 2]]))
    assert found.shape == (1, 4, 6)
    assert found[0, ::2, ::2].tolist() == [[9, 3, 1], [9, 0, 2]]
