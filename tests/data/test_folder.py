"""The user's own pictures: any format, any size, and what cannot be read is named."""

import sys
import types

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.data.folder import ImageFolder
from genlab.data.hf import HuggingFace
from genlab.data.storage.fitting import Fitting
from genlab.errors import ConfigError, DataError
from genlab.system.paths import cache_dir

RNG = np.random.default_rng(0)


def picture(size=(20, 12), mode="RGB"):
    channels = {"L": (), "RGB": (3,), "RGBA": (4,)}[mode]
    return Image.fromarray(RNG.integers(0, 256, (size[1], size[0], *channels), np.uint8), mode=None)


def fill(folder, names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture((RNG.integers(8, 40), RNG.integers(8, 40))).save(path)


def test_mixed_sizes_and_formats(tmp_path):
    fill(tmp_path, [*(f"{i}.png" for i in range(7)), "a.jpg", "b.bmp", "c.webp"])
    (tmp_path / "notes.txt").write_text("no picture")
    source = ImageFolder(str(tmp_path), size=8, channels=3, test_size=0.3)
    train, test = source.load("train"), source.load("test")
    assert train.x.shape == (7, 3, 8, 8)
    assert test.x.shape == (3, 3, 8, 8)
    assert train.y is None
    assert source.spec.shape == (3, 8, 8)


def test_pixels_are_kept_where_nothing_is_resized(tmp_path):
    arrays = RNG.integers(0, 256, (5, 8, 8), np.uint8)
    for i, array in enumerate(arrays):
        Image.fromarray(array).save(tmp_path / f"{i}.png")
    source = ImageFolder(str(tmp_path), size=8, channels=1, test_size=0.2)
    both = torch.cat([source.load("train").x, source.load("test").x])[:, 0]
    want = torch.from_numpy(arrays)
    assert sorted(map(str, both.tolist())) == sorted(map(str, want.tolist()))


def test_the_test_split_is_fixed_by_its_seed(tmp_path):
    fill(tmp_path, [f"{i}.png" for i in range(20)])
    chosen = [
        ImageFolder(str(tmp_path), size=4, test_size=0.25, test_seed=seed).load("test").x
        for seed in (0, 0, 1)
    ]
    assert len(chosen[0]) == 5
    torch.testing.assert_close(chosen[0], chosen[1])
    assert not torch.equal(chosen[0], chosen[2])


def test_sub_folders_are_classes(tmp_path):
    fill(tmp_path, [f"{kind}/deep/{i}.png" for kind in ("dog", "cat") for i in range(5)])
    source = ImageFolder(str(tmp_path), size=4, test_size=0.2)
    assert source.classes == ["cat", "dog"]
    assert source.spec.num_classes == 2
    y = torch.cat([source.load("train").y, source.load("test").y])
    assert sorted(y.tolist()) == [0] * 5 + [1] * 5
    assert ImageFolder(str(tmp_path), labels=False).spec.num_classes == 0


def test_folders_train_and_test_are_the_splits(tmp_path):
    fill(tmp_path, [f"train/{k}/{i}.png" for k in "ab" for i in range(3)])
    fill(tmp_path, [f"test/{k}/{i}.png" for k in "ab" for i in range(2)])
    source = ImageFolder(str(tmp_path), size=4)
    assert source.load("train").y.tolist() == [0, 0, 0, 1, 1, 1]
    assert source.load("test").y.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("harm", ["cut", "text", "empty"])
def test_a_corrupt_picture_is_named(tmp_path, harm):
    fill(tmp_path, [f"{i}.png" for i in range(6)])
    bad = tmp_path / "3.png"
    bad.write_bytes(
        {"cut": bad.read_bytes()[: bad.stat().st_size // 2], "text": b"no", "empty": b""}[harm]
    )
    with pytest.raises(DataError) as error:
        ImageFolder(str(tmp_path), size=8).prepare()
    assert str(bad) in str(error.value)
    assert "found 1 that cannot be read" in str(error.value)
    assert "expected" in str(error.value)


def test_a_changed_folder_is_read_anew(tmp_path):
    fill(tmp_path, [f"{i}.png" for i in range(6)])
    before = ImageFolder(str(tmp_path), size=8).fingerprint()
    picture().save(tmp_path / "6.png")
    after = ImageFolder(str(tmp_path), size=8)
    assert before != after.fingerprint()
    assert ImageFolder(str(tmp_path), size=4).fingerprint() != after.fingerprint()
    assert ImageFolder(str(tmp_path), size=8).fingerprint() == after.fingerprint()


def test_nothing_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere: expected a folder of pictures, found nothing"):
        ImageFolder(str(tmp_path / "nowhere")).prepare()
    with pytest.raises(DataError, match=r"expected at least 2 pictures.*found 0"):
        ImageFolder(str(tmp_path)).prepare()
    with pytest.raises(ConfigError, match=r"data.channels=2: must be 1 .* or 3"):
        ImageFolder(str(tmp_path), channels=2)
    fill(tmp_path, ["0.png", "1.png"])
    with pytest.raises(ConfigError, match=r"data.labels=true needs a sub-folder for each class"):
        ImageFolder(str(tmp_path), labels=True).prepare()


def test_fit_crops_the_centre_and_turns_pictures_upright():
    wide = np.zeros((4, 12), np.uint8)
    wide[:, 4:8] = 200
    assert (Fitting(4, 1)(Image.fromarray(wide)) == 200).all()
    upright = RNG.integers(0, 256, (6, 6), np.uint8)
    turned = Image.fromarray(np.rot90(upright))
    turned.getexif()[0x0112] = 6  # to be turned clockwise to be upright
    assert (Fitting(6, 1)(turned)[0] == upright).all()


def test_fit_knows_the_modes():
    clear = Image.new("RGBA", (4, 4), (9, 9, 9, 0))
    assert (Fitting(4, 3)(clear) == 255).all()
    deep = Image.fromarray(np.array([[0, 65535], [257, 32896]], np.uint16))
    assert Fitting(2, 1)(deep).tolist() == [[[0, 255], [1, 128]]]
    palette = picture((4, 4)).convert("P")
    assert (Fitting(4, 3)(palette) == np.asarray(palette.convert("RGB")).transpose(2, 0, 1)).all()
    with pytest.raises(ValueError, match="32 bits"):
        Fitting(4, 1)(Image.new("F", (4, 4)))


# ----------------------------------------------------------------------------------------------
# Hugging Face: a library of the same interface, as the real one is an optional extra.


class Rows:
    """What load_dataset gives: rows by number, columns by name."""

    column_names = ("picture", "kind")

    def __init__(self, n, start):
        self.pictures = [Image.fromarray(np.full((6, 6), start + i, np.uint8)) for i in range(n)]
        self.kinds = [i % 3 for i in range(n)]

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, key):
        if isinstance(key, str):
            return self.kinds if key == "kind" else self.pictures
        return {"picture": self.pictures[key], "kind": self.kinds[key]}


@pytest.fixture
def library(monkeypatch):
    calls = []

    def load_dataset(path, config, data_dir, split, revision):
        calls.append((path, split, revision))
        if split not in ("train", "test"):
            raise ValueError(f"Unknown split {split!r}")
        return Rows(10 if split == "train" else 4, 0 if split == "train" else 100)

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    return calls


def test_hf_reads_both_splits(library):
    source = HuggingFace(
        "who/what", image="picture", label="kind", classes=3, size=4, channels=1, revision="abc"
    )
    train, test = source.load("train"), source.load("test")
    want = torch.arange(10, dtype=torch.uint8)[:, None, None, None].expand(10, 1, 4, 4)
    torch.testing.assert_close(train.x, want)
    assert test.x[:, 0, 0, 0].tolist() == [100, 101, 102, 103]
    assert train.y.tolist() == [i % 3 for i in range(10)]
    assert library == [("who/what", "train", "abc"), ("who/what", "test", "abc")]


def test_hf_sets_a_test_split_aside(library):
    source = HuggingFace("who/what", image="picture", test=None, test_size=0.3, size=6, channels=1)
    train, test = source.load("train").x[:, 0, 0, 0], source.load("test").x[:, 0, 0, 0]
    assert len(test) == 3
    assert sorted(torch.cat([train, test]).tolist()) == list(range(10))


def test_hf_errors_are_a_line(library, monkeypatch):
    with pytest.raises(ConfigError, match=r"data.image=pictur.*did you mean 'picture'"):
        HuggingFace("who/what", image="pictur").prepare()
    with pytest.raises(DataError, match=r"who/what: expected the split 'trian'.*Unknown split"):
        HuggingFace("who/what", image="picture", train="trian").prepare()
    with pytest.raises(ConfigError, match=r"data.classes"):
        HuggingFace("who/what", label="kind")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConfigError, match=r"pip install 'genlab\[hf\]'"):
        HuggingFace("who/what").prepare()


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ([0, 1, 5, 0], "expected labels from 0 to 2, found 0 to 5"),
        ([0, 1, None, 0], "expected whole numbers, found None"),
        (["a", "b", "a", "a"], "expected whole numbers, found 'a'"),
        ([True, False, True, True], "expected whole numbers, found True"),
        ([0.0, 1.0, 1.0, 2.0], "expected whole numbers, found 0.0"),
    ],
)
def test_hf_labels_are_checked_before_they_are_kept(library, monkeypatch, column, message):
    rows = Rows(4, 0)
    rows.kinds = column
    monkeypatch.setattr(sys.modules["datasets"], "load_dataset", lambda *_, **__: rows)
    source = HuggingFace("who/what", image="picture", label="kind", classes=3, size=4)
    with pytest.raises(DataError, match=message):
        source.prepare()
    assert not list((cache_dir() / "arrays").iterdir())


def test_hf_images_are_checked(library, monkeypatch):
    rows = Rows(4, 0)
    rows.pictures[2] = None
    monkeypatch.setattr(sys.modules["datasets"], "load_dataset", lambda *_, **__: rows)
    with pytest.raises(DataError, match=r"who/what/train#2 .*data.image=picture: a NoneType"):
        HuggingFace("who/what", image="picture", size=4).prepare()


def test_hf_tells_local_folders_apart(library, tmp_path, monkeypatch):
    """Of one name in two working directories, and one whose files change."""
    keys = []
    for folder in ("a", "b"):
        (tmp_path / folder / "pics").mkdir(parents=True)
        (tmp_path / folder / "pics" / "0.png").write_bytes(b"0")
        monkeypatch.chdir(tmp_path / folder)
        keys.append(HuggingFace("imagefolder", data_dir="pics").key())
        keys.append(HuggingFace("pics").key())
    (tmp_path / "b" / "pics" / "0.png").write_bytes(b"1")
    keys.append(HuggingFace("imagefolder", data_dir="pics").key())
    (tmp_path / "b" / "pics" / "1.png").write_bytes(b"1")
    keys.append(HuggingFace("imagefolder", data_dir="pics").key())
    assert len(set(keys)) == len(keys)
    assert HuggingFace("imagefolder", data_dir="pics").key() == keys[-1]


def test_hf_reads_a_folder_with_the_library(tmp_path, monkeypatch):
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    fill(tmp_path, [f"pics/{s}/{k}/{i}.png" for s in ("train", "test") for k in "ab" for i in "01"])
    source = HuggingFace(
        "imagefolder", data_dir=str(tmp_path / "pics"), label="label", classes=2, size=4
    )
    assert source.load("train").y.tolist() == [0, 0, 1, 1]
    assert source.class_names == ("a", "b")
    theirs, ours = source.load("test").x, ImageFolder(str(tmp_path / "pics"), size=4).load("test").x
    torch.testing.assert_close(theirs, ours)
