"""The downloaded data sets, on small files of the published formats."""

import gzip
import hashlib
import io
import pickle
import struct
import tarfile
import warnings
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from torchvision import datasets

from genlab.data.celeba import CelebA
from genlab.data.cifar10 import Cifar10, unpickle
from genlab.data.emnist import SETS, Emnist
from genlab.data.kmnist import Kmnist
from genlab.data.storage.idx import to_idx
from genlab.data.storage.manifest import DataFile
from genlab.data.svhn import Svhn
from genlab.errors import ConfigError, DataError

from .conftest import idx_contents, shrink, write

RNG = np.random.default_rng(0)


def described(folder, *names):
    """Manifest entries of files as they lie there, with the MD5 that torchvision would pin."""
    return tuple(
        DataFile(name, hashlib.md5((folder / name).read_bytes()).hexdigest(), "md5")
        for name in names
    )


def test_kmnist_reads_the_published_gzip_files(tmp_path, monkeypatch):
    contents = idx_contents()
    folder = write(tmp_path / "KMNIST" / "raw", contents)
    files = described(folder, *(f"{name}.gz" for name in contents))
    shrink(monkeypatch, "kmnist", files=files, train=20, test=8)
    source = Kmnist(root=str(tmp_path))
    source.prepare()
    write(folder, contents, "")  # torchvision reads the unpacked files beside them
    theirs = datasets.KMNIST(str(tmp_path), train=False)
    torch.testing.assert_close(source.load("test").x[:, 0], theirs.data)
    torch.testing.assert_close(source.load("test").y, theirs.targets)


@pytest.mark.parametrize("subset", ["letters", "balanced"])
def test_emnist_stands_upright_and_counts_from_0(tmp_path, monkeypatch, subset):
    x = RNG.integers(0, 256, (6, 28, 28), np.uint8)
    y = np.array([1, 2, 26, 3, 4, 5], np.uint8)
    with zipfile.ZipFile(tmp_path / "gzip.zip", "w") as archive:
        for split in ("train", "test"):
            stem = f"gzip/emnist-{subset}-{split}"
            archive.writestr(f"{stem}-images-idx3-ubyte.gz", gzip.compress(to_idx(x)))
            archive.writestr(f"{stem}-labels-idx1-ubyte.gz", gzip.compress(to_idx(y)))
    shrink(monkeypatch, "emnist", files=described(tmp_path, "gzip.zip"))
    monkeypatch.setitem(SETS, subset, (6, 6, SETS[subset][2]))
    train = Emnist(subset, root=str(tmp_path)).load("train")
    torch.testing.assert_close(train.x[:, 0], torch.from_numpy(x).mT)
    assert train.y.tolist() == (y - (subset == "letters")).tolist()


def test_emnist_without_its_members_is_named(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "gzip.zip", "w") as archive:
        archive.writestr("other", "")
    shrink(monkeypatch, "emnist", files=described(tmp_path, "gzip.zip"))
    with pytest.raises(
        DataError,
        match=r"gzip.zip: expected EMNIST's zip archive, found KeyError .*"
        rf"; repair: genlab data prepare emnist data.root={tmp_path}$",
    ):
        Emnist(root=str(tmp_path)).prepare()


def test_emnist_knows_its_sets():
    with pytest.raises(ConfigError, match="did you mean 'letters'"):
        Emnist("leters")
    assert Emnist("letters").spec.num_classes == 26
    assert len({Emnist(subset).key() for subset in SETS}) == len(SETS)


# ----------------------------------------------------------------------------------------------
# CIFAR-10 was pickled by Python 2: these are its opcodes, written by hand.


def py2_string(data):
    return b"T" + struct.pack("<i", len(data)) + data


def py2_array(array):
    """An array as Python 2's protocol 2 pickles it."""
    n, d = array.shape
    dtype = (
        b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNN"
        + 2 * b"J\xff\xff\xff\xff"
        + b"K\x00tb"
    )
    return (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        + b"(K\x01"
        + struct.pack("<ci", b"J", n)
        + struct.pack("<ci", b"J", d)
        + b"\x86"
        + dtype
        + b"\x89"
        + py2_string(array.tobytes())
        + b"tb"
    )


def py2_batch(x, y):
    labels = b"](" + b"".join(b"K" + bytes([v]) for v in y) + b"e"
    name = b"U\x0bbatch_labelU\x15training batch 1 of 5"
    return b"\x80\x02}(" + name + b"U\x06labels" + labels + b"U\x04data" + py2_array(x) + b"u."


def cifar(folder, monkeypatch, batches):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, data in batches.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    (folder / "cifar-10-python.tar.gz").write_bytes(buffer.getvalue())
    files = described(folder, "cifar-10-python.tar.gz")
    shrink(monkeypatch, "cifar10", files=files, train=10, test=2)


def cifar_batches():
    arrays = {
        name: (RNG.integers(0, 256, (2, 3072), np.uint8), [i % 10, 9 - i])
        for i, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"])
    }
    return arrays, {name: py2_batch(x, y) for name, (x, y) in arrays.items()}


def test_the_opcodes_are_those_of_pickle():
    arrays, batches = cifar_batches()
    x, y = arrays["test_batch"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's old names in the pickle
        theirs = pickle.loads(batches["test_batch"], encoding="bytes")
    ours = unpickle(batches["test_batch"], "test_batch")
    assert (theirs[b"data"] == x).all()
    assert (ours[b"data"] == x).all()
    assert theirs[b"labels"] == ours[b"labels"] == y


def test_cifar10_reads_python_2_pickles(tmp_path, monkeypatch):
    arrays, batches = cifar_batches()
    cifar(tmp_path, monkeypatch, batches)
    source = Cifar10(root=str(tmp_path))
    train = source.load("train")
    x = np.concatenate([arrays[f"data_batch_{k}"][0] for k in range(1, 6)])
    torch.testing.assert_close(train.x, torch.from_numpy(x).view(-1, 3, 32, 32))
    assert train.y.tolist() == [y for k in range(1, 6) for y in arrays[f"data_batch_{k}"][1]]
    assert source.load("test").x.shape == (2, 3, 32, 32)


def test_cifar10_refuses_other_pickles(tmp_path, monkeypatch):
    _, batches = cifar_batches()
    marker = tmp_path / "marker"
    hostile = b"cos\nmkdir\n(V" + str(marker).encode() + b"\ntR."
    cifar(tmp_path, monkeypatch, batches | {"test_batch": hostile})
    with pytest.raises(DataError, match=r"test_batch: expected a pickle of plain arrays.*mkdir"):
        Cifar10(root=str(tmp_path)).prepare()
    assert not marker.exists()


@pytest.mark.parametrize(
    "hostile",
    [
        b"cbuiltins\neval\n(V1\ntR.",
        b"cnumpy.core.multiarray\n_reconstruct\ncbuiltins\ndict\nK\x00\x85U\x01b\x87R.",
        b"cnumpy\nload\n(Vx\ntR.",
        b"\x80\x02]q\x00.",
        b"",
    ],
)
def test_only_dictionaries_of_arrays_are_unpickled(hostile):
    with pytest.raises(DataError, match="file: expected a pickle"):
        unpickle(hostile, "file")


def test_cifar10_verifies_before_it_unpickles(tmp_path, monkeypatch):
    _, batches = cifar_batches()
    cifar(tmp_path, monkeypatch, batches)
    path = tmp_path / "cifar-10-python.tar.gz"
    path.write_bytes(path.read_bytes() + b"\0")
    monkeypatch.setattr("genlab.data.cifar10.unpickle", None)
    with pytest.raises(DataError, match=r"cifar-10-python.tar.gz: expected md5"):
        Cifar10(root=str(tmp_path)).prepare()


def test_cifar10_without_a_batch_is_named(tmp_path, monkeypatch):
    _, batches = cifar_batches()
    del batches["data_batch_3"]
    cifar(tmp_path, monkeypatch, batches)
    with pytest.raises(DataError, match=r"expected CIFAR-10's archive.*data_batch_3"):
        Cifar10(root=str(tmp_path)).prepare()


# ----------------------------------------------------------------------------------------------


def test_svhn_is_what_torchvision_reads(tmp_path, monkeypatch):
    for split, n in (("train", 12), ("test", 5)):
        y = np.arange(1, n + 1)[:, None] % 10
        y[y == 0] = 10
        x = RNG.integers(0, 256, (32, 32, 3, n), np.uint8)
        savemat(tmp_path / f"{split}_32x32.mat", {"X": x, "y": y.astype(np.uint8)})
    names = ("train_32x32.mat", "test_32x32.mat")
    shrink(monkeypatch, "svhn", files=described(tmp_path, *names), train=12, test=5)
    monkeypatch.setattr(datasets.SVHN, "_check_integrity", lambda self: True)
    for split in ("train", "test"):
        ours = Svhn(root=str(tmp_path)).load(split)
        theirs = datasets.SVHN(str(tmp_path), split)
        torch.testing.assert_close(ours.x, torch.from_numpy(theirs.data))
        torch.testing.assert_close(ours.y, torch.from_numpy(theirs.labels))


def celeba(folder, monkeypatch, n=6):
    """CelebA of n pictures, each of one colour in the middle; gives the colours."""
    colours = RNG.integers(0, 256, (n, 3))
    with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as archive:
        for i, colour in enumerate(colours):
            picture = Image.new("RGB", (178, 218), (255, 0, 0))
            picture.paste(tuple(int(c) for c in colour), (39, 59, 139, 159))
            buffer = io.BytesIO()
            picture.save(buffer, "PNG")
            archive.writestr(f"img_align_celeba/{i:06d}.jpg", buffer.getvalue())
    parts = "".join(f"{i:06d}.jpg {(0, 0, 1, 2)[i % 4]}\n" for i in range(n))
    (folder / "list_eval_partition.txt").write_text(parts)
    rows = "".join(f"{i:06d}.jpg  {1 if i % 3 else -1} -1\n" for i in range(n))
    (folder / "list_attr_celeba.txt").write_text(f"{n}\nSmiling Young \n{rows}")
    names = ("img_align_celeba.zip", "list_attr_celeba.txt", "list_eval_partition.txt")
    shrink(monkeypatch, "celeba", files=described(folder, *names), train=4, test=1)
    return torch.from_numpy(colours).to(torch.uint8)


def test_celeba_is_cropped_about_the_centre(tmp_path, monkeypatch):
    colours = celeba(tmp_path, monkeypatch)
    source = CelebA(size=8, crop=100, attribute="Smiling", root=str(tmp_path))
    train, test = source.load("train"), source.load("test")
    want = colours[[0, 1, 4, 5]][:, :, None, None].expand(4, 3, 8, 8)
    torch.testing.assert_close(train.x, want)
    torch.testing.assert_close(test.x, colours[3][None, :, None, None].expand(1, 3, 8, 8))
    assert train.y.tolist() == [0, 1, 1, 1]
    assert source.spec.num_classes == 2
    plain = CelebA(size=8, crop=100, root=str(tmp_path))
    assert plain.load("train").y is None
    assert plain.spec.num_classes == 0
    wide = CelebA(size=8, crop=178, root=str(tmp_path)).load("train")
    assert (wide.x[:, 0, 0, 0] == 255).all()


def test_celeba_knows_its_attributes(tmp_path, monkeypatch):
    celeba(tmp_path, monkeypatch)
    with pytest.raises(ConfigError, match="did you mean 'Smiling'"):
        CelebA(attribute="smiling", root=str(tmp_path)).prepare()
    with pytest.raises(ConfigError, match="at most 178"):
        CelebA(crop=200)
