"""The bundled MNIST: the original bytes, whole, or named as damaged."""

import hashlib
import tarfile

import pytest
import torch

from genlab.data.images import ImageData
from genlab.data.storage.bundled import ARCHIVE, read_archive
from genlab.data.storage.manifests import MNIST_FILES
from genlab.errors import DataError


def test_is_about_nine_megabytes_with_its_licence():
    assert 8.5e6 < ARCHIVE.stat().st_size < 9.5e6
    assert ARCHIVE.with_name("mnist.LICENCE.md").is_file()


def test_splits(mnist):
    train, test = mnist.load("train"), mnist.load("test")
    assert train.x.shape == (60_000, 1, 28, 28)
    assert test.x.shape == (10_000, 1, 28, 28)
    assert train.x.dtype == torch.uint8
    assert train.y.dtype == torch.int64
    # Counts of each digit as the literature has them.
    assert train.y.bincount().tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip
    assert test.y.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert train.y[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert (train.x.float().mean() / 255).item() == pytest.approx(0.1307, abs=5e-5)


def test_fingerprint_is_that_of_the_contents(mnist):
    # What the cache remembers is what hashing the loaded images gives.
    assert ImageData._digests(mnist) == mnist._digests()
    assert mnist.fingerprint().startswith("d58a1ebc")


@pytest.mark.parametrize("harm", ["cut", "flip", "missing", "text"])
def test_a_damaged_archive_is_named(tmp_path, harm):
    path = tmp_path / "mnist.tar.xz"
    data = bytearray(ARCHIVE.read_bytes()[: 500_000 if harm == "cut" else None])
    if harm == "flip":
        data[5000] ^= 1
    if harm != "missing":
        path.write_bytes(b"no archive" if harm == "text" else bytes(data))
    with pytest.raises(DataError) as error:
        read_archive(path)
    text = str(error.value)
    assert str(path) in text
    assert "expected" in text
    assert "found" in text
    assert "pip install --force-reinstall genlab" in text


def test_another_content_is_named(tmp_path):
    path = tmp_path / "mnist.tar.xz"
    with tarfile.open(path, "w:xz", preset=0) as tar:
        for file in MNIST_FILES:
            content = tmp_path / file.name
            content.write_bytes(b"something else")
            tar.add(content, file.name)
    found = hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(DataError, match=f"{MNIST_FILES[0].name}: expected sha256 .* found {found}"):
        read_archive(path)


@pytest.mark.slow
def test_the_script_packs_the_same_contents(tmp_path, monkeypatch):
    import importlib.util
    from pathlib import Path

    script = Path(__file__).parents[2] / "scripts" / "pack_mnist.py"
    spec = importlib.util.spec_from_file_location("pack_mnist", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    contents = read_archive()
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    module.pack(tmp_path, tmp_path / "packed.tar.xz")
    assert read_archive(tmp_path / "packed.tar.xz") == contents
    (tmp_path / MNIST_FILES[1].name).write_bytes(b"other")
    with pytest.raises(DataError, match="expected"):
        module.pack(tmp_path, tmp_path / "packed.tar.xz")
