"""The training loader: a pure function of seed and position, whatever else is different."""

import itertools
import time

import pytest
import torch

from genlab.data.curriculum import ClassOrder, Resolution
from genlab.data.feed.train_loader import TrainLoader
from genlab.data.images import Split
from genlab.data.mnist_dyn import BinarizedMnist
from genlab.data.transforms import Affine, Flip, PadCrop
from genlab.errors import ConfigError
from genlab.rng import stream

B = 8
N = 45
"""Images: five batches and a rest of five."""


def images(n=N, labels=True):
    x = torch.randint(0, 256, (n, 1, 6, 6), dtype=torch.uint8, generator=stream(0, "images"))
    x[:, 0, 0, 0] = torch.arange(n)
    return Split(x, torch.arange(n) % 4 if labels else None)


def batches(source, n):
    """The first n batches, one by one, whatever the chunks."""
    xs, ys = [], []
    while sum(map(len, xs)) < n:
        chunk = next(source)
        xs.append(chunk.x)
        ys.append(chunk.y)
    x = torch.cat(xs)[:n]
    return x, None if ys[0] is None else torch.cat(ys)[:n]


EVERYTHING = {
    "plain": {},
    "augmented": {"augment": [Flip(), PadCrop(2), Affine()]},
    "resampled": {"resample": BinarizedMnist().resample},
    "coarse": {"curriculum": Resolution([2, 3], [64, 152])},
    "by class": {"curriculum": ClassOrder(first=2, every=61)},
    "all at once": {
        "augment": [PadCrop(1), Flip()],
        "resample": BinarizedMnist().resample,
        "curriculum": ClassOrder(first=3, every=100),
    },
}


@pytest.fixture(params=EVERYTHING)
def options(request):
    return {"batch_size": B, "seed": 3, **EVERYTHING[request.param]}


def test_order_is_that_of_a_plain_loop():
    data = images()
    x, y = batches(TrainLoader(data, batch_size=B, seed=3, chunk=4), 12)
    whole = N // B * B
    order = torch.cat(
        [torch.randperm(N, generator=stream(3, "order", 0, epoch))[:whole] for epoch in range(3)]
    )[: 12 * B]
    torch.testing.assert_close(x, data.x[order].view(12, B, 1, 6, 6))
    torch.testing.assert_close(y, data.y[order].view(12, B))


def test_an_epoch_shows_no_image_twice():
    source = TrainLoader(images(), batch_size=B, chunk=5)
    for _ in range(4):
        seen = next(source).x[:, :, 0, 0, 0].flatten()
        assert len(seen.unique()) == len(seen) == 40
    assert source.position == 160
    assert source.order.images_per_epoch == 40


def test_chunks_do_not_change_the_batches(options):
    want, labels = batches(TrainLoader(images(), chunk=1, **options), 33)
    for chunk in (2, 5, 7, 33):
        x, y = batches(TrainLoader(images(), chunk=chunk, **options), 33)
        torch.testing.assert_close(x, want)
        torch.testing.assert_close(y, labels)


def test_it_can_start_anywhere(options):
    want, labels = batches(TrainLoader(images(), chunk=3, **options), 30)
    for start, chunk in itertools.product((1, 5, 6, 19), (1, 4)):
        source = TrainLoader(images(), chunk=chunk, position=start * B, **options)
        assert source.position == start * B
        x, y = batches(source, 30 - start)
        torch.testing.assert_close(x, want[start:])
        torch.testing.assert_close(y, labels[start:])


def test_ranks_share_each_batch(options):
    want, labels = batches(TrainLoader(images(), chunk=3, **options), 15)
    for world in (2, 4):
        shares = [
            batches(TrainLoader(images(), chunk=5, rank=rank, world=world, **options), 15)
            for rank in range(world)
        ]
        assert shares[0][0].shape[1] == B // world
        torch.testing.assert_close(torch.cat([x for x, _ in shares], 1), want)
        torch.testing.assert_close(torch.cat([y for _, y in shares], 1), labels)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_workers_do_not_change_the_batches(options, workers):
    want, labels = batches(TrainLoader(images(), chunk=2, **options), 24)
    source = TrainLoader(images(), chunk=2, workers=workers, **options)
    x, y = batches(source, 24)
    torch.testing.assert_close(x, want)
    torch.testing.assert_close(y, labels)
    assert source.position == 24 * B
    source.close()
    source = TrainLoader(images(), position=5 * B, chunk=2, workers=workers, **options)
    again, _ = batches(source, 10)
    torch.testing.assert_close(again, want[5:15])
    source.close()
    assert source._pool is None
    torch.testing.assert_close(next(source).x, want[15:17])
    source.close()


def test_an_error_in_the_background_is_raised():
    class Broken(Flip):
        def apply(self, x, parameters):
            raise RuntimeError("no such image")

    source = TrainLoader(images(), batch_size=B, augment=[Broken()], workers=2)
    with pytest.raises(RuntimeError, match="no such image"):
        next(source)
    source.close()


def test_seeds_matter(options):
    a, _ = batches(TrainLoader(images(), chunk=2, **options), 4)
    b, _ = batches(TrainLoader(images(), chunk=2, **options | {"seed": 4}), 4)
    assert not torch.equal(a, b)


def test_the_global_random_state_is_left_alone(options):
    before = torch.get_rng_state()
    batches(TrainLoader(images(), chunk=2, **options), 12)
    assert torch.equal(torch.get_rng_state(), before)


def test_augmentation_and_resampling_differ_from_epoch_to_epoch():
    one = Split(torch.full((B, 1, 6, 6), 128, dtype=torch.uint8))
    x, y = batches(TrainLoader(one, batch_size=B, resample=BinarizedMnist().resample), 4)
    assert y is None
    assert x.max() == 1
    assert len(x.flatten(1).unique(dim=0)) == 4
    assert len(x[0].flatten(1).unique(dim=0)) == B


def test_each_batch_is_augmented_in_its_own_way():
    one = Split(torch.randint(0, 256, (1, 1, 6, 6), dtype=torch.uint8).expand(B, -1, -1, -1))
    x, _ = batches(TrainLoader(one, batch_size=B, chunk=2, augment=[Affine()]), 4)
    assert len(x.flatten(2).flatten(0, 1).unique(dim=0)) == 4 * B


def test_the_resampled_images_keep_their_mean():
    one = Split(torch.arange(36, dtype=torch.uint8).mul(7).view(1, 1, 6, 6).expand(B, -1, -1, -1))
    loader = TrainLoader(one, batch_size=B, chunk=50, resample=BinarizedMnist().resample)
    x, _ = batches(loader, 1500)
    p = one.x[0].double() / 255
    error = (x.double().mean((0, 1)) - p).abs()
    assert (error <= 5 * (p * (1 - p) / (1500 * B)).sqrt()).all()


def test_classes_come_as_the_curriculum_says():
    data = images(200)
    source = TrainLoader(data, batch_size=B, chunk=1, curriculum=ClassOrder(first=1, every=60))
    for _ in range(60):
        position = source.position
        y = next(source).y
        # A stage begins with the first batch after it is reached.
        assert y.max() <= min(3, position // 60)
    assert y.unique().numel() == 4


def test_resolution_is_that_of_the_position():
    data = Split(images().x)
    source = TrainLoader(data, batch_size=B, chunk=4, curriculum=Resolution([1], [2 * B]))
    x = next(source).x
    assert (x[:2].flatten(2).unique(dim=2).shape[2]) == 1
    assert x[2, 0].unique().numel() > 10


def test_misfits_are_a_line():
    with pytest.raises(ConfigError, match=r"data.batch_size=46: there are only 45 training images"):
        TrainLoader(images(), batch_size=46)
    with pytest.raises(ConfigError, match=r"data.batch_size=9: must be a multiple of the 2 proc"):
        TrainLoader(images(), batch_size=9, world=2)
    with pytest.raises(ConfigError, match=r"cannot start after 12 images"):
        TrainLoader(images(), batch_size=B, position=12)
    with pytest.raises(ConfigError, match=r"only 6 training images in stage 0 of the curriculum"):
        TrainLoader(images(22), batch_size=B, curriculum=ClassOrder(first=1))
    with pytest.raises(ConfigError, match="needs labels"):
        TrainLoader(images(labels=False), batch_size=B, curriculum=ClassOrder())


@pytest.mark.gpu
def test_a_gpu_gives_the_same_order():
    data = images()
    options = {"batch_size": B, "chunk": 3, "augment": [Flip(), PadCrop(2)]}
    want, labels = batches(TrainLoader(data, **options), 12)
    resident = Split(data.x.cuda(), data.y.cuda())
    for source in (
        TrainLoader(resident, **options),
        TrainLoader(data, device="cuda", **options),
        TrainLoader(data, device="cuda", workers=2, **options),
    ):
        x, y = batches(source, 12)
        assert x.is_cuda
        torch.testing.assert_close(x.cpu(), want)
        torch.testing.assert_close(y.cpu(), labels)
        source.close()


@pytest.mark.slow
def test_it_is_far_faster_than_a_loader_of_single_images():
    from torch.utils.data import DataLoader, Dataset
    from torchvision.transforms.functional import to_pil_image, to_tensor

    data = Split(torch.randint(0, 256, (20_000, 1, 28, 28), dtype=torch.uint8))

    class Single(Dataset):
        def __len__(self):
            return len(data.x)

        def __getitem__(self, index):
            return to_tensor(to_pil_image(data.x[index]))

    def rate(source, n):
        start, seen = time.process_time(), 0
        while seen < n:
            item = next(source)
            seen += item.x.shape[:2].numel() if hasattr(item, "x") else len(item)
        return seen / (time.process_time() - start)

    ours = TrainLoader(data, batch_size=128, chunk=8)
    next(ours)
    theirs = iter(DataLoader(Single(), 128, shuffle=True))
    assert rate(ours, 400_000) > 20 * rate(theirs, 6_000)
