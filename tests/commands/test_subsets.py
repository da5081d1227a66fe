"""Subsets are random draws, and a report says how many were really used."""

import json

import numpy as np
import pytest
import torch

from genlab.data.mnist import Mnist
from genlab.data.synthetic import Synthetic
from genlab.metrics.builtin import SlicedWasserstein, Wasserstein
from genlab.metrics.real import Reference
from genlab.metrics.suite import Suite


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The 10,000 test digits, sorted by class and shuffled."""
    folder = tmp_path_factory.mktemp("digits")
    test = Mnist().load("test")
    x, y = test.x.numpy()[:, 0], test.y.numpy()
    np.savez(folder / "sorted.npz", x[np.argsort(y, kind="stable")])
    np.savez(folder / "shuffled.npz", x[np.random.default_rng(0).permutation(len(x))])
    return folder


def test_a_sorted_file_is_measured_as_a_shuffled_one(genlab, digits):
    """The first 2,000 of the sorted one are two digits: fd_digits 44.9 for real images."""
    found = []
    for name in ("sorted", "shuffled"):
        code, out, err = genlab(
            "evaluate", f"images={digits / name}.npz", "data=mnist", "metrics=quick"
        )
        assert code == 0, err
        line = next(line for line in out.splitlines() if "fd_digits_2k" in line)
        found.append(float(line.split()[2]))
    assert max(found) < 0.5
    assert abs(found[0] - found[1]) < 0.15


def reference(n_train, n_test):
    draw = torch.Generator().manual_seed(0)
    sets = [
        torch.randint(256, (n, 1, 8, 8), dtype=torch.uint8, generator=draw)
        for n in (n_train, n_test)
    ]
    return Reference(*sets, fingerprint=f"{n_train}-{n_test}", name="noise")


@pytest.mark.parametrize(
    ("metric", "samples", "train", "test", "used"),
    [
        ("wasserstein", 700, 900, 900, 512),  # whole blocks of 512
        ("wasserstein", 1100, 1100, 1024, 1024),
        ("wasserstein", 100, 900, 60, 60),
        ("sliced_wasserstein", 300, 200, 300, 200),
        ("sliced_wasserstein", 200, 300, 10, 200),
    ],
)
def test_a_report_says_how_many_samples_a_metric_used(metric, samples, train, test, used):
    suite = Suite(extractors=["pixels"], metrics=[metric], n_samples=samples)
    images = torch.randint(256, (samples, 1, 8, 8), dtype=torch.uint8)
    report = suite.run_images(images, reference(train, test))
    assert {value.n for value in report.values} == {used}
    for value in report.values:
        assert value.key.endswith(f"_{used}")


def test_blocks_and_pairs_are_counted():
    assert Wasserstein().usable(10_000, 60_000, 10_000) == 9728
    assert Wasserstein().usable(511, 600, 600) == 511
    assert SlicedWasserstein().usable(10_000, 500, 10) == 500


def test_limits_are_random_subsets(genlab, tmp_path):
    """Of data sorted by class, a limit leaves some of each."""
    y = Synthetic(n_train=400).load("train").y
    assert len(y.unique()) > 2
    line = ("model=vae_mlp", "model.hidden=8", "model.latent=2", "data=synthetic", "data.limit=64")
    end = ("trainer.max_images=8", "trainer.epochs=null", "metrics=none", "closing.n_samples=8")
    code, _, err = genlab("train", *line, *end, "logger=none", "name=r")
    assert code == 0, err
    assert json.loads((tmp_path / "runs" / "r" / "run.json").read_text())["images"]["test"] == 64
