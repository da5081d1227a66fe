"""Harms to files of data: each is named with its path, what was expected, what was found, a repair.

A data set of known files, the user's own pictures, and archives; through `genlab data prepare`
or `genlab train` where a whole command is of interest.
"""

import gzip
import hashlib
import io
import lzma
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from data.conftest import idx_contents, shrink, small_fashion
from data.conftest import write as write_files
from PIL import Image

from genlab.data.cifar10 import Cifar10
from genlab.data.emnist import SETS, Emnist
from genlab.data.fashion_mnist import FashionMnist
from genlab.data.folder import ImageFolder
from genlab.data.storage.idx import parse_idx, to_idx
from genlab.data.storage.manifest import BLOCK, DataFile, digest
from genlab.errors import DataError

from .probes import commands

__all__ = ["small_fashion"]

NAMES = ("t10k-labels-idx1-ubyte", "t10k-images-idx3-ubyte")
ROOT = os.geteuid() == 0


def flipped(data):
    """One bit in the middle of it."""
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]


def replaced(content):
    """Puts other content in the place of the file's own, compressed as that is."""

    def harm(path, data):
        path.write_bytes(gzip.compress(content(data)))

    return harm


def rewritten(content):
    """Changes the file as it lies on disk."""

    def harm(path, data):
        path.write_bytes(content(path.read_bytes()))

    return harm


def folder_instead(path, data):
    path.unlink()
    path.mkdir()


def link_to_nothing(path, data):
    path.unlink()
    path.symlink_to("nowhere")


def unreadable(path, data):
    path.chmod(0)


def fewer(data):
    """A valid file of one item less."""
    array = parse_idx(data, "", 1 if data[3] == 1 else 3)
    return to_idx(array[:-1])


def shuffled(data):
    """A valid file of the same size with other images or labels."""
    array = parse_idx(data, "", 1 if data[3] == 1 else 3)
    return to_idx(array[::-1])


def bomb(data):
    return bytes(8_000_000)


FILES = {
    "truncated": replaced(lambda data: data[: len(data) // 2]),
    "a bit flipped": replaced(flipped),
    "wrong magic": replaced(lambda data: b"\0\0\x0d" + data[3:]),
    "wrong count in the header": replaced(lambda data: data[:7] + b"\xff" + data[8:]),
    "one item less": replaced(fewer),
    "another order": replaced(shuffled),
    "images for labels": replaced(lambda data: idx_contents()["train-images-idx3-ubyte"]),
    "another split": replaced(lambda data: idx_contents()["train-labels-idx1-ubyte"]),
    "longer": replaced(lambda data: data + b"\0"),
    "empty content": replaced(lambda data: b""),
    "empty file": rewritten(lambda raw: b""),
    "an error page": rewritten(lambda raw: b"<!DOCTYPE html><title>404</title>"),
    "gzip cut": rewritten(lambda raw: raw[: len(raw) // 2]),
    "gzip checksum": rewritten(lambda raw: raw[:-8] + flipped(raw[-8:-4]) + raw[-4:]),
    "gzip bit": rewritten(flipped),
    "a bomb": replaced(bomb),
    "a folder": folder_instead,
    "a link to nothing": link_to_nothing,
    "missing": lambda path, data: path.unlink(),
    "unreadable": unreadable,
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("harm", FILES)
def test_a_file_of_a_data_set(tmp_path, small_fashion, monkeypatch, harm, name):
    folder = write_files(tmp_path / "fashion_mnist", small_fashion)
    path = folder / f"{name}.gz"
    FILES[harm](path, small_fashion[name])
    if harm == "unreadable" and ROOT:
        monkeypatch.setattr(gzip, "open", refusing(gzip.open, name))
    with pytest.raises(DataError) as caught:
        FashionMnist(root=str(tmp_path)).prepare()
    text = str(caught.value)
    assert str(folder / name) in text
    assert "expected " in text
    assert "found " in text
    assert text.endswith(f"repair: genlab data prepare fashion_mnist data.root={tmp_path}")
    assert "\n" not in text
    word = {"a folder": "found a folder", "a bomb": "found more", "a link to nothing": "link"}
    assert word.get(harm, "") in text


def test_a_bomb_is_not_read_to_its_end(tmp_path):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(bytes(8_000_000)))
    assert digest(path, content=True, most=1000)[1] <= 2 * BLOCK
    assert digest(path, content=True)[1] == 8_000_000


def refusing(opener, name):
    """Root may read everything: it is refused as others are."""

    def opened(path, *args, **kwargs):
        if name in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return opener(path, *args, **kwargs)

    return opened


# ----------------------------------------------------------------------------------------------
# The user's own pictures.


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(str(path))).integers(0, 256, (24, 24, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def huge(path):
    """A PNG of 180 million pixels in some kilobytes."""
    Image.new("1", (18_000, 10_000)).save(path)


def unreadable_folder(path):
    inside = path.parent / "locked"
    inside.mkdir()
    picture(inside / "a.png")
    inside.chmod(0)


PICTURES = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-300]),
    "header only": lambda path: path.write_bytes(path.read_bytes()[:30]),
    "checksum": lambda path: path.write_bytes(flipped(path.read_bytes())),
    "text": lambda path: path.write_text("no picture"),
    "empty": lambda path: path.write_bytes(b""),
    "an error page": lambda path: path.write_text("<!DOCTYPE html>"),
    "another format's name": lambda path: path.write_bytes(b"PK\3\4" + bytes(50)),
    "a bomb": huge,
    "a link to nothing": lambda path: (path.unlink(), path.symlink_to("nowhere")),
    "an unreadable folder": unreadable_folder,
}


@pytest.mark.parametrize("harm", PICTURES)
def test_a_picture_of_the_users(tmp_path, monkeypatch, harm):
    for i in range(6):
        picture(tmp_path / "pictures" / f"{i}.png")
    path = tmp_path / "pictures" / "3.png"
    PICTURES[harm](path)
    if harm == "an unreadable folder":
        path = tmp_path / "pictures" / "locked"
        if ROOT:
            scandir = os.scandir
            monkeypatch.setattr(os, "scandir", refusing(scandir, "locked"))
    try:
        with pytest.raises(DataError) as caught:
            ImageFolder(str(tmp_path / "pictures"), size=8).prepare()
    finally:
        if harm == "an unreadable folder":
            path.chmod(0o700)
    text = str(caught.value)
    assert str(path) in text
    assert "expected " in text
    assert "found " in text
    assert "repair: " in text
    assert "\n" not in text


# ----------------------------------------------------------------------------------------------
# Archives: verified first; here the hash is right, and what is in them is not.


def described(path):
    return (DataFile(path.name, hashlib.md5(path.read_bytes()).hexdigest(), "md5"),)


def zipped(path, members, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def emnist_members():
    x, y = np.zeros((6, 28, 28), np.uint8), np.arange(6, dtype=np.uint8)
    stem = "gzip/emnist-balanced"
    return {
        f"{stem}-{split}-{part}-ubyte.gz": gzip.compress(to_idx(a))
        for split in ("train", "test")
        for part, a in (("images-idx3", x), ("labels-idx1", y))
    }


IMAGES = "gzip/emnist-balanced-train-images-idx3-ubyte.gz"
ZIPS = {
    "no archive": b"<html>",
    "empty": b"",
    "a member missing": {IMAGES: None},
    "a member empty": {IMAGES: b""},
    "a member cut": {IMAGES: gzip.compress(bytes(5000))[:20]},
    "a member of text": {IMAGES: b"hello"},
    "a bomb": {IMAGES: gzip.compress(bytes(8_000_000))},
    "too few": {IMAGES: gzip.compress(to_idx(np.zeros((5, 28, 28), np.uint8)))},
    "labels out of range": {
        IMAGES.replace("images-idx3", "labels-idx1"): gzip.compress(
            to_idx(np.full(6, 248, np.uint8))
        )
    },
}


@pytest.mark.parametrize("harm", ZIPS)
def test_a_zip_archive(tmp_path, monkeypatch, harm):
    path = tmp_path / "gzip.zip"
    wrong = ZIPS[harm]
    if isinstance(wrong, bytes):
        path.write_bytes(wrong)
    else:
        members = emnist_members() | wrong
        zipped(path, {name: data for name, data in members.items() if data is not None})
    shrink(monkeypatch, "emnist", files=described(path), system=())
    monkeypatch.setitem(SETS, "balanced", (6, 6, 47))
    with pytest.raises(DataError, match=r"expected .*found ") as caught:
        Emnist(root=str(tmp_path)).prepare()
    assert "emnist" in str(caught.value) or str(path) in str(caught.value)


def tarred(path, members):
    """A tar archive with members that want to lie elsewhere, beside one of the right name."""
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            if isinstance(data, bytes):
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
            else:
                info.type, info.linkname = data
                archive.addfile(info)


BATCH = "cifar-10-batches-py/data_batch_1"
TARS = {
    "no archive": b"<html>",
    "cut": None,
    "climbing": [("../../escaped", b"x")],
    "absolute": [("/tmp/genlab-escaped", b"x")],
    "a link out": [(BATCH, (tarfile.SYMTYPE, "/etc/passwd"))],
    "a hard link out": [(BATCH, (tarfile.LNKTYPE, "/etc/passwd"))],
    "a device": [(BATCH, (tarfile.CHRTYPE, ""))],
    "a folder": [(BATCH, (tarfile.DIRTYPE, ""))],
    "a bomb": [(BATCH, bytes(41_000_000))],
}


@pytest.mark.parametrize("harm", TARS)
def test_a_tar_archive(tmp_path, monkeypatch, harm):
    folder = tmp_path / "deep" / "deeper"
    folder.mkdir(parents=True)
    path = folder / "cifar-10-python.tar.gz"
    wrong = TARS[harm]
    if isinstance(wrong, bytes):
        path.write_bytes(wrong)
    else:
        tarred(path, wrong or [(BATCH, bytes(5000))])
    if wrong is None:
        path.write_bytes(path.read_bytes()[:60])
    shrink(monkeypatch, "cifar10", files=described(path), system=())
    with pytest.raises(DataError, match=r"expected .*found"):
        Cifar10(root=str(folder)).prepare()
    assert not list(tmp_path.rglob("*escaped*"))
    assert not Path("/tmp/genlab-escaped").exists()


def test_the_bundled_archive(tmp_path):
    from genlab.data.storage.bundled import ARCHIVE, read_archive

    whole = ARCHIVE.read_bytes()
    for wrong in (b"", b"<html>", whole[:1000], flipped(whole), lzma.compress(bytes(1000))):
        path = tmp_path / "mnist.tar.xz"
        path.write_bytes(wrong)
        with pytest.raises(DataError, match=r"mnist\.tar\.xz.*expected .*found .*repair: pip"):
            read_archive(path)


# ----------------------------------------------------------------------------------------------


def test_the_count():
    harms = len(FILES) + len(PICTURES) + len(ZIPS) + len(TARS)
    assert harms >= 21
    assert (len(FILES), len(PICTURES), len(ZIPS), len(TARS)) == (20, 10, 9, 9)


@pytest.mark.parametrize("command", ["train", "data prepare"])
def test_through_a_command(tmp_path, monkeypatch, capsys, command):
    run = commands(tmp_path / "cwd", monkeypatch, capsys)
    for i in range(6):
        picture(Path("pictures") / f"{i}.png")
    Path("pictures/3.png").write_bytes(b"")
    words = {
        "train": ["train", "data=folder", "data.path=pictures", "model=vae_mlp", "logger=none"],
        "data prepare": ["data", "prepare", "folder", "path=pictures"],
    }[command]
    code, _, err = run(*words)
    assert code == 2
    assert "pictures/3.png" in err
    assert "repair: " in err
    assert len(err.splitlines()) == 1
    assert not Path("runs").exists()
