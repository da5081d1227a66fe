"""Checkpoints written in a thread: what they were when they were saved, in the order of the saves,
and what fails is raised as what it was."""

import gc
import threading
import time
from concurrent.futures import wait
from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

from genlab.runs import storage
from genlab.runs.storage import digests
from genlab.training.checkpoints import Checkpoints
from genlab.training.saving.background import Writer
from genlab.training.saving.checkpoint_io import AtomicCheckpointIO, newest, read_checkpoint
from genlab.training.saving.snapshot import snapshot
from training.toys import SPEC, Coins, fit, module_of

GENERATIONS = ("last.ckpt", "previous.ckpt", "best.ckpt")


@pytest.fixture
def gate(monkeypatch):
    """Writing a file waits for the gate to be opened; `begun` tells when it does."""
    gate, gate.begun = threading.Event(), threading.Event()
    original = storage.Hashed.write

    def write(hashed, content):
        gate.begun.set()
        assert gate.wait(20)
        return original(hashed, content)

    monkeypatch.setattr(storage.Hashed, "write", write)
    yield gate
    gate.set()


def state(images=100):
    """Layers that share a weight, moments, and the lists that callbacks keep."""
    model = nn.Sequential(nn.Linear(20, 20), nn.BatchNorm1d(20), nn.Linear(20, 20))
    model[2].weight = model[0].weight
    memory = torch.randn(64)
    return {
        "state_dict": model.state_dict(),
        "moments": [{0: {"step": torch.tensor(3.0), "even": memory[::2], "half": memory[:32]}}],
        "genlab": {"images_seen": images, "window_start": [1, 2.0], "events": [{"text": "a"}]},
    }


def spoil(value):
    """Changes everything in place, as training does."""
    if isinstance(value, torch.Tensor):
        value.zero_().sub_(7)
    elif isinstance(value, dict):
        for key in list(value):
            spoil(value[key])
            if not isinstance(value[key], torch.Tensor | dict | list):
                value[key] = "spoilt"
    elif isinstance(value, list):
        for part in value:
            spoil(part)
        value.append("spoilt")


def test_what_is_written_is_what_was_saved_byte_by_byte(tmp_path, gate):
    """Also tied weights and views of one memory, and the attributes of a state_dict."""
    writer, now = Writer(), tmp_path / "now.ckpt"
    checkpoint = state()
    AtomicCheckpointIO().save_checkpoint(checkpoint, tmp_path / "later.ckpt", writer)
    gate.begun.wait(20)
    gate.set()
    AtomicCheckpointIO().save_checkpoint(checkpoint, now)
    writer.wait()
    gate.clear()
    assert (tmp_path / "later.ckpt").read_bytes() == now.read_bytes()
    AtomicCheckpointIO().save_checkpoint(checkpoint, tmp_path / "later.ckpt", writer)
    spoil(checkpoint)
    assert not writer.tasks[0].done()
    gate.set()
    writer.wait()
    assert (tmp_path / "later.ckpt").read_bytes() == now.read_bytes()
    assert digests(tmp_path / "later.ckpt") == digests(now)


def test_a_snapshot_shares_nothing_and_keeps_what_its_parts_share():
    original = state()
    kept, expected = snapshot(original), snapshot(snapshot(original))
    spoil(original)
    torch.testing.assert_close(kept["state_dict"], expected["state_dict"], rtol=0, atol=0)
    torch.testing.assert_close(kept["moments"], expected["moments"], rtol=0, atol=0)
    assert kept["genlab"] == expected["genlab"]
    assert kept["state_dict"]._metadata == expected["state_dict"]._metadata
    weights = kept["state_dict"]
    assert weights["0.weight"].data_ptr() == weights["2.weight"].data_ptr()
    assert kept["moments"][0][0]["even"].stride() == (2,)


# The writer -----------------------------------------------------------------------------------


def test_tasks_follow_one_another_and_no_thread_is_left():
    writer, done, before = Writer(), [], threading.active_count()
    for number in range(5):
        writer.submit(partial(lambda n: (time.sleep(0.01 * (5 - n)), done.append(n)), number))
    writer.wait()
    assert done == [0, 1, 2, 3, 4]
    assert threading.active_count() == before
    writer.wait()


def full():
    raise OSError(28, "No space left on device", "last.ckpt")


def test_what_fails_is_raised_once_and_what_comes_after_it_is_not_done():
    writer, done = Writer(), []
    writer.check()
    writer.submit(full)
    writer.submit(lambda: done.append("a copy of what is not there"))
    with pytest.raises(OSError, match="No space") as caught:
        writer.wait()
    assert (caught.value.errno, caught.value.filename) == (28, "last.ckpt")
    assert done == []
    writer.submit(lambda: done.append("the next one"))
    writer.wait()
    assert done == ["the next one"]
    writer.submit(full)
    while not writer.tasks[0].done():
        time.sleep(0.001)
    with pytest.raises(OSError, match="No space"):
        writer.check()
    writer.check()
    writer.wait()


def test_a_wait_that_a_signal_ends_can_be_repeated(monkeypatch):
    writer, gate, done = Writer(), threading.Event(), []
    writer.submit(lambda: (gate.wait(20), done.append(1)))

    def interrupted(tasks):
        raise SystemExit(130)

    with monkeypatch.context() as patch:
        patch.setattr("genlab.training.saving.background.wait", interrupted)
        with pytest.raises(SystemExit):
            writer.wait()
    gate.set()
    writer.wait()
    assert done == [1]


class Numbers(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        gc.collect()
        return index


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_processes_forked_during_a_write_neither_hang_nor_harm_it(tmp_path, gate):
    writer, path = Writer(), tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint(state(), path, writer)
    assert gate.begun.wait(20)
    loader = DataLoader(Numbers(), num_workers=2, multiprocessing_context="fork", timeout=20)
    assert [int(item) for item in loader] == [0, 1, 2, 3]
    gate.set()
    writer.wait()
    assert read_checkpoint(path)["genlab"]["images_seen"] == 100


# In a run -------------------------------------------------------------------------------------


def play(directory, background=True, callbacks=(), **options):
    """Trains 8 chunks of 12 images, with a validation after each second one."""
    checkpoints = Checkpoints(background=background)
    module, callbacks = module_of(**options), [*callbacks, checkpoints]
    trainer = fit(module, callbacks=callbacks, folder=directory, plugins=[AtomicCheckpointIO()])
    return module, trainer, checkpoints


def everything(directory):
    """What the three generations hold, without what the clock says."""
    found = {}
    for name in GENERATIONS:
        checkpoint = read_checkpoint(directory / name)
        for key in ("seconds", "window_start"):
            del checkpoint["genlab"][key]
        found[name] = checkpoint
    return found


def flat(value):
    """Tensors, and the rest as text: `assert_close` compares no text."""
    if isinstance(value, dict):
        return {str(key): flat(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [flat(part) for part in value]
    return value if isinstance(value, torch.Tensor) else torch.tensor([*repr(value).encode()])


def test_the_generations_are_those_of_the_synchronous_run(tmp_path, monkeypatch):
    """Though each write takes until training has seen the next images."""
    module, _, _ = play(tmp_path / "now", background=False)
    original = storage.Hashed.write

    def slow(hashed, content):
        time.sleep(0.002)
        return original(hashed, content)

    monkeypatch.setattr(storage.Hashed, "write", slow)
    other, _, checkpoints = play(tmp_path / "later")
    torch.testing.assert_close(other.model.state_dict(), module.model.state_dict())
    now, later = everything(tmp_path / "now"), everything(tmp_path / "later")
    assert [now[name]["genlab"]["images_seen"] for name in GENERATIONS[:2]] == [96, 72]
    torch.testing.assert_close(flat(later), flat(now), rtol=0, atol=0)
    assert checkpoints.seconds > 0


def test_the_end_waits_and_no_save_overtakes_another(tmp_path, gate):
    """The gate is shut: the second save, and then the end, stand still until it is opened."""
    seen = []

    class Opens(Checkpoints):
        def wait(self):
            pending = len(self.writer.tasks)
            if pending:
                seen.append(pending)
                threading.Timer(0.05, gate.set).start()
            super().wait()
            if pending:
                assert (newest(self.directory) or [None, None, ["none"]])[2] == []
                gate.clear()

    checkpoints = Opens(background=True)
    module = module_of(Coins(SPEC))
    fit(module, callbacks=[checkpoints], folder=tmp_path, plugins=[AtomicCheckpointIO()])
    assert len(seen) == 4  # three saves waited for the one before, and the end for the last
    assert max(seen) <= 2  # a file, and its link as the best one
    assert checkpoints.writer.tasks == []
    assert read_checkpoint(tmp_path / "last.ckpt")["genlab"]["images_seen"] == 96
    assert checkpoints.seconds >= 0.2


@pytest.mark.parametrize("failing", [1, 4])
def test_a_full_disk_ends_training_with_its_own_error(tmp_path, monkeypatch, failing):
    """At the end of a chunk that follows it, or at the end; the best one stays what it was."""
    number, original = iter(range(1, 100)), storage.store

    def store(path, write, keep=None):
        if next(number) == failing:
            raise OSError(28, "No space left on device", str(path))
        return original(path, write, keep)

    monkeypatch.setattr("genlab.training.saving.checkpoint_io.store", store)
    with pytest.raises(OSError, match="No space") as caught:
        play(tmp_path)
    assert caught.value.filename == str(tmp_path / "last.ckpt")
    images = 24 * (failing - 1)
    found = newest(tmp_path)
    assert (found is None) == (failing == 1)
    if found is not None:
        assert found[1]["genlab"]["images_seen"] == images
        assert read_checkpoint(tmp_path / "best.ckpt")["genlab"]["images_seen"] <= images
    else:
        assert not (tmp_path / "best.ckpt").exists()


def test_an_error_is_raised_at_the_end_of_the_chunk_in_which_it_came(tmp_path, monkeypatch):
    class Lets(pl.Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
            wait(checkpoints.writer.tasks)

    monkeypatch.setattr("genlab.training.saving.checkpoint_io.store", lambda *args: full())
    checkpoints, module = Checkpoints(background=True), module_of()
    callbacks = [Lets(), checkpoints]
    with pytest.raises(OSError, match="No space"):
        fit(module, callbacks=callbacks, folder=tmp_path, plugins=[AtomicCheckpointIO()])
    assert module.images_seen == 36  # saved after 24, and there was a chunk of 12 since


class Broken(Coins):
    """Fails in the middle of training."""

    def loss(self, batch, player="model"):
        if self.images_seen >= 32:
            raise RuntimeError("of the model")
        return super().loss(batch, player)


def test_another_error_is_not_replaced_and_the_disks_is_said(tmp_path, monkeypatch, capsys):
    gate = threading.Event()
    model = Broken(SPEC)

    def store(*args):
        assert gate.wait(20)
        full()

    monkeypatch.setattr("genlab.training.saving.checkpoint_io.store", store)
    checkpoints = Checkpoints(background=True)
    module = module_of(model)
    threading.Timer(0.3, gate.set).start()
    with pytest.raises(RuntimeError, match="of the model"):
        fit(module, callbacks=[checkpoints], folder=tmp_path, plugins=[AtomicCheckpointIO()])
    assert "the last checkpoint could not be written ([Errno 28] No" in capsys.readouterr().err
    assert checkpoints.writer.tasks == []
