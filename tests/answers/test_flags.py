"""Flags and overrides that Hydra answers with an error of its own, or silently otherwise."""

import re

import pytest
from omegaconf import OmegaConf

from genlab.errors import nearest

from .tiny import TINY


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("train ~callbacks", ["~callbacks", "callbacks=none"]),
        ("train ~logger", ["logger=none"]),
        ("train ~ema", ["~ema", "ema.enabled=false"]),
        ("train ~guard", ["guard.action=warn"]),
        ("train ~closing", ["metrics=none"]),
        ("train ~trainer", ["cannot be taken away"]),
        ("train ~model", ["model: no value"]),
        ("train ~seed", ["seed: no value"]),
        ("evaluate run=r data.limit=100", ["no data is chosen", "data=NAME"]),
        ("evaluate images=.", ["data=mnist"]),
        ("sample run=r task=[1,2]", ["task=[1,2]", "chosen by a name", "interpolate"]),
        ("train model={a:1}", ["model is chosen by a name"]),
        ("train trainer.precision=64-true", ["trainer.precision", "32-true", "bf16-mixed"]),
        ("train trainer.precision=bf16-true", ["trainer.precision", "bf16-mixed"]),
        ("train curriculum=[1,2]", ["curriculum is chosen by a name"]),
        ("train --run -m", ["--run and --multirun", "one at a time"]),
        ("train --cfg job --info config", ["--cfg and --info"]),
        ("train --resolve", ["--resolve", "--cfg job"]),
        ("train -p model", ["--package", "--cfg job"]),
        ("train -cn other", ["--config-name", "--config-dir"]),
        ("train -cp /tmp", ["--config-path", "--config-dir"]),
        ("train --shell-completion", ["genlab completion"]),
        ("train -m model=glob(*) --cfg job", ["glob", "name the values"]),
        ("train -m seed=range(0) --cfg job", ["empty"]),
    ],
)
def test_it_is_one_line_with_what_to_type(genlab, tmp_path, words, parts):
    code, out, err = genlab(*words.split())
    assert code == 2, out
    assert out == ""
    assert len(err.splitlines()) == 1
    for part in parts:
        assert part in err
    for word in ("not in struct", "should not happen", "full_key", "subcommand"):
        assert word not in err
    assert list(tmp_path.iterdir()) == []


def test_what_may_be_taken_away_may_be_taken_away(genlab):
    for words in (["~experiment"], ["~callbacks.health"], ["~debug", "~sweep"]):
        code, out, err = genlab("train", *words, "--cfg", "job")
        assert code == 0, err
    assert "experiment" not in out


def test_a_sweep_is_shown_by_its_first_job(genlab, tmp_path):
    words = ["-m", "model=vae_mlp,gan", "seed=3,4,5", "data=synthetic"]
    code, out, err = genlab("train", *words, "--cfg", "job")
    assert (code, err) == (0, "")
    line, _, config = out.partition("\n")
    assert line.startswith("#")
    assert re.search(r"varies model=vae_mlp,gan seed=3,4,5 \(6 combinations\)", line)
    shown = OmegaConf.create(config)  # a comment and YAML
    assert (shown.seed, shown.model._target_) == (3, "genlab.models.vae.VAE")
    code, out, err = genlab("train", *words, "--info", "defaults-tree")
    assert (code, err) == (0, "")
    code, out, _ = genlab("train", "-m", "optimizer.lr=interval(0.1,1)", "--cfg", "job")
    assert "lr: 0.1" in out
    code, out, _ = genlab("train", "-m", "seed=7", "--cfg", "job", "-p", "seed")
    assert (code, out.splitlines()[-1]) == (0, "7")
    assert list(tmp_path.iterdir()) == []


def test_help_and_version_of_a_command(genlab):
    code, out, err = genlab("train", "--hydra-help")
    assert (code, "Hydra" in out) == (0, True), err
    code, out, _ = genlab("train", "--version")
    assert (code, out.startswith("genlab ")) == (0, True)


def test_a_hint_is_never_the_word_itself(genlab):
    assert nearest("latent", ["latent"]) == ""
    assert nearest("latent", ["latent", "latents"]) == "; did you mean 'latents'?"
    code, _, err = genlab("train", *TINY, "name=r")
    assert code == 0, err
    code, _, err = genlab("sample", "run=elsewhere/r")
    assert "did you mean 'r'?" in err
    code, _, err = genlab("sample", "run=r", "root=nowhere")
    assert (code, "did you mean" in err) == (2, False)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("callbacks.evaluation.every=0", "callbacks.evaluation.every=0: a number of images >= 1"),
        ("callbacks.samples.every=often", "callbacks.samples.every=often: a number of images >="),
        ("trainer.validate_every=0 epoch", "trainer.validate_every=0 epoch: a number of images"),
        ("trainer.log_every=x", "trainer.log_every=x: a number of images >= 1, or 'N epochs'"),
        ("trainer.max_time=soon", "trainer.max_time=soon: seconds > 0, or a time such as 90s"),
    ],
)
def test_an_interval_is_read_before_a_sweep_begins(genlab, tmp_path, word, said):
    words = [tiny for tiny in TINY if tiny.partition("=")[0] != word.partition("=")[0]]
    code, _, err = genlab("train", *words, word, "seed=1,2", "-m")
    assert code == 2, err
    assert said in err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("channels", [2, 4])
def test_images_that_no_picture_shows_are_refused_before_training(genlab, tmp_path, channels):
    code, _, err = genlab("train", *TINY, f"data.channels={channels}")
    assert code == 2, err
    assert f"data: images of {channels} channels have no picture" in err
    assert not (tmp_path / "runs").exists()
