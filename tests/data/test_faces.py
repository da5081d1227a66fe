"""The bundled portraits: counts, splits, attributes, and damage."""

import hashlib
import shutil

import numpy as np
import pytest
import torch

from genlab.data.faces import COLOURLESS, COUNTS, SPLITS, Faces
from genlab.data.images import ImageData
from genlab.data.module import ImageDataModule
from genlab.data.storage import bundled
from genlab.data.storage.cache import Writer
from genlab.data.storage.class_names import FACE_ATTRIBUTES
from genlab.data.storage.manifests import MANIFESTS
from genlab.errors import ConfigError, DataError

from .conftest import decodes_within

STYLES_OF_HAIR = (
    "bald", "balding", "beanie", "bobBangs", "bobCut", "bunUndercut", "buzzcut", "cap", "curly",
    "curlyBun", "curlyHighTop", "extraLong", "fade", "long", "mohawk", "pigtails", "shortCombover",
    "shortComboverChops", "sideShave", "straightBun",
)  # fmt: skip
"""As the maker names them, which the choice of the unseen pairs goes by."""


@pytest.fixture(scope="module")
def writer():
    """The portraits at 64 pixels, decoded once."""
    made = Writer(None)
    Faces().build(made)
    return made


@pytest.fixture
def faces(writer, monkeypatch):
    """Every `Faces` at 64 pixels uses them."""
    from genlab.data.storage.cache import Arrays, array_digest

    digests = {name: array_digest(array) for name, array in writer.arrays.items()}
    monkeypatch.setattr(Faces, "_arrays", Arrays(writer.arrays, digests, {}))
    return Faces()


def test_counts_shapes_and_types(faces):
    for split, n in COUNTS.items():
        loaded = faces.load(split)
        assert loaded.x.shape == (n, 3, 64, 64)
        assert loaded.x.dtype == torch.uint8
        assert loaded.y.dtype == torch.int64
    assert (MANIFESTS["faces"].train, MANIFESTS["faces"].test) == (9_780, 1_000)
    assert faces.spec.shape == (3, 64, 64)
    # The pixel of a corner is the white ground, that of a forehead is not.
    x = faces.load("train").x
    assert (x[:, :, 0, 0] == 255).all()
    assert (x[:, :, 26, 32].amin(1) < 240).float().mean() > 0.99


@pytest.mark.parametrize("size", [32, 64])
def test_it_decodes_in_little_time(size):
    assert decodes_within(1.5, Faces(size))


def test_no_two_are_alike(faces):
    pictures = [row.tobytes() for split in SPLITS for row in faces.load(split).x.numpy()]
    assert len({hashlib.sha256(picture).digest() for picture in pictures}) == 11_986
    known = torch.cat([faces.attributes(split).y for split in SPLITS])
    assert len(known.unique(dim=0)) == 11_986


def test_unseen_pairs_are_those_of_the_hash_and_in_no_other_split(faces):
    coloured = [i for i, name in enumerate(FACE_ATTRIBUTES["hair"]) if name not in COLOURLESS]
    pairs = [(hair, colour) for hair in coloured for colour in range(7)]
    assert len(pairs) == 119
    names = {p: f"faces/{STYLES_OF_HAIR[p[0]]}/{p[1]}" for p in pairs}
    ranked = sorted(pairs, key=lambda p: hashlib.sha256(names[p].encode()).hexdigest())
    found = {split: set(map(tuple, faces.attributes(split).y[:, :2].tolist())) for split in SPLITS}
    assert found["test_unseen"] == set(ranked[:14])
    for split in ("train", "test"):
        assert not found[split] & found["test_unseen"]
        assert found[split] >= set(ranked[14:]) if split == "train" else True


def test_attributes_have_names_and_say_what_is_seen(faces):
    known = faces.attributes("train")
    assert known.names == tuple(FACE_ATTRIBUTES)
    assert known.y.shape == known.visible.shape == (9_780, 9)
    assert [len(values) for values in known.values] == [20, 7, 6, 7, 7, 3, 4, 7, 7]
    assert [int(column.max()) + 1 for column in known.y.T] == [20, 7, 6, 7, 7, 3, 4, 7, 7]
    hidden = ~known.visible
    assert hidden.any(0).tolist() == [False, True] + [False] * 7
    hair = {known.values[0][i] for i in known.y[hidden[:, 1], 0].tolist()}
    assert hair == set(COLOURLESS)
    few = known.take(torch.tensor([3, 1]))
    assert torch.equal(few.y, known.y[[3, 1]])


def test_pictures_show_their_attributes(faces):
    """The ground truth is on the picture: clothes of a colour, at the place of the clothes."""
    split = faces.load("train")
    known = faces.attributes("train")
    column = known.names.index("clothes_colour")
    plain = known.y[:, known.names.index("clothes")] == known.values[6].index("sweater")
    for value, channel in (("blue", 2), ("green", 1), ("red", 0)):
        chosen = plain & (known.y[:, column] == known.values[column].index(value))
        colour = split.x[chosen][:, :, 61:, 31:33].float().mean((0, 2, 3))
        assert colour.argmax() == channel


@pytest.mark.parametrize("labels", list(FACE_ATTRIBUTES))
def test_any_attribute_is_the_label(faces, labels):
    source = Faces(labels=labels)
    known = source.attributes("test")
    assert torch.equal(source.load("test").y, known.y[:, known.names.index(labels)])
    assert source.class_names == FACE_ATTRIBUTES[labels]
    assert source.spec.num_classes == len(source.class_names)
    assert source.key() == faces.key()  # one cache serves all


def test_without_labels(faces):
    source = Faces(labels=None)
    assert source.load("train").y is None
    assert source.spec.num_classes == 0


def test_fingerprints_differ_by_label_and_are_those_of_the_contents(faces):
    marks = {source.fingerprint() for source in (Faces(), Faces(labels="skin"), Faces(labels=None))}
    marks |= {Faces(labels=labels).fingerprint() for labels in ("mouth", "facial_hair")}
    assert len(marks) == 5
    pixels = faces._digests()
    assert set(ImageData._digests(faces)) == set(pixels)


def test_half_the_size_is_the_mean_of_four(faces, monkeypatch):
    monkeypatch.setattr(Faces, "_arrays", None)
    small = Writer(None)
    Faces(size=32).build(small)
    large = torch.from_numpy(faces.arrays()["test_x"]).int()
    four = large[..., ::2, ::2] + large[..., 1::2, ::2] + large[..., ::2, 1::2]
    four = four + large[..., 1::2, 1::2]
    assert torch.equal(torch.from_numpy(small.arrays["test_x"]).int(), (four + 2) // 4)


def test_the_module_has_all_of_it(faces):
    module = ImageDataModule(faces, val_size=0.1, limit=50)
    module.setup()
    assert [len(s.x) for s in (module.train, module.val, module.test)] == [50, 50, 50]
    unseen = module.further("test_unseen")
    assert len(unseen.x) == 50
    for split, images in (
        ("train", module.train), ("val", module.val), ("test", module.test), ("test_unseen", unseen)
    ):  # fmt: skip
        known = module.attributes(split)
        assert torch.equal(known.y[:, 0], images.y)
    with pytest.raises(ConfigError, match="faces has no split val: train, test, test_unseen"):
        ImageDataModule(faces).further("val")


def test_the_first_images_of_a_split_are_of_all_kinds(faces):
    counts = faces.load("test").y[:200].bincount(minlength=20)
    assert counts.min() > 0


@pytest.mark.parametrize("wrong", [{"size": 48}, {"labels": "hair_color"}])
def test_what_there_is_not_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"must be|did you mean"):
        Faces(**wrong)


def test_the_nearest_attribute_is_named():
    with pytest.raises(ConfigError, match="did you mean 'hair_colour'"):
        Faces(labels="hair_color")


@pytest.mark.parametrize("name", ["faces.npy.xz", "attributes.npy.xz"])
@pytest.mark.parametrize("harm", ["flip", "cut", "missing"])
def test_damage_is_named_with_its_repair(tmp_path, monkeypatch, name, harm):
    shutil.copytree(bundled.bundle("faces"), tmp_path / "faces")
    path = tmp_path / "faces" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data[:5000] if harm == "cut" else data))
    if harm == "missing":
        path.unlink()
    monkeypatch.setattr(bundled, "bundle", lambda name: tmp_path / name)
    with pytest.raises(DataError) as error:
        Faces().build(Writer(None))
    text = str(error.value)
    assert str(path) in text
    assert "expected" in text
    assert text.endswith("repair: pip install --force-reinstall genlab")


def test_the_terms_come_along():
    terms = Faces().terms
    assert terms.licence == "CC BY 4.0"
    assert "Draftbit" in terms.attribution
    text = terms.notice.read_text()
    assert "creativecommons.org/licenses/by/4.0" in text
    for file in MANIFESTS["faces"].files:
        assert file.hash in text
        assert np.ceil(file.size / 1e6) == 1
