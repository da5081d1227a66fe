"""The cache: whole or not there, checked, never unpickled."""

import json
import logging
import os
import pickle
import time

import numpy as np
import pytest

from genlab.data.storage.cache import array_digest, cached, open_arrays
from genlab.system.paths import cache_dir

VALUES = np.arange(60, dtype=np.uint8).reshape(5, 12)


def build(writer):
    writer.put("x", VALUES)
    writer.array("y", (3,), "int64")[:] = [1, 2, 3]


def refuse(writer):
    raise AssertionError("built although it is there")


def test_built_once_then_mapped():
    first = cached("key", build)
    again = cached("key", refuse)
    assert (again["x"] == VALUES).all()
    assert again["y"].tolist() == [1, 2, 3]
    assert isinstance(again["x"], np.memmap)
    assert first.digests == again.digests == {n: array_digest(a) for n, a in again.items()}


def test_changes_in_memory_do_not_reach_the_file():
    cached("key", build)["x"][0, 0] = 99
    assert cached("key", refuse)["x"][0, 0] == 0


@pytest.mark.parametrize("harm", ["flip", "cut", "index", "no index", "gone"])
def test_damage_is_seen_and_mended(harm, caplog):
    cached("key", build)
    folder = cache_dir() / "arrays" / "key"
    path = folder / "x.npy"
    data = bytearray(path.read_bytes())
    if harm == "flip":
        data[-1] ^= 1
        path.write_bytes(bytes(data))
    elif harm == "cut":
        path.write_bytes(bytes(data[:-5]))
    elif harm == "index":
        (folder / "index.json").write_text("{")
    elif harm == "no index":
        (folder / "index.json").unlink()
    else:
        path.unlink()
    with caplog.at_level(logging.WARNING, "genlab"):
        assert (cached("key", build)["x"] == VALUES).all()
    assert "is damaged" in caplog.text
    assert (cached("key", refuse)["x"] == VALUES).all()


def test_the_size_of_what_is_too_large_to_be_hashed_is_checked(monkeypatch):
    cached("key", build)
    path = cache_dir() / "arrays" / "key" / "x.npy"
    data = path.read_bytes()
    monkeypatch.setattr("genlab.data.storage.cache.ALWAYS_HASHED", 0)
    path.write_bytes(data[:-1] + b"?")
    open_arrays(path.parent)
    with pytest.raises(ValueError, match="expected sha256"):
        open_arrays(path.parent, thorough=True)
    path.write_bytes(data + b"?")
    with pytest.raises(ValueError, match=f"expected {len(data)} bytes, found {len(data) + 1}"):
        open_arrays(path.parent)


def test_a_failed_build_leaves_nothing():
    def fail(writer):
        writer.put("x", VALUES)
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        cached("key", fail)
    assert list((cache_dir() / "arrays").iterdir()) == []


def test_a_pickle_in_the_cache_is_not_opened(tmp_path):
    marker = tmp_path / "marker"

    class Hostile:
        def __reduce__(self):
            return (os.mkdir, (str(marker),))

    cached("key", build)
    folder = cache_dir() / "arrays" / "key"
    path = folder / "x.npy"
    path.write_bytes(pickle.dumps(Hostile()))
    index = json.loads((folder / "index.json").read_text())
    index["x"]["bytes"] = path.stat().st_size
    (folder / "index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match="pickle"):
        open_arrays(folder)
    assert (cached("key", build)["x"] == VALUES).all()
    assert not marker.exists()


def test_works_where_nothing_can_be_written(tmp_path, monkeypatch, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    monkeypatch.setenv("GENLAB_CACHE", str(blocked / "cache"))
    with caplog.at_level(logging.WARNING, "genlab"):
        arrays = cached("key", build)
    assert (arrays["x"] == VALUES).all()
    assert arrays.digests["x"] == array_digest(VALUES)
    assert "GENLAB_CACHE" in caplog.text


def test_remains_of_killed_processes_are_swept():
    cached("first", build)
    old, new = (cache_dir() / "arrays" / f".{age}.part" for age in ("old", "new"))
    for folder in (old, new):
        folder.mkdir()
    day = time.time() - 100_000
    os.utime(old, (day, day))
    cached("second", build)
    assert not old.exists()
    assert new.exists()


def test_a_faster_process_is_no_error():
    def slow(writer):
        build(writer)
        cached("key", build)

    assert (cached("key", slow)["x"] == VALUES).all()
    assert [p.name for p in (cache_dir() / "arrays").iterdir()] == ["key"]
