"""The data sets that are made rather than read."""

import pytest
import torch

from genlab.data.gaussians import Gaussians
from genlab.data.images import Split, check_split
from genlab.data.mnist_dyn import BinarizedMnist
from genlab.data.stacked_mnist import StackedMnist
from genlab.data.synthetic import Synthetic
from genlab.errors import ConfigError, DataError
from genlab.rng import stream
from genlab.types import ImageSpec

# ----------------------------------------------------------------------------------------------
# Dynamically binarized MNIST


def test_the_mean_of_the_drawings_is_the_pixel():
    source = BinarizedMnist()
    x = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    generator = stream(0, "test")
    n = 20_000
    drawn = source.resample(x.expand(n, -1, -1, -1), generator)
    assert drawn.dtype == torch.uint8
    p = x.double() / 255
    mean = drawn.double().mean(0, keepdim=True)
    # Five standard errors; a pixel of 0 or 255 has none.
    assert ((mean - p).abs() <= 5 * (p * (1 - p) / n).sqrt()).all()
    assert drawn[:, 0, 0, 0].max() == 0
    assert drawn[:, 0, -1, -1].min() == 1


def test_pixels_are_drawn_independently():
    x = torch.full((20_000, 1, 2, 1), 128, dtype=torch.uint8)
    drawn = BinarizedMnist().resample(x, stream(0, "test")).double().view(-1, 2)
    assert drawn.T.corrcoef()[0, 1].abs() < 0.04


def test_resampling_is_a_function_of_the_generator():
    source = BinarizedMnist()
    x = torch.randint(0, 256, (5, 1, 28, 28), dtype=torch.uint8)
    first = source.resample(x, stream(0, "a"))
    torch.testing.assert_close(first, source.resample(x, stream(0, "a")))
    assert not torch.equal(first, source.resample(x, stream(0, "b")))


def test_mnist_dyn_is_stored_grey(mnist, mnist_everywhere):
    source = BinarizedMnist()
    torch.testing.assert_close(source.load("test").x, mnist.load("test").x)
    assert source.spec == ImageSpec(1, 28, 28, 2, 10)
    assert source.fingerprint() != mnist.fingerprint()


# ----------------------------------------------------------------------------------------------
# Stacked MNIST


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_label_is_the_three_digits(mnist, mnist_everywhere, split):
    images = StackedMnist(n_train=300, n_test=300).load(split)
    digits = mnist.load(split)
    assert images.x.shape == (300, 3, 28, 28)
    for channel, place in enumerate((100, 10, 1)):
        want = images.y // place % 10
        for x, y in zip(images.x[:3, channel], want[:3], strict=True):
            same = (digits.x[:, 0] == x).flatten(1).all(1)
            assert same.any()
            assert (digits.y[same] == y).all()
    assert images.y.max() > 900
    assert images.y.unique().numel() > 200


def test_stacked_mnist_is_fixed_by_its_seed(mnist_everywhere):
    a, b, c = (StackedMnist(50, 10, seed=seed) for seed in (0, 0, 1))
    torch.testing.assert_close(a.load("train").x, b.load("train").x)
    assert not torch.equal(a.load("train").y, c.load("train").y)
    assert a.fingerprint() == b.fingerprint() != c.fingerprint()
    assert a.spec == ImageSpec(3, 28, 28, 256, 1000)


# ----------------------------------------------------------------------------------------------
# Gaussians


@pytest.mark.parametrize("layout", ["ring", "grid"])
@pytest.mark.parametrize("form", ["points", "blobs"])
def test_the_modes_can_be_counted(layout, form):
    source = Gaussians(layout, form, n_train=2000, n_test=500)
    x, y = source.load("train")
    check_split(Split(x, y), source.spec, "gaussians", 2000)
    mode, distance = source.assign(x)
    torch.testing.assert_close(mode, y)
    assert mode.unique().numel() == {"ring": 8, "grid": 25}[layout]
    assert ((distance < 3).float().mean() - 0.989).abs() < 0.01  # Rayleigh: 1 - exp(-4.5)
    points = source.points(x)
    torch.testing.assert_close(
        torch.stack([points[y == k].mean(0) for k in range(source.modes)]),
        source.centres,
        atol=1.0,
        rtol=0,
    )


def test_a_blob_gives_its_point_back():
    source = Gaussians("grid", "blobs", std=3.0)
    points = torch.stack([torch.linspace(28, 226, 50), torch.linspace(226, 28, 50)], 1)
    torch.testing.assert_close(source.points(source._blobs(points)), points, atol=1.0, rtol=0)


def test_a_black_image_is_far_from_every_mode():
    source = Gaussians("ring", "blobs")
    _, distance = source.assign(torch.zeros(2, 1, 16, 16, dtype=torch.uint8))
    assert (distance > 10).all()


def test_centres_of_ring_and_grid():
    ring = Gaussians("ring", modes=4).centres
    want = torch.tensor([[223.5, 127.5], [127.5, 223.5], [31.5, 127.5], [127.5, 31.5]])
    torch.testing.assert_close(ring, want)
    grid = Gaussians("grid", modes=4).centres
    assert sorted(grid.tolist()) == [[31.5, 31.5], [31.5, 223.5], [223.5, 31.5], [223.5, 223.5]]
    with pytest.raises(ConfigError, match="a grid needs 4, 9, 16"):
        Gaussians("grid", modes=8)


# ----------------------------------------------------------------------------------------------
# Synthetic


@pytest.mark.parametrize("kind", ["bars", "blobs"])
@pytest.mark.parametrize(("channels", "levels", "classes"), [(1, 256, 10), (3, 2, 4), (2, 16, 0)])
def test_synthetic_is_what_it_says(kind, channels, levels, classes):
    source = Synthetic(kind, 6, channels, levels, classes, n_train=64, n_test=32)
    for split, n in (("train", 64), ("test", 32)):
        images = source.load(split)
        check_split(images, source.spec, "synthetic", n)
        assert images.x.max().item() < levels
        assert images.x.unique().numel() > 1
    assert source.spec == ImageSpec(channels, 6, 6, levels, classes)


def test_the_class_of_a_bar_is_its_line():
    x, y = Synthetic("bars", size=8).load("train")
    bright = (x[:, 0] > 127).float()
    rows, columns = bright.sum(2), bright.sum(1)
    is_row = rows.max(1).values == 8
    line = torch.where(is_row, rows.argmax(1), 8 + columns.argmax(1))
    torch.testing.assert_close(line, y)


def test_synthetic_is_deterministic():
    a, b, c = (Synthetic(seed=seed) for seed in (0, 0, 1))
    torch.testing.assert_close(a.load("train").x, b.load("train").x)
    assert a.fingerprint() == b.fingerprint() != c.fingerprint()
    assert not torch.equal(a.load("train").x[:256], a.load("test").x)
    with pytest.raises(ConfigError, match="within 2 and 256"):
        Synthetic(levels=1)


# ----------------------------------------------------------------------------------------------

SPEC = ImageSpec(1, 4, 4, 256, 3)
X, Y = torch.zeros(6, 1, 4, 4, dtype=torch.uint8), torch.tensor([0, 1, 2, 0, 1, 2])
MISFITS = {
    "shape": (Split(X[:, :, :3], Y), r"images of shape \(1, 4, 4\), found .* \(1, 3, 4\)"),
    "float": (Split(X.float(), Y), "expected uint8 images .* found torch.float32"),
    "none": (Split(X[:0], Y[:0]), "expected some images, found 0"),
    "no labels": (Split(X, None), "expected 3 classes of labels, found none"),
    "labels short": (Split(X, Y[:5]), "expected 6 labels for 6 images, found 5"),
    "label 3": (Split(X, Y + 1), "expected labels from 0 to 2, found 1 to 3"),
    "label -1": (Split(X, Y - 1), "expected labels from 0 to 2, found -1 to 1"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_what_does_not_fit_is_named(name):
    split, message = MISFITS[name]
    with pytest.raises(DataError, match=f"^here: .*{message}"):
        check_split(split, SPEC, "here")


def test_the_count_is_checked():
    check_split(Split(X, Y), SPEC, "here", 6)
    with pytest.raises(DataError, match="here: expected 7 images, found 6"):
        check_split(Split(X, Y), SPEC, "here", 7)
