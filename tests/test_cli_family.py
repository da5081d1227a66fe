"""A family of the user's own: one .py and one YAML in a folder, and no other edit."""

import json

import pytest

FAMILY = '''
import torch
from torch import nn

from genlab.models.base import GenerativeModel
from genlab.ranges import PositiveFloat
from genlab.types import Loss


class Pixels(GenerativeModel):
    """Each sub-pixel has a distribution of its own."""

    likelihood = "exact"

    def __init__(self, spec, scale: PositiveFloat = 1.0):
        super().__init__(spec)
        self.scale = scale
        self.logits = nn.Parameter(torch.zeros(*spec.shape, spec.levels))

    def log_prob(self, batch, *, samples=1, generator=None):
        logits = (self.scale * self.logits).log_softmax(-1).expand(len(batch.x), -1, -1, -1, -1)
        return logits.gather(-1, batch.x.long().unsqueeze(-1)).flatten(1).sum(1)

    def loss(self, batch, player="model"):
        nll = -self.log_prob(batch).mean()
        return Loss(nll, {"nll": nll.detach()})

    def draw(self, n, y, generator, options):
        p = (self.scale * self.logits / options.temperature).softmax(-1).flatten(0, -2)
        x = torch.multinomial(p, n, replacement=True, generator=generator)
        return x.T.reshape(n, *self.spec.shape).to(torch.uint8)
'''


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mine/model").mkdir(parents=True)
    (tmp_path / "mine/pixels.py").write_text(FAMILY)
    (tmp_path / "mine/model/pixels.yaml").write_text(
        "# Every sub-pixel on its own.\n_target_: mine.pixels.Pixels\nscale: 1.0\n"
    )
    return tmp_path


@pytest.fixture
def genlab(warm, folder):
    """Runs a command in the folder; returns what it prints."""

    def run(*words):
        done = warm.run("-m", "genlab", *words, cwd=folder)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_it_is_listed_like_any_other(folder, genlab):
    listed = json.loads(genlab("list", "models", "--config-dir", "mine", "--json"))
    (mine,) = [entry for entry in listed if entry["name"] == "pixels"]
    assert mine["family"] == {
        "likelihood": "exact",
        "players": ["model"],
        "capabilities": ["log_prob"],
        "accepts": ["image"],
        "conditions": [],
        "sampling": ["temperature"],
    }


def test_it_trains_is_measured_and_drawn_from(folder, genlab):
    tiny = ["data=synthetic", "debug=fast", "trainer.progress=false", "logger=none"]
    own = ["--config-dir", "mine", "model=pixels", "trust=[mine]"]
    genlab("train", *own, *tiny, "name=first", "optimizer.lr=0.1")
    metrics = json.loads((folder / "runs/first/summary.json").read_text())["metrics"]
    assert metrics["bpd_exact"] < 8.0  # of 256 levels, untrained
    genlab("sample", "run=first", "trust=[mine]", "n=4", "out=grid.png")
    assert (folder / "grid.png").read_bytes().startswith(b"\x89PNG")
