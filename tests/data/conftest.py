"""Fixtures of the data sets' tests: MNIST loaded once, and small idx files."""

import dataclasses
import gzip
import hashlib
import os
import time

import numpy as np
import pytest

from genlab.data.mnist import Mnist
from genlab.data.storage.cache import Writer
from genlab.data.storage.idx import to_idx
from genlab.data.storage.manifest import DataFile
from genlab.data.storage.manifests import MANIFESTS

NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


@pytest.fixture(scope="session")
def mnist(tmp_path_factory):
    """MNIST, decoded once for all tests."""
    before = os.environ.get("GENLAB_CACHE")
    os.environ["GENLAB_CACHE"] = str(tmp_path_factory.mktemp("mnist"))
    try:
        source = Mnist()
        source.prepare()
    finally:
        if before is None:
            del os.environ["GENLAB_CACHE"]
        else:
            os.environ["GENLAB_CACHE"] = before
    return source


@pytest.fixture
def mnist_everywhere(mnist, monkeypatch):
    """Every `Mnist` uses the arrays that are decoded already."""
    monkeypatch.setattr(Mnist, "_arrays", mnist.arrays())


def decodes_within(seconds, source, tries=3):
    """Whether a data set decodes in so many CPU-seconds, at best of a few tries."""
    for _ in range(tries):
        before = time.process_time()
        source.build(Writer(None))
        if time.process_time() - before < seconds:
            return True
    return False


def idx_contents(n_train=20, n_test=8):
    """Four small idx files of random digits."""
    rng = np.random.default_rng(0)
    arrays = (
        rng.integers(0, 256, (n_train, 28, 28), np.uint8),
        rng.integers(0, 10, n_train).astype(np.uint8),
        rng.integers(0, 256, (n_test, 28, 28), np.uint8),
        rng.integers(0, 10, n_test).astype(np.uint8),
    )
    return {name: to_idx(array) for name, array in zip(NAMES, arrays, strict=True)}


@pytest.fixture
def small_fashion(monkeypatch):
    """Fashion-MNIST shrunk to 20 + 8 images: gives the contents of its files."""
    contents = idx_contents()
    files = tuple(
        DataFile(name, hashlib.sha256(data).hexdigest(), "sha256", "content", len(data))
        for name, data in contents.items()
    )
    shrink(monkeypatch, "fashion_mnist", files=files, train=20, test=8, system=())
    return contents


def shrink(monkeypatch, name, **changes):
    """Replaces parts of a manifest."""
    monkeypatch.setitem(MANIFESTS, name, dataclasses.replace(MANIFESTS[name], **changes))


def write(folder, contents, suffix=".gz"):
    """Writes files, compressed by gzip if the suffix says so."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in contents.items():
        (folder / f"{name}{suffix}").write_bytes(gzip.compress(data) if suffix == ".gz" else data)
    return folder
