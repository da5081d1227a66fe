"""A part of another run, ``model.autoencoder=run:NAME``, in a model of the user's own."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
import yaml
from faults.test_resume_matrix import cut
from faults.tiny import same, state, words

from genlab.cli.entry import main
from genlab.config.check import trust_modules
from genlab.experiment.exported import import_model
from genlab.experiment.trained import load_run
from genlab.runs.directory import Run
from genlab.training.saving.checkpoint_io import read_checkpoint

MODEL = '''
"""A Gaussian over the codes of a frozen autoencoder."""

from typing import Annotated

import torch
from torch import nn

from genlab.models.base import GenerativeModel
from genlab.models.vae import VAE
from genlab.types import Loss


class Gaussian(GenerativeModel):
    def __init__(
        self,
        spec,
        autoencoder: Annotated[GenerativeModel, "same data"],
        critic: VAE | None = None,
        untold=None,
        label: str = "",
        codes: int = 4,
    ):
        super().__init__(spec)
        self.autoencoder = autoencoder
        self.critic = critic
        self.mean = nn.Parameter(torch.zeros(codes))
        self.log_std = nn.Parameter(torch.randn(codes))

    def loss(self, batch, player="model"):
        assert not self.autoencoder.training
        with torch.no_grad():
            z = self.autoencoder.encode(batch)
        z = z + 0.01 * torch.randn_like(z)
        score = ((z - self.mean) / self.log_std.exp()).square() / 2 + self.log_std
        return Loss(score.sum(-1).mean(), {})

    def encode(self, batch):
        return self.autoencoder.encode(batch)

    def decode(self, z, y=None):
        return self.autoencoder.decode(z)

    def draw(self, n, y, generator, options):
        noise = torch.randn(n, len(self.mean), generator=generator)
        return self.autoencoder.decode(self.mean + noise * self.log_std.exp())


class Forgetful(Gaussian):
    def __init__(self, spec, autoencoder: GenerativeModel, codes: int = 4):
        super().__init__(spec, autoencoder, codes=codes)
        self.autoencoder = None
        self.hidden = [autoencoder]
'''
CONFIG = "# {0}.\n_target_: codes_of.{0}\nautoencoder: ???\n"
OWN = ("--config-dir", "mine", "trust=[codes_of]")


def latent(*changes, part="ae"):
    """What trains a model of the codes of another run."""
    chosen = [word for word in words() if not word.startswith("model")]
    keys = {change.split("=", 1)[0] for change in changes}
    chosen = [word for word in chosen if word.split("=", 1)[0] not in keys]
    named = [f"model.autoencoder=run:{part}"] if part else []
    model = [] if "model" in keys else ["model=gaussian"]
    return [*OWN, *chosen, *model, *named, *changes]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with the model, two runs of autoencoders, one of a GAN, and one over the first."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "codes_of.py").write_text(MODEL)
    (folder / "mine/model").mkdir(parents=True)
    for name in ("Gaussian", "Forgetful"):
        text = CONFIG.format(name) + ("critic: null\nuntold: null\n" * (name == "Gaussian"))
        (folder / f"mine/model/{name.lower()}.yaml").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", [str(folder), *sys.path])
        for line in (
            words("vae_mlp", "name=ae", "trainer.epochs=2"),
            words("vae_mlp", "name=wide", "trainer.epochs=1", "data.size=12"),
            words("gan_mlp", "name=gan", "trainer.epochs=1"),
            latent("name=whole"),
        ):
            assert main(["train", *line]) == 0
        yield folder
    trust_modules([])


@pytest.fixture
def runs(made, genlab, tmp_path):
    """The runs of a copy of the folder, in which the commands run."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path / "runs"


def part_of(run):
    return read_checkpoint(run / "checkpoints" / "best.ckpt")["genlab"]["ema"]


def test_the_part_is_the_other_runs_model_and_stays_as_it_is(runs):
    checkpoint = read_checkpoint(runs / "whole" / "checkpoints" / "last.ckpt")
    theirs = part_of(runs / "ae")
    for weights in (checkpoint["genlab"]["ema"], checkpoint["state_dict"]):
        prefix = "autoencoder." if "mean" in weights else "model.autoencoder."
        mine = {n.removeprefix(prefix): t for n, t in weights.items() if n.startswith(prefix)}
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)
    # It is no player's: the optimizer has the moments of two parameters, and the average shares it.
    assert len(checkpoint["optimizer_states"][0]["state"]) == 2
    key = next(name for name in theirs if name.endswith("weight"))
    average = checkpoint["genlab"]["ema"][f"autoencoder.{key}"]
    raw = checkpoint["state_dict"][f"model.autoencoder.{key}"]
    assert average.data_ptr() == raw.data_ptr()


def test_what_was_found_is_recorded(runs, genlab):
    summary = json.loads((runs / "ae" / "summary.json").read_text())
    digest = (runs / "ae" / "checkpoints" / "best.ckpt.sha256").read_text().split()[0]
    told = {
        "run": "ae",
        "checkpoint": "best",
        "sha256": digest,
        "images_seen": summary["best_images"],
        "weights": "ema",
    }
    assert json.loads((runs / "whole" / "run.json").read_text())["parts"] == {"autoencoder": told}
    config = yaml.safe_load((runs / "whole" / "config.yaml").read_text())
    theirs = yaml.safe_load((runs / "ae" / "config.yaml").read_text())
    record = config["parts"]["autoencoder"]
    assert told.items() <= record.items()
    assert {k: record[k] for k in ("model", "data", "seed")} == {
        k: theirs[k] for k in ("model", "data", "seed")
    }
    # However it was typed, it is one setting.
    for i, part in enumerate((str(runs / "ae"), "runs/ae", "last")):
        if part == "last":
            shutil.rmtree(runs / "whole")
            for name in ("wide", "gan", "typed0", "typed1"):
                shutil.rmtree(runs / name)
        code, out, err = genlab("train", *latent(f"name=typed{i}", "trainer.epochs=1", part=part))
        assert code == 0, err
        assert "autoencoder: VAE of ae, its best checkpoint at " in out
        found = yaml.safe_load((runs / f"typed{i}" / "config.yaml").read_text())
        assert found["model"]["autoencoder"] == "run:ae"
        assert found["parts"] == config["parts"]


def test_the_run_is_used_where_the_other_one_is_gone(runs, genlab):
    before = load_run(Run(runs / "whole")).model.sample(4, generator=torch.manual_seed(0))
    shutil.rmtree(runs / "ae")
    trust = "trust=[codes_of]"
    few = ("metrics.extractors=[pixels]", "metrics.metrics=[frechet]", "metrics.n_samples=100")
    for line in (
        ["sample", "run=whole", "n=4", trust],
        ["evaluate", "run=whole", *few, trust],
        ["export", "run=whole", "out=exported", trust],
    ):
        code, _, err = genlab(*line)
        assert code == 0, err
    assert set(before.flatten().tolist()) <= {0, 1, 2, 3}
    for model in (import_model(Path("exported")), load_run(Run(runs / "whole")).model):
        assert torch.equal(model.sample(4, generator=torch.manual_seed(0)), before)
        assert model.autoencoder.images_seen == 128


@pytest.mark.parametrize("where", ["mid-epoch", "after validation"])
def test_a_run_that_was_cut_is_the_undisturbed_one(runs, genlab, where):
    with pytest.MonkeyPatch.context() as patch:
        cut(patch, where)
        code, _, err = genlab("train", *latent("name=cut"))
    assert code == (1 if where == "after validation" else 143), err
    code, _, err = genlab("train", "run=cut", "trust=[codes_of]")
    assert code == 0, err
    same(state(runs / "cut"), state(runs / "whole"))


def test_a_resumed_run_wants_the_same_part(runs, genlab):
    resume = ("train", "run=whole", "trainer.epochs=4", "trust=[codes_of]")
    checkpoints = runs / "ae" / "checkpoints"
    for name in ("best.ckpt", "best.ckpt.sha256"):
        shutil.copy(checkpoints / name, runs / name)
    for name in ("best.ckpt", "best.ckpt.sha256"):
        shutil.copy(runs / "wide" / "checkpoints" / name, checkpoints / name)
    code, _, err = genlab(*resume)
    assert code == 2
    assert err.count("\n") == 1
    assert "model.autoencoder=run:ae: " in err
    assert "best.ckpt is not the one that this run was trained with (SHA-256 " in err
    (checkpoints / "best.ckpt").unlink()
    code, _, err = genlab(*resume)
    assert (code, err.count("\n")) == (2, 1)
    assert "best.ckpt cannot be read (No such file or directory)" in err
    (runs / "ae").rename(runs / "gone")
    code, _, err = genlab(*resume)
    assert (code, err.count("\n")) == (2, 1)
    assert "model.autoencoder=run:ae: run=ae does not exist" in err
    (runs / "gone").rename(runs / "ae")
    for name in ("best.ckpt", "best.ckpt.sha256"):
        shutil.copy(runs / name, checkpoints / name)
    code, _, err = genlab(*resume)
    assert code == 0, err


@pytest.mark.parametrize(
    ("changes", "part", "line"),
    [
        ([], "", "model.autoencoder: no value; give one with model.autoencoder=run:NAME"),
        ([], "aee", "model.autoencoder=run:aee: run=aee does not exist; did you mean 'ae'?"),
        (["model.critic=run:gan"], "ae", "model.critic=run:gan: is a GAN, and a VAE is needed"),
        ([], "wide", "model.autoencoder=run:wide: models ImageSpec("),
        (["model.untold=run:ae"], "ae", "model.untold=run:ae: Gaussian takes models of other runs "
         "as model.autoencoder, model.critic; an argument of the model's that is annotated as a "
         "GenerativeModel takes one"),
        (["+model.codes=run:ae"], "ae", "model.codes=run:ae: an integer is needed"),
        (["optimizer.lr=run:ae"], "ae", "optimizer.lr=run:ae: a number > 0 is needed"),
        (["model.autoencoder=ae"], "", "model.autoencoder=ae: a GenerativeModel (run:NAME, the "
         "trained one of another run, or a section with its _target_) is needed"),
        (["parts={autoencoder: {run: ae}}"], "ae", "parts: is written by the program"),
        (["model=forgetful"], "ae", "model.autoencoder: Forgetful keeps it as no submodule"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line_before_anything_is_written(
    runs, genlab, changes, part, line
):
    code, _, err = genlab("train", *latent("name=new", *changes, part=part))
    assert code == 2, err
    assert line in err
    assert err.count("\n") == 1
    assert not (runs / "new").exists()


@pytest.mark.parametrize("command", ["sample", "train"])
def test_a_record_that_is_damaged_is_one_line(runs, genlab, command):
    file = runs / "whole" / "config.yaml"
    config = yaml.safe_load(file.read_text())
    for change, line in (
        ({"autoencoder": {"run": "ae"}}, "config.yaml: parts.autoencoder lacks checkpoint, sha256"),
        (3, "parts=3: a mapping"),
    ):
        file.write_text(yaml.safe_dump(config | {"parts": change}))
        code, _, err = genlab(command, "run=whole", "trust=[codes_of]")
        assert (code, err.count("\n")) == (2, 1)
        assert line in err
    record = config["parts"]["autoencoder"] | {"model": {"_target_": "os.system", "command": "ls"}}
    file.write_text(yaml.safe_dump(config | {"parts": {"autoencoder": record}}))
    code, _, err = genlab(command, "run=whole", "trust=[codes_of]")
    assert code == 2
    assert "parts.autoencoder.model._target_=os.system: " in err


def test_text_goes_on_being_text(runs, genlab):
    line = latent("name=new", "+model.label=run:it", "trainer.epochs=1", "notes='run: on'")
    code, _, err = genlab("train", *line)
    assert code == 0, err


def test_a_start_from_another_run_keeps_the_part(runs, genlab):
    code, _, err = genlab("train", *words("vae_mlp", "name=other", "trainer.epochs=1", "seed=5"))
    assert code == 0, err
    line = latent("name=new", "trainer.epochs=1", "init_from=whole", part="other")
    code, out, err = genlab("train", *line)
    assert code == 0, err
    assert "2 tensors loaded" in out
    weights = part_of(runs / "new")
    for name, theirs in part_of(runs / "other").items():
        assert torch.equal(weights[f"autoencoder.{name}"], theirs)


def test_a_part_may_have_a_part(runs, genlab):
    code, _, err = genlab("train", *latent("name=second", "trainer.epochs=1", part="whole"))
    assert code == 0, err
    for name in ("ae", "whole"):
        shutil.rmtree(runs / name)
    code, _, err = genlab("sample", "run=second", "n=4", "trust=[codes_of]")
    assert code == 0, err
    weights = part_of(runs / "second")
    assert any(name.startswith("autoencoder.autoencoder.") for name in weights)


def test_without_a_best_checkpoint_it_is_the_last(runs, genlab):
    checkpoints = runs / "ae" / "checkpoints"
    (checkpoints / "best.ckpt").unlink()
    code, out, err = genlab("train", *latent("name=new", "trainer.epochs=1"))
    assert code == 0, err
    assert "autoencoder: VAE of ae, its last checkpoint at 128 images, frozen" in out
    (checkpoints / "last.ckpt").write_bytes(b"damaged")
    code, _, err = genlab("train", *latent("name=newer", "trainer.epochs=1"))
    assert code == 2
    assert f"model.autoencoder=run:ae: {checkpoints / 'last.ckpt'} is damaged" in err
    assert not (runs / "newer").exists()


def test_a_sweep_finds_a_wrong_name_before_its_first_job(runs, genlab):
    line = latent("trainer.epochs=1", part="ae,run:nothing")
    code, _, err = genlab("train", "-m", *line)
    assert code == 2
    assert "model.autoencoder=run:nothing" in err
