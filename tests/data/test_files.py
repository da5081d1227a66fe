"""Finding, verifying and downloading files: the order of places, and every kind of damage."""

import dataclasses
import gzip
import hashlib
import logging
import re
import shutil

import pytest

from genlab.data.fashion_mnist import FashionMnist
from genlab.data.storage.idx import parse_idx, to_idx
from genlab.data.storage.manifest import DataFile
from genlab.data.storage.manifests import MANIFESTS
from genlab.data.storage.sources import obtain
from genlab.errors import DataError
from genlab.system.paths import cache_dir

from .conftest import idx_contents, shrink, write

COMMAND = "genlab data prepare fashion_mnist"


def damaged(data, kind):
    """The content of a file with something wrong in it."""
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 1
    return {
        "truncated": data[: len(data) // 2],
        "flipped": bytes(flipped),
        "magic": b"\0\0\x08\x02" + data[4:],
        "empty": b"",
        "html": b"<html>404</html>",
        "other split": idx_contents()["train-labels-idx1-ubyte"],
        "another count": to_idx(parse_idx(data, "", 1)[:-1]) if data[3] == 1 else data[:-784],
    }[kind]


@pytest.mark.parametrize(
    "kind",
    ["truncated", "flipped", "magic", "empty", "html", "other split", "another count"],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("name", ["t10k-labels-idx1-ubyte", "t10k-images-idx3-ubyte"])
def test_damage_is_named_with_its_repair(tmp_path, small_fashion, kind, suffix, name):
    contents = small_fashion | {name: damaged(small_fashion[name], kind)}
    write(tmp_path / "fashion_mnist", contents, suffix)
    with pytest.raises(DataError) as error:
        FashionMnist(root=str(tmp_path)).prepare()
    text = str(error.value)
    assert str(tmp_path / "fashion_mnist" / f"{name}{suffix}") in text
    assert "expected " in text
    assert "found " in text
    assert text.endswith(f"repair: {COMMAND} data.root={tmp_path}")
    assert "\n" not in text


def test_gzip_cut_in_half_is_named(tmp_path, small_fashion):
    folder = write(tmp_path, small_fashion)
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DataError, match=r"train-images.*expected a readable file, found EOFError"):
        FashionMnist(root=str(tmp_path)).prepare()


def test_one_missing_file_is_named(tmp_path, small_fashion):
    write(tmp_path, small_fashion)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte: expected a file, found noth"):
        FashionMnist(root=str(tmp_path)).prepare()


def test_wrong_counts_are_seen_even_with_right_hashes(tmp_path, monkeypatch):
    """torchvision takes 60,000 labels beside 10,000 images without a word."""
    contents = idx_contents()
    contents["t10k-labels-idx1-ubyte"] = contents["train-labels-idx1-ubyte"]
    files = tuple(DataFile(f.name, f.hash, size=None) for f in MANIFESTS["fashion_mnist"].files)
    shrink(monkeypatch, "fashion_mnist", files=files, train=20, test=8, system=())
    monkeypatch.setattr(DataFile, "check", lambda *args: None)
    write(tmp_path, contents, "")
    with pytest.raises(DataError, match=r"fashion_mnist/test: expected 8 labels .* found 20"):
        FashionMnist(root=str(tmp_path)).prepare()


def test_labels_out_of_range_are_seen(tmp_path, monkeypatch):
    contents = idx_contents()
    contents["train-labels-idx1-ubyte"] = contents["train-labels-idx1-ubyte"][:-1] + b"\xf8"
    shrink(monkeypatch, "fashion_mnist", train=20, test=8, system=())
    monkeypatch.setattr(DataFile, "check", lambda *args: None)
    write(tmp_path, contents, "")
    with pytest.raises(DataError, match=r"expected labels from 0 to 9, found 0 to 248"):
        FashionMnist(root=str(tmp_path)).prepare()


def test_places_are_looked_at_in_order(tmp_path, small_fashion, monkeypatch):
    root, system = tmp_path / "root", tmp_path / "system"
    shrink(monkeypatch, "fashion_mnist", system=(str(system),))
    manifest = MANIFESTS["fashion_mnist"]
    cached = write(cache_dir() / "downloads" / "fashion_mnist", small_fashion)

    def place():
        return next(iter(obtain(manifest, root).values())).parent

    assert place() == cached
    write(system, small_fashion)
    assert place() == system
    deepest = write(root / "FashionMNIST" / "raw", small_fashion, "")
    assert place() == deepest
    shallow = write(root / "fashion-mnist", small_fashion)
    assert place() == shallow
    write(root, small_fashion)
    assert place() == root


def test_a_damaged_place_is_passed_over_with_a_warning(
    tmp_path, small_fashion, monkeypatch, caplog
):
    system = write(tmp_path / "system", small_fashion | {"t10k-labels-idx1-ubyte": b"bad"})
    shrink(monkeypatch, "fashion_mnist", system=(str(system),))
    good = write(cache_dir() / "downloads" / "fashion_mnist", small_fashion)
    with caplog.at_level(logging.WARNING, "genlab"):
        found = obtain(MANIFESTS["fashion_mnist"])
    assert next(iter(found.values())).parent == good
    assert f"{system}/t10k-labels-idx1-ubyte.gz: expected 16 bytes, found 3" in caplog.text


def served(monkeypatch, folder, address, contents):
    """Fashion-MNIST as the mirror offers it."""
    write(folder, contents)
    files = tuple(
        dataclasses.replace(
            file,
            urls=(f"{address}{file.name}.gz",),
            packed=hashlib.sha256((folder / f"{file.name}.gz").read_bytes()).hexdigest(),
        )
        for file in MANIFESTS["fashion_mnist"].files
    )
    shrink(monkeypatch, "fashion_mnist", files=files)


def test_downloads_what_is_nowhere(mirror, small_fashion, monkeypatch, tmp_path):
    served(monkeypatch, *mirror, small_fashion)
    source = FashionMnist(root=str(tmp_path / "root"))
    source.prepare()
    folder = tmp_path / "root" / "fashion_mnist"
    assert sorted(p.name for p in folder.iterdir()) == sorted(f"{n}.gz" for n in small_fashion)
    test = source.load("test")
    want = parse_idx(small_fashion["t10k-images-idx3-ubyte"], "", 3)
    assert (test.x.numpy()[:, 0] == want).all()
    shutil.rmtree(mirror[0])
    FashionMnist(root=str(tmp_path / "root")).prepare()


def test_a_wrong_download_is_refused_and_leaves_nothing(mirror, small_fashion, monkeypatch):
    served(monkeypatch, *mirror, small_fashion)
    path = mirror[0] / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[::-1])
    with pytest.raises(DataError) as error:
        FashionMnist().prepare()
    text = str(error.value)
    assert re.search(
        r"t10k-images-idx3-ubyte.gz could not be downloaded.*expected sha256:\w{64} but got \w{64}"
        r".*repair: genlab data prepare fashion_mnist, or put the files into ",
        text,
    )
    assert "\n" not in text
    left = [p.name for p in (cache_dir() / "downloads" / "fashion_mnist").iterdir()]
    assert sorted(left) == ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"]
    assert not (cache_dir() / "arrays").exists() or not list((cache_dir() / "arrays").iterdir())


def test_a_mirror_that_sends_too_much_is_given_up(mirror, small_fashion, monkeypatch):
    served(monkeypatch, *mirror, small_fashion)
    (mirror[0] / "train-images-idx3-ubyte.gz").write_bytes(bytes(3 << 20))
    most = len(small_fashion["train-images-idx3-ubyte"]) + (1 << 20)
    with pytest.raises(DataError, match=f"expected at most {most:,} bytes, found more; repair"):
        FashionMnist().prepare()


def test_a_folder_that_cannot_be_written_names_the_key(
    mirror, small_fashion, monkeypatch, tmp_path
):
    served(monkeypatch, *mirror, small_fashion)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file/fashion_mnist: cannot be written .*set data.root"):
        FashionMnist(root=str(tmp_path / "file")).prepare()


def test_repair_downloads_what_is_damaged(mirror, small_fashion, monkeypatch, tmp_path):
    served(monkeypatch, *mirror, small_fashion)
    root = tmp_path / "root"
    FashionMnist(root=str(root)).prepare()
    bad = root / "fashion_mnist" / "train-labels-idx1-ubyte.gz"
    bad.write_bytes(b"damaged")
    shutil.rmtree(cache_dir())
    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte.gz.*repair"):
        FashionMnist(root=str(root)).prepare()
    FashionMnist(root=str(root)).prepare(repair=True)
    assert gzip.decompress(bad.read_bytes()) == small_fashion["train-labels-idx1-ubyte"]
