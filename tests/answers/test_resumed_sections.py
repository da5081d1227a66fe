"""A resumed run's sections are its own: what it chose can be changed by key, whatever the defaults
have, and what it does not have is refused."""

import json
import re

import pytest
import yaml

from genlab.config.check import check
from genlab.config.folders import config_dir
from genlab.config.overrides import opened, options
from genlab.config.saved import save_config
from genlab.errors import ConfigError
from genlab.launch.compose import compose
from genlab.launch.resumed import config_and_run

from .tiny import TINY

MAY_CHANGE = ("callbacks", "logger", "trainer")
CHOICES = [
    f"{group}={name}"
    for group in (*MAY_CHANGE, "optimizer", "scheduler", "curriculum", "metrics")
    for name in options([config_dir()], group)
]


def leaves(node, prefix):
    for key, value in node.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}.{key}")
        elif not key.startswith("_"):
            yield f"{prefix}.{key}", value


def written(value):
    return json.dumps(value) if isinstance(value, list | bool | None) else str(value)


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Makes a run of a config that was never trained; gives the config as it was saved."""
    monkeypatch.chdir(tmp_path)

    def make(*words):
        content = check(compose("train", ["data=synthetic", *words])[0], "train").content
        (tmp_path / "runs/r").mkdir(parents=True)
        (tmp_path / "runs/r/run.json").write_text("{}")
        save_config(content, tmp_path / "runs/r/config.yaml")
        return yaml.safe_load((tmp_path / "runs/r/config.yaml").read_text())

    return make


def resumed(*words):
    """The config of the run r as it is resumed with these words."""
    words = ["run=r", *words]
    own, run = config_and_run(compose("train", words)[0], opened(words, "train"))
    assert run is not None
    return check(own, "train").content


@pytest.mark.parametrize("choice", CHOICES)
def test_every_key_that_a_run_has_chosen_is_known_when_it_is_resumed(made, choice):
    group = choice.partition("=")[0]
    saved = made(choice)
    keys = dict(leaves(saved[group] or {}, group))
    if group in MAY_CHANGE:
        own = resumed(*(f"{key}={written(value)}" for key, value in keys.items()))
        assert {**own, "run": None} == saved
        return
    for key, value in keys.items():
        with pytest.raises(
            ConfigError, match=rf"{re.escape(key)}: a resumed run keeps its {group}"
        ):
            resumed(f"{key}={written(value)}")


def test_a_mapping_changes_the_runs_own_section_and_not_the_defaults(made):
    made("callbacks.samples.n=7", "callbacks.samples.every=3 epochs")
    samples = resumed("callbacks.samples={every: 5}")["callbacks"]["samples"]
    assert (samples["every"], samples["n"]) == (5, 7)


def test_what_a_value_refers_to_is_the_runs_own(made):
    made("trainer.max_images=77", "name=mine")
    own = resumed("callbacks.samples.every=${trainer.max_images}", "notes=of ${name}")
    assert own["callbacks"]["samples"]["every"] == 77
    assert own["notes"] == "of mine"


def test_a_callback_is_taken_away_or_added(made):
    made("callbacks=early_stopping", "model=vae_mlp")
    assert resumed("~callbacks.early_stopping")["callbacks"]["early_stopping"] is None
    target = "genlab.training.health.Health"
    more = resumed(f"+callbacks.more={{_target_: {target}}}")["callbacks"]
    assert more["more"] == {"_target_": target}
    assert "early_stopping" in more


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("callbacks.early_stoping.patience=9", "r has no callbacks.early_stoping; did you mean 'e"),
        ("callbacks.samples.n=4", "r has no callbacks.samples; it has checkpoints, early_stopping"),
        ("~callbacks.samples", "r has no callbacks.samples; it has"),
        ("logger.wandb.mode=offline", "r has no logger.wandb; it has csv"),
        ("callbacks.early_stopping.patienc=9", "unknown key 'patienc'; did you mean 'patience'"),
        ("trainer.epoch=9", "unknown key 'epoch'; did you mean 'epochs'"),
        ("data.workersx=1", "unknown key 'workersx'; did you mean 'workers'"),
        ("trainr.epochs=9", "unknown key 'trainr'; did you mean 'trainer'"),
        ("optimizer.generator.lr=1", "a resumed run keeps its optimizer"),
        ("callbacks.checkpoints.monitor=val/bpd", "a resumed run keeps it, auto: its best was"),
        ("callbacks.checkpoints={mode: max}", "a resumed run keeps it, min: its best was chosen"),
        ("logger=wandb logger.wandb.mod=x", "unknown key 'mod'; did you mean 'mode'"),
    ],
)
def test_what_the_run_does_not_have_is_refused(genlab, made, words, said):
    made("callbacks=none", "logger=csv", "+callbacks.early_stopping={_target_: "
         "pytorch_lightning.callbacks.EarlyStopping, monitor: val/loss, patience: 5}")  # fmt: skip
    code, _, err = genlab("train", "run=r", *re.split(r" (?=\w+[=.])", words))
    assert code == 2, err
    assert said in err
    assert len(err.splitlines()) == 1


def test_a_logger_that_is_chosen_anew_has_its_own_keys(made):
    made("logger=csv")
    logger = resumed("logger=tensorboard", "logger.tensorboard.hparams=false")["logger"]
    assert list(logger) == ["tensorboard"]
    assert logger["tensorboard"]["hparams"] is False


def test_a_run_that_stopped_early_goes_on_with_more_patience(genlab, tmp_path):
    words = [word for word in TINY if not word.startswith("trainer.max_images")]
    stop = ["callbacks=early_stopping", "callbacks.early_stopping.patience=1", "name=r"]
    stop += ["callbacks.early_stopping.min_delta=1e9", "trainer.validate_every=32"]
    code, out, err = genlab("train", *words, *stop, "trainer.max_images=640")
    assert code == 0, err
    assert "stopped early, after 64 images: Monitored metric val/loss did not improve" in out
    run = tmp_path / "runs/r/run.json"
    before = json.loads(run.read_text())["images_seen"]
    assert before == 64
    code, out, err = genlab("train", "run=r", "callbacks.early_stopping.patience=99")
    assert code == 0, err
    assert "stopped early" not in out
    assert json.loads(run.read_text())["images_seen"] == 640
