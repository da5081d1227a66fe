"""Modes of the ring and the grid, by the protocol of VEEGAN and PacGAN."""

import math

import pytest
import torch

from genlab.data.gaussians import Gaussians
from genlab.data.module import ImageDataModule
from genlab.errors import ConfigError
from genlab.metrics.extractors.selection import choose
from genlab.metrics.suite import Suite
from genlab.training.evaluator import given_by, reference_of


def measured(source, images, **options):
    suite = Suite(metrics=["frechet", "modes", "quality"], n_samples=len(images), **options)
    report = suite.run_images(images, reference_of(ImageDataModule(source)))
    return {value.key.split("_plane")[0]: value.value for value in report.values}


@pytest.mark.parametrize("form", ["points", "blobs"])
@pytest.mark.parametrize("layout", ["ring", "grid"])
def test_real_images_have_every_mode(layout, form):
    source = Gaussians(layout, form, n_train=5000, n_test=2500)
    found = measured(source, source.load("test").x)
    assert found["modes"] == source.modes
    assert found["quality"] == pytest.approx(1 - math.exp(-4.5), abs=0.015)
    assert found["class_kl"] < 0.03


def test_lost_modes_and_points_between_them_do_not_count():
    source = Gaussians("ring", n_train=5000, n_test=4000)
    x, y = source.load("test")
    kept = x[y < 3][:1000]
    between = torch.full((500, 1, 1, 2), 127, dtype=torch.uint8)
    found = measured(source, torch.cat([kept, between]))
    assert found["modes"] == 3
    outside = (source.assign(kept)[1] > 3).float().mean()
    assert found["quality"] == pytest.approx((1 - float(outside)) * 2 / 3, abs=1e-6)
    assert found["class_kl"] > 0.5


def test_its_identity_is_that_of_the_modes():
    ring, grid = Gaussians("ring"), Gaussians("grid")
    assert given_by(ring).id == given_by(Gaussians("ring", form="blobs")).id
    assert given_by(ring).id != given_by(grid).id
    assert given_by(ring).id != given_by(Gaussians("ring", std=1.0)).id


def test_other_data_has_no_plane():
    with pytest.raises(ConfigError, match="data=gaussians"):
        choose(["plane"], "mnist", (1, 28, 28))
