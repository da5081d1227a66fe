"""A checkpoint that is damaged is never taken for whole: not with one bit flipped, not cut off,
not another file under its name; and what is whole is found."""

import os
import random
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from genlab.errors import DataError
from genlab.runs.storage import copy_file, digests, sidecar, sweep, temporary
from genlab.training.saving.checkpoint_io import AtomicCheckpointIO, newest, read_checkpoint

from .tiny import VAE, same, state, words

FLIPS = 200
CUTS = 100


def content(images):
    weights = torch.randn(40, 25, generator=torch.Generator().manual_seed(images))
    return {"state_dict": {"model.w": weights}, "genlab": {"images_seen": images}}


@pytest.fixture
def directory(tmp_path):
    """Two generations and a best one, which is the older of the two."""
    folder = tmp_path / "checkpoints"
    for images in (100, 200):
        AtomicCheckpointIO().save_checkpoint(content(images), folder / "last.ckpt")
        if images == 100:
            copy_file(folder / "last.ckpt", folder / "best.ckpt")
    return folder


def replace(path, raw):
    """Other bytes under the name; the other names of the same file keep theirs."""
    path.unlink()
    path.write_bytes(raw)


def caught(directory, raw):
    """Whether other bytes under the name of the last checkpoint are refused and named, and the one
    before is found."""
    replace(directory / "last.ckpt", raw)
    path, checkpoint, wrong = newest(directory)
    torch.testing.assert_close(checkpoint, content(100), rtol=0, atol=0)
    assert path.name == "previous.ckpt"
    assert len(wrong) == 1
    assert str(directory / "last.ckpt") in wrong[0]
    assert "damaged" in wrong[0]
    return True


def test_each_generation_has_its_sum_as_the_tool_reads_it(directory):
    for name, images in (("last", 200), ("previous", 100), ("best", 100)):
        path = directory / f"{name}.ckpt"
        torch.testing.assert_close(read_checkpoint(path), content(images), rtol=0, atol=0)
        (line,) = sidecar(path).read_text().splitlines()
        assert line == f"{digests(path)[0]}  {name}.ckpt"
    assert newest(directory)[0].name == "last.ckpt"


def test_one_flipped_bit_anywhere_is_seen(directory):
    """200 bits at random places, and one in each corner of the file: names, data, directory."""
    raw = (directory / "last.ckpt").read_bytes()
    rng = random.Random(0)
    places = [rng.randrange(len(raw)) for _ in range(FLIPS)]
    corners = [0, 30, len(raw) // 2, len(raw) - 30, len(raw) - 1]
    for place in places + corners:
        flipped = bytearray(raw)
        flipped[place] ^= 1 << rng.randrange(8)
        assert caught(directory, bytes(flipped))


def test_a_file_that_was_cut_off_is_seen(directory):
    raw = (directory / "last.ckpt").read_bytes()
    rng = random.Random(1)
    for length in [0, 1, len(raw) - 1, *(rng.randrange(len(raw)) for _ in range(CUTS))]:
        assert caught(directory, raw[:length])
    assert caught(directory, raw + b"\0")


def test_another_file_under_the_name_is_seen(directory, tmp_path):
    picture = tmp_path / "picture.png"
    Image.new("L", (8, 8)).save(picture)
    other = tmp_path / "other.ckpt"
    AtomicCheckpointIO().save_checkpoint(content(999), other)
    for raw in (picture.read_bytes(), b"epoch,loss\n", other.read_bytes()):
        assert caught(directory, raw)


def test_a_picture_with_a_sum_of_its_own_is_no_checkpoint(directory):
    path = directory / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"something": 1}, path)
    with pytest.raises(DataError, match=r"last\.ckpt is no checkpoint of genlab"):
        read_checkpoint(path)


def test_a_sum_that_is_gone_or_damaged_vouches_for_nothing(directory):
    path = directory / "last.ckpt"
    for text in (None, "", "no sum\n", digests(path)[0][:-1]):
        if text is None:
            sidecar(path).unlink()
        else:
            sidecar(path).write_text(text)
        with pytest.raises(DataError, match=r"last\.ckpt\.sha256 is missing or damaged"):
            read_checkpoint(path)


def test_where_nothing_is_whole_all_are_named(directory):
    for path in directory.glob("*.ckpt"):
        replace(path, b"\0" * 100)
    with pytest.raises(DataError) as caught:
        newest(directory)
    said = str(caught.value)
    for name in ("last.ckpt", "previous.ckpt", "best.ckpt", "train it anew"):
        assert name in said
    assert len(said.splitlines()) == 4


class Killed(BaseException):
    """Stands for a kill: nothing is tidied up after it."""


def killed_at(monkeypatch, step):
    """Lets a save come to its so manieth rename, link or removal and no further."""
    done = 0

    def counted(original):
        def act(*args, **kwargs):
            nonlocal done
            if done == step:
                raise Killed
            done += 1
            return original(*args, **kwargs)

        return act

    monkeypatch.setattr(Path, "replace", counted(Path.replace))
    monkeypatch.setattr(Path, "unlink", counted(Path.unlink))
    monkeypatch.setattr(os, "link", counted(os.link))


def test_a_kill_between_any_two_steps_leaves_the_old_or_the_new(directory):
    step, found = 0, []
    while True:
        with pytest.MonkeyPatch.context() as patch:
            killed_at(patch, step)
            try:
                AtomicCheckpointIO().save_checkpoint(content(300), directory / "last.ckpt")
                break
            except Killed:
                step += 1
        path, checkpoint, wrong = newest(directory)
        assert path.name == "last.ckpt"
        assert wrong == []
        torch.testing.assert_close(checkpoint, content(checkpoint["genlab"]["images_seen"]))
        found.append(checkpoint["genlab"]["images_seen"])
        read_checkpoint(directory / "best.ckpt")
        sweep(directory)
    assert len(found) > 6
    assert found == sorted(found)
    assert set(found) == {200, 300}
    assert read_checkpoint(directory / "last.ckpt")["genlab"]["images_seen"] == 300


def test_a_best_one_that_is_damaged_is_not_replaced_by_another(genlab, tmp_path):
    """Its number would be another's: the command is refused, and the whole one named."""
    assert genlab("train", *VAE, "name=a")[0] == 0
    run = tmp_path / "runs" / "a"
    best = run / "checkpoints" / "best.ckpt"
    raw = bytearray(best.read_bytes())
    raw[len(raw) // 2] ^= 4
    replace(best, bytes(raw))
    for line in (
        ("evaluate", "run=a"),
        ("sample", "run=a", "n=4"),
        ("reconstruct", "run=a"),
        ("train", *VAE, "init_from=a"),
    ):
        code, _, err = genlab(*line)
        assert code == 2, line
        assert len(err.strip().splitlines()) == 1
        for part in ("best.ckpt is damaged (SHA-256", "last.ckpt, of 192 images, is whole"):
            assert part in err
    assert genlab("sample", "run=a", "checkpoint=last", "n=4")[0] == 0


def test_a_run_goes_on_from_the_one_before_and_comes_to_the_same(genlab, tmp_path):
    runs = tmp_path / "runs"
    constant = ("vae_mlp", "scheduler=constant")
    assert genlab("train", *words(*constant, "name=whole"))[0] == 0
    assert genlab("train", *words(*constant, "trainer.epochs=2", "name=cut"))[0] == 0
    last = runs / "cut" / "checkpoints" / "last.ckpt"
    raw = bytearray(last.read_bytes())
    raw[len(raw) // 3] ^= 1
    replace(last, bytes(raw))
    code, _, err = genlab("sample", "run=cut", "checkpoint=last", "n=4")
    assert code == 0
    assert "last.ckpt is damaged" in err
    assert "previous.ckpt, of 64 images, is whole and is taken" in err
    code, _, err = genlab("train", "run=cut", "trainer.epochs=3")
    assert code == 0, err
    assert err.count("last.ckpt is damaged (SHA-256") == 1
    assert "goes on from previous.ckpt, of 64 images" in err
    same(state(runs / "cut"), state(runs / "whole"))
    assert (last.parent / "last.ckpt.damaged").read_bytes() == bytes(raw)


@pytest.mark.slow
def test_another_models_checkpoint_is_named(genlab, tmp_path):
    runs = tmp_path / "runs"
    assert genlab("train", *VAE, "name=a")[0] == 0
    assert genlab("train", *words("vae_mlp", "model.hidden=8", "name=b"))[0] == 0
    for file in (runs / "b" / "checkpoints").iterdir():
        shutil.copy(file, runs / "a" / "checkpoints" / file.name)
    for line in (("train", "run=a", "trainer.epochs=4"), ("evaluate", "run=a")):
        code, _, err = genlab(*line)
        assert code == 2
        assert "is the checkpoint of another model than config.yaml's" in err
        assert "Traceback" not in err


def test_what_a_dead_process_left_is_swept_and_what_a_living_one_writes_is_not(tmp_path):
    dead = tmp_path / "checkpoints" / ".last.ckpt.999999999.tmp"
    mine = temporary(tmp_path / "run.json")
    alive = tmp_path / ".run.json.1.tmp"
    other = tmp_path / ".keep.tmp"
    dead.parent.mkdir()
    for path in (dead, mine, alive, other):
        path.write_bytes(b"half")
    assert sorted(sweep(tmp_path)) == sorted([dead, mine])
    assert alive.exists()
    assert other.exists()


@pytest.mark.slow
def test_a_run_from_before_there_were_sums_gets_them_when_it_goes_on(genlab, tmp_path):
    assert genlab("train", *VAE, "name=old")[0] == 0
    folder = tmp_path / "runs" / "old" / "checkpoints"
    for path in folder.glob("*.sha256"):
        path.unlink()
    assert genlab("sample", "run=old", "n=4")[0] == 0
    assert genlab("train", "run=old")[0] == 0
    assert {p.name for p in folder.glob("*.sha256")} == {
        "last.ckpt.sha256", "previous.ckpt.sha256", "best.ckpt.sha256",
    }  # fmt: skip
