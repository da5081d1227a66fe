import io
import sys
import time

import pytest
import pytorch_lightning as pl
import torch

from genlab.training import progress_bar as progress
from genlab.training.progress_bar import Progress, duration, fraction_done, key_losses, remaining


class Module(pl.LightningModule):
    """What the progress bar reads; each step sees 100 images."""

    def __init__(self, steps=20, max_images=2000, max_seconds=None, pause=0.0):
        super().__init__()
        self.automatic_optimization = False
        self.images_seen, self.max_images = 0, max_images
        self.seconds, self.max_seconds = 0.0, max_seconds
        self.latest, self.steps, self.pause = {}, steps, pause
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch, index):
        time.sleep(self.pause)
        self.images_seen += 100
        self.latest = {"train/rate": 20.0, "train/loss": 98.7654, "train/distortion": 78.0}

    def validation_step(self, batch, index):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD([self.weight], 0.1)

    def train_dataloader(self):
        return torch.utils.data.DataLoader(range(self.steps), num_workers=0)

    val_dataloader = train_dataloader


@pytest.fixture
def fit():
    def go(module, callback):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("warnings.warn", lambda *a, **k: None)
            trainer = pl.Trainer(
                max_epochs=1,
                accelerator="cpu",
                logger=False,
                enable_checkpointing=False,
                enable_model_summary=False,
                num_sanity_val_steps=0,
                callbacks=[callback],
            )
            trainer.fit(module)

    return go


def test_plain_lines_where_there_is_no_terminal(fit, capsys):
    fit(Module(pause=0.01), Progress(plain_interval=0.05))
    lines = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) <= 6
    assert lines[-1].startswith("train  2,000/2,000 images  ")
    assert lines[-1].endswith("images/s  loss 98.77  rate 20  distortion 78")
    assert " left  loss" in lines[0]
    seen = [line.split()[1] for line in lines]
    assert len(set(seen)) == len(seen)
    rate = float(lines[-1].split(" images/s")[0].split()[-1].replace(",", ""))
    assert 3000 < rate < 10000  # at most 100 images in 10 ms
    assert "\x1b" not in "".join(lines)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_live_line_on_a_terminal(fit, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    fit(Module(pause=0.01), Progress(interval=0.02))
    shown = terminal.getvalue()
    assert "images/s" in shown
    assert "loss 98.77" in shown
    assert "validate" in shown
    assert "━" in shown
    assert shown.endswith("\x1b[2K")  # transient: the line is taken away at the end


def test_nothing_when_disabled(fit, capsys):
    callback = Progress(plain_interval=0.01)
    callback.disable()
    fit(Module(pause=0.01), callback)
    assert capsys.readouterr().err == ""


def test_a_failure_gives_the_terminal_back(fit, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    callback, module = Progress(), Module()
    monkeypatch.setattr(module, "training_step", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fit(module, callback)
    assert callback.live is None
    assert "\x1b[?25h" in terminal.getvalue()  # the cursor is shown again


def test_the_end_that_comes_first_counts():
    module = Module(max_images=1000, max_seconds=60.0)
    module.images_seen, module.seconds = 500, 45.0
    assert remaining(module, rate=10.0) == 15.0
    assert remaining(module, rate=100.0) == 5.0
    assert fraction_done(module) == 0.75
    module.max_images = None
    assert (remaining(module, 10.0), fraction_done(module)) == (15.0, 0.75)
    module.max_seconds = None
    assert (remaining(module, 10.0), fraction_done(module)) == (None, None)
    module.max_images, module.images_seen = 1000, 1100
    assert (remaining(module, 10.0), fraction_done(module)) == (0.0, 1.0)
    assert remaining(module, 0.0) is None


def test_words():
    assert key_losses({}) == ""
    assert key_losses({"train/generator/loss": 1.0, "train/x": 2.0}, count=1) == "generator/loss 1"
    assert [duration(s) for s in (0, 59.6, 3600)] == ["0:00", "1:00", "1:00:00"]


def test_an_update_is_cheap(monkeypatch):
    """Half a percent of a core at two updates a second allows 2.5 ms each."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys, "stderr", Terminal())
    callback, module = Progress(interval=1e-9), Module(max_images=100_000)
    callback.on_train_start(None, module)
    start = time.process_time()
    for _ in range(100):
        module.images_seen += 100
        callback.on_train_batch_end(None, module, None, None, 0)
    assert module.images_seen < module.max_images
    cost = (time.process_time() - start) / 100
    callback.teardown(None, module, "fit")
    assert cost < 0.005  # twice that: the machine may be busy
    assert progress.__all__ == ["Progress"]
