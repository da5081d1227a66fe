"""A run's config is composed once, and is what Hydra composes when it is asked twice."""

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import OmegaConf

from genlab.cli.entry import main
from genlab.errors import ConfigError
from genlab.launch.composition import CheckedLoader

LINES = [
    ["data=synthetic", "model=gan", "seed=3"],
    ["experiment=vae_mnist_dyn", "hydra.job.name=x"],
    ["data=synthetic", "hydra.mode=RUN"],
]


@pytest.fixture
def composed(monkeypatch):
    """The config of a run, and how often Hydra composed one; nothing is trained."""
    check, load, seen = CheckedLoader.compose_checked, ConfigLoaderImpl.load_configuration, []

    def stop(self, *args, **kwargs):
        seen.append(OmegaConf.to_yaml(check(self, *args, **kwargs)))
        raise ConfigError("far enough")

    def counted(self, *args, **kwargs):
        seen.append(None)
        return load(self, *args, **kwargs)

    monkeypatch.setattr(CheckedLoader, "compose_checked", stop)
    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", counted)

    def run(words):
        seen.clear()
        assert main(["train", *words]) == 2
        return seen[-1], seen.count(None)

    return run


@pytest.mark.parametrize("words", LINES, ids=" ".join)
def test_it_is_the_same_config(words, composed, monkeypatch):
    once, _ = composed(words)
    monkeypatch.setattr(CheckedLoader, "composed_to_ask", lambda self, *args: None)
    assert composed(words)[0] == once


def test_hydra_composes_once(composed):
    assert composed(["data=synthetic"])[1] == 1


def test_a_choice_that_is_missing_is_left_to_hydra(tmp_path, monkeypatch, capsys):
    """Of a config whose defaults demand one: the mode is asked for without it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf/experiment").mkdir(parents=True)
    (tmp_path / "conf/experiment/open.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /model: ???\n"
    )
    assert main(["train", "--config-dir", "conf", "experiment=open", "data=synthetic"]) == 2
    assert "model" in capsys.readouterr().err
