"""What the package ships of real images is what those images give, and is found by their key."""

import json

import pytest
import torch

from genlab.data.mnist import Mnist
from genlab.data.module import ImageDataModule
from genlab.metrics import shipped
from genlab.metrics.diversity import class_shares
from genlab.metrics.extractors.selection import choose
from genlab.metrics.moments import Moments
from genlab.metrics.real import RealFeatures
from genlab.training.evaluator import reference_of


@pytest.fixture(scope="module")
def mnist(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENLAB_CACHE", str(tmp_path_factory.mktemp("mnist")))
        source = Mnist()
        source.prepare()
        reference = reference_of(ImageDataModule(source))
        (extractor,) = choose("auto", "mnist", reference.shape)
        yield reference, extractor


def test_bundled_mnist_needs_no_pass_over_its_real_images(mnist):
    looked = []
    real = RealFeatures(*mnist, advance=looked.append)
    assert real.moments.n == 60_000
    torch.testing.assert_close(real.shares.sum(), torch.ones_like(real.shares.sum()))

    def compute():
        raise AssertionError("it was worked out")

    for n in (2_000, 10_000):
        assert 0 <= real.floor(f"frechet/{n}/0", compute)["fd"] < 1
        assert real.floor(f"modes/{n}/0", compute)["modes"] == 10
    assert not looked
    assert not real.cached("train")


def test_other_images_are_not_taken_for_the_shipped_ones(mnist):
    reference, extractor = mnist
    fewer = type(reference)(
        reference.train[:1000], reference.test, reference.fingerprint, reference.name
    )
    real = RealFeatures(fewer, extractor)
    assert shipped.shipped_moments(real.key("train")) is None
    assert real.moments.n == 1000


@pytest.mark.slow
def test_shipped_moments_are_those_of_the_images(mnist):
    real = RealFeatures(*mnist)
    found = real.features("train")
    own = Moments.of(found.features)
    torch.testing.assert_close(real.moments.mean, own.mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(real.moments.covariance, own.covariance, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(real.shares, class_shares(found.logits))


def test_what_is_shipped_is_read_back(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "real")
    shipped._floors.cache_clear()
    moments = Moments.of(torch.randn(100, 4))
    for floors in ({"a": {"fd": 0.5}}, {"b": {"fd": 0.25}}):
        shipped.ship("key", moments, torch.ones(3) / 3, floors)
    again, shares = shipped.shipped_moments("key")
    assert again.n == 100
    torch.testing.assert_close(again.mean, moments.mean, rtol=0, atol=0)
    torch.testing.assert_close(again.covariance, moments.covariance, rtol=0, atol=0)
    torch.testing.assert_close(shares, torch.ones(3) / 3)
    assert shipped.shipped_floor("a") == {"fd": 0.5}
    assert shipped.shipped_floor("c") is None
    assert shipped.shipped_moments("other") is None
    assert json.loads((tmp_path / "real" / "floors.json").read_text()).keys() == {"a", "b"}
    shipped._floors.cache_clear()
