"""The network of colour pictures: what it tells, and what its distance answers to."""

import warnings

import pytest
import torch
from torch.nn.functional import avg_pool2d
from torch.testing import assert_close
from torchvision.transforms.v2.functional import gaussian_blur

from genlab.data.emoji import Emoji
from genlab.data.faces import Faces
from genlab.data.gaussians import Gaussians
from genlab.data.storage.class_names import EMOJI_GROUPS, FACE_ATTRIBUTES
from genlab.errors import ConfigError
from genlab.metrics.extractors.base import extract
from genlab.metrics.extractors.picture_network import PicturesExtractor, PicturesNet, to_64
from genlab.metrics.extractors.selection import choose
from genlab.metrics.frechet import frechet_distance
from genlab.metrics.moments import Moments
from genlab.training.evaluator import given_by

N = 400


@pytest.fixture(scope="module")
def network():
    return PicturesExtractor()


@pytest.fixture(scope="module")
def portraits(tmp_path_factory):
    """Training and test portraits at 32 pixels, and the attributes of the test ones."""
    patch = pytest.MonkeyPatch()
    patch.setenv("GENLAB_CACHE", str(tmp_path_factory.mktemp("cache")))
    faces = Faces(32)
    faces.prepare()
    parts = faces.load("train").x[: 3 * N], faces.load("test").x, faces.attributes("test")
    patch.undo()
    return parts


def moments(network, images):
    return Moments.of(extract(network, images).features)


@pytest.fixture(scope="module")
def distance(network, portraits):
    """Distance of images from the training portraits."""
    reference = moments(network, portraits[0])
    return lambda images: frechet_distance(moments(network, images), reference)


@pytest.fixture(scope="module")
def floor(distance, portraits):
    return distance(portraits[1][:N])


def noisy(x, strength):
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    return (x + strength * noise).round().clamp(0, 255).to(torch.uint8)


def turned(x, share):
    """Colours moved towards those of the channels in another order."""
    return torch.lerp(x.float(), x.roll(1, 1).float(), share).round().to(torch.uint8)


DAMAGE = {
    "noise": lambda x, k: noisy(x, (8, 24, 64)[k]),
    "blur": lambda x, k: gaussian_blur(x, [9, 9], [(0.6, 1.0, 2.0)[k]] * 2),
    "colours": lambda x, k: turned(x, (0.15, 0.4, 1.0)[k]),
    "shift": lambda x, k: x.roll((3, 6, 12)[k], 3),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_more_damage_is_farther(damage, distance, floor, portraits):
    found = [distance(damage(portraits[1][:N], k)) for k in range(3)]
    assert [floor, *found] == sorted([floor, *found]), (floor, found)
    assert found[-1] > 5 * floor, (floor, found)


def test_what_is_missing_is_seen(distance, portraits):
    """Without an attribute, with one value of it alone, and copies: farther than as many real."""
    _, x, known = portraits
    real = distance(x[:300])
    eyes = known.y[:, known.names.index("eyes")]
    bare = x[(eyes != 0) & (eyes != 4)][:300]
    hair = known.y[:, known.names.index("hair_colour")]
    one_colour = x[hair == 0]
    copies = x[:10].repeat(30, 1, 1, 1)
    assert distance(bare) > 1.2 * real
    assert distance(one_colour) > 1.2 * distance(x[: len(one_colour)])
    assert distance(copies) > 5 * real


def test_attributes_are_told(portraits):
    """As often as the card says, on the test portraits."""
    _, x, known = portraits
    for name in ("hair", "eyes", "clothes_colour"):
        judge = PicturesExtractor(f"faces/{name}")
        assert judge.classes == judge.modes == len(FACE_ATTRIBUTES[name])
        seen = extract(judge, x).logits.argmax(1)
        right = float((seen == known.y[:, known.names.index(name)]).float().mean())
        assert right == pytest.approx(judge.card["accuracy"]["test_32"][f"faces/{name}"], abs=2e-3)
        assert right > 0.9


def test_a_head_that_is_not_there():
    with pytest.raises(ConfigError, match=r"no head faces/hairs; there are .* faces/hair"):
        PicturesExtractor("faces/hairs")


def test_any_size_is_seen_at_64(network):
    x = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    assert_close(to_64(x), x / 127.5 - 1)
    small = avg_pool2d(x.float(), 2).to(torch.uint8)
    enlarged = torch.nn.functional.interpolate(small / 127.5 - 1, (64, 64), mode="bilinear")
    assert_close(to_64(small), enlarged)
    flat = torch.full((1, 1, 200, 90), 51, dtype=torch.uint8)
    assert_close(to_64(flat), torch.full((1, 3, 64, 64), -0.6))
    assert network(x).features.shape == (2, network.dim)
    assert network(x).logits is None


def test_features_do_not_depend_on_the_batches(network):
    x = torch.randint(0, 256, (9, 3, 32, 32), dtype=torch.uint8)
    parts = torch.cat([network(part).features for part in x.split(2)])
    assert_close(network(x).features, parts, rtol=1e-4, atol=1e-4)


def test_the_distance_is_chosen_for_colour():
    assert [e.name for e in choose("auto", "faces", (3, 64, 64))] == ["pictures"]
    assert [e.name for e in choose("fast", "cifar10", (3, 32, 32))] == ["pictures"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert [e.name for e in choose("auto", "svhn", (3, 32, 32), download=False)] == ["pictures"]
    assert "Distances are of pictures instead" in str(caught[0].message)


def test_the_judge_is_that_of_the_labels():
    assert given_by(Faces(labels="hair_colour")).head == "faces/hair_colour"
    assert given_by(Emoji(labels="group")).classes == len(EMOJI_GROUPS)
    assert given_by(Faces(labels="nose")) is None
    assert given_by(Faces(labels=None)) is None
    assert given_by(Gaussians()).name == "plane"
    by_hair, by_eyes = (PicturesExtractor(f"faces/{name}") for name in ("hair", "eyes"))
    assert by_hair.id == by_eyes.id
    assert by_hair.preprocessing != by_eyes.preprocessing  # so that what is kept is of the head


def test_normalization_goes_into_the_convolutions():
    torch.manual_seed(0)
    net = PicturesNet({"a": 3}, width=4, dim=8, normalized=True).train()
    x = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8)
    for _ in range(3):
        net(x)  # which moves the statistics
    net.eval()
    fused = net.fused()
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in fused.modules())
    assert_close(fused(x)["a"], net(x)["a"], rtol=1e-4, atol=1e-5)
