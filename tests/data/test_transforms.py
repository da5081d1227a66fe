"""Batched transforms against torchvision's on single images."""

import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from genlab.data.curriculum import ClassOrder, Resolution
from genlab.data.feed.augment import parse_augment
from genlab.data.transforms import Affine, Flip, PadCrop
from genlab.errors import ConfigError
from genlab.modalities.images.levels import to_bytes
from genlab.rng import stream


def images(n=16, channels=3, height=12, width=9):
    shape = (n, channels, height, width)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=stream(0, "images"))


@pytest.mark.parametrize("vertical", [False, True])
def test_flip_is_that_of_torchvision(vertical):
    x = images()
    transform = Flip(vertical=vertical)
    chosen = transform.draw(len(x), stream(0, "draw"))
    assert 0 < chosen.sum() < len(x)
    flip = F.vertical_flip if vertical else F.horizontal_flip
    want = torch.stack([flip(im) if c else im for im, c in zip(x, chosen, strict=True)])
    torch.testing.assert_close(transform.apply(x, chosen), want)


def test_flip_knows_its_probability():
    share = Flip(0.25).draw(100_000, stream(0, "draw")).float().mean()
    assert abs(share - 0.25) < 0.01
    assert not Flip(0.0).draw(1000, stream(0, "draw")).any()
    assert Flip(1.0).draw(1000, stream(0, "draw")).all()


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
def test_pad_crop_is_that_of_torchvision(mode):
    x = images()
    transform = PadCrop(4, mode)
    corners = transform.draw(len(x), stream(0, "draw"))
    want = torch.stack(
        [
            F.crop(F.pad(im, [4, 4, 4, 4], padding_mode=mode), int(top), int(left), 12, 9)
            for im, (top, left) in zip(x, corners, strict=True)
        ]
    )
    torch.testing.assert_close(transform.apply(x, corners), want)


def test_pad_crop_reaches_every_corner():
    corners = PadCrop(2).draw(2000, stream(0, "draw"))
    assert len(corners.unique(dim=0)) == 25
    with pytest.raises(ConfigError, match="needs larger images"):
        PadCrop(9, "reflect")(images(), stream(0, "draw"))


def test_affine_is_that_of_torchvision():
    x = images(n=40)
    transform = Affine(degrees=60, translate=0.3, scale=(0.6, 1.5), shear=25)
    parameters = transform.draw(len(x), stream(0, "draw"))
    want = torch.stack(
        [
            F.affine(
                im,
                angle=float(p[0]),
                translate=[round(float(p[1]) * 9), round(float(p[2]) * 12)],
                scale=float(p[3]),
                shear=[float(p[4]), 0.0],
                interpolation=InterpolationMode.BILINEAR,
            )
            for im, p in zip(x, parameters, strict=True)
        ]
    )
    # Rounding to integers may fall the other way after arithmetic in another order.
    torch.testing.assert_close(transform.apply(x, parameters).int(), want.int(), atol=1, rtol=0)


def test_affine_without_a_change_is_the_identity():
    x = images()
    still = Affine(degrees=0, translate=0)
    torch.testing.assert_close(still(x, stream(0, "draw")), x)


def test_affine_draws_within_its_ranges():
    p = Affine(degrees=30, translate=0.2, scale=(0.5, 2.0), shear=5).draw(5000, stream(0, "draw"))
    limits = torch.tensor([30, 0.2, 0.2, 2.0, 5])
    assert (p.abs().max(0).values <= limits).all()
    assert (p.abs().max(0).values > 0.95 * limits).all()
    assert p[:, 3].min() >= 0.5
    assert p[:, 3].log().mean().abs() < 0.03
    with pytest.raises(ConfigError, match=r"scale=\[2.0, 1.0\]"):
        Affine(scale=(2.0, 1.0))


@pytest.mark.parametrize("transform", [Flip(), PadCrop(), Affine()])
def test_shares_of_a_batch_are_changed_as_in_the_whole(transform):
    x = images()
    parameters = transform.draw(16, stream(0, "draw"))
    whole = transform.apply(x, parameters)
    parts = [transform.apply(x[i : i + 4], parameters[i : i + 4]) for i in range(0, 16, 4)]
    torch.testing.assert_close(torch.cat(parts), whole)
    assert whole.dtype == torch.uint8
    assert not torch.equal(whole, x)


@pytest.mark.parametrize("levels", [2, 3, 5, 17, 32, 255, 256])
def test_levels_are_stretched_to_bytes(levels):
    x = torch.arange(levels, dtype=torch.int64)
    want = (x.double() * 255 / (levels - 1) + 0.5).floor().to(torch.uint8)
    got = to_bytes(x.to(torch.uint8), levels)
    torch.testing.assert_close(got, want)
    assert got[0] == 0
    assert got[-1] == 255


def test_augment_is_read_from_names_and_mappings():
    made = []

    def instantiate(config):
        made.append(config)
        return Flip(p=config["p"])

    assert parse_augment(None, instantiate) == ()
    assert parse_augment([], instantiate) == ()
    names = parse_augment(["flip", "crop"], instantiate)
    assert [type(t) for t in names] == [Flip, PadCrop]
    with_arguments = parse_augment({"crop": {"padding": 2}, "flip": None, "affine": False}, None)
    assert [type(t) for t in with_arguments] == [PadCrop, Flip]
    assert with_arguments[0].padding == 2
    own = parse_augment({"mine": {"_target_": "x.Y", "p": 0.1}}, instantiate)
    assert own[0].p == 0.1
    listed = parse_augment([{"_target_": "x.Y", "p": 0.2}, Flip(0.3)], instantiate)
    assert [t.p for t in listed] == [0.2, 0.3]
    assert [config["_target_"] for config in made] == ["x.Y", "x.Y"]


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        (["flipp"], "did you mean 'flip'"),
        ("flip", "must be a list"),
        ({"crop": {"pading": 2}}, "pading"),
        ([{"_target_": "x.Y"}], "is not a Transform"),
    ],
)
def test_wrong_augment_is_a_line(augment, message):
    with pytest.raises(ConfigError, match=message):
        parse_augment(augment, lambda config: object())


# ----------------------------------------------------------------------------------------------
# Curriculum


def test_resolution_averages_down_and_enlarges():
    x = images(height=8, width=8)
    shown = Resolution([2, 4], [100, 200]).show(x, 0)
    means = x.float().unfold(2, 4, 4).unfold(3, 4, 4).mean((-1, -2))
    want = means.repeat_interleave(4, 2).repeat_interleave(4, 3).round().to(torch.uint8)
    torch.testing.assert_close(shown, want)


def test_resolution_rises_with_the_images_seen():
    x = images(height=8, width=8)
    curriculum = Resolution([2, 4], [100, 200])
    assert torch.equal(curriculum.show(x, 99), curriculum.show(x, 0))
    assert not torch.equal(curriculum.show(x, 100), curriculum.show(x, 99))
    assert not torch.equal(curriculum.show(x, 199), x)
    assert torch.equal(curriculum.show(x, 200), x)
    smooth = Resolution([4], [100], enlarge="bilinear").show(x, 0)
    assert smooth.shape == x.shape
    assert not torch.equal(smooth, curriculum.show(x, 100))


@pytest.mark.parametrize(("sizes", "until"), [([7, 14], [100]), ([7, 14], [200, 100])])
def test_resolution_needs_its_lists_in_order(sizes, until):
    with pytest.raises(ConfigError, match=r"curriculum.until"):
        Resolution(sizes, until)


def test_classes_come_in_their_order():
    y = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3])
    curriculum = ClassOrder(first=1, every=10, order=[3, 1])
    curriculum.bind(y)
    assert curriculum.classes == (3, 1, 0, 2)
    assert [curriculum.stage(p) for p in (0, 9, 10, 29, 30, 999)] == [0, 0, 1, 2, 3, 3]
    assert curriculum.candidates(0, y).tolist() == [3, 7]
    assert curriculum.candidates(1, y).tolist() == [1, 3, 5, 7]
    assert curriculum.candidates(3, y).tolist() == list(range(8))
    with pytest.raises(ConfigError, match="needs labels"):
        ClassOrder().bind(None)
    with pytest.raises(ConfigError, match=r"no images of \[7\]"):
        ClassOrder(order=[7]).bind(y)
