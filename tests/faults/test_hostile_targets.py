"""Configs from elsewhere run nothing, by whichever way they come in.

The probes and the ways by the command line, a folder of configs, Hydra's own section and logging
are those of `test_config_hostile`; here are the files of a run and of a sweep, and the wrappings.
"""

import shutil
from pathlib import Path

import pytest
import yaml
from hydra.utils import instantiate
from omegaconf import OmegaConf
from test_config_hostile import PROBES, T, in_grammar, lab, write

from genlab.cli import entry as cli
from genlab.config.check import check, trust_modules
from genlab.errors import ConfigError

from .probes import commands, contents, train_in

__all__ = ["lab"]

MKDIR = {T: "os.mkdir", "path": "M_wrapped"}


def wrapped(probe):
    """A probe in the forms that a config can give it."""
    return {
        "partial": {**probe, "_partial_": True},
        "converted": {**probe, "_convert_": "all"},
        "not recursive": {"x": {**probe, "_recursive_": False}},
        "in lists": [[{"a": [probe]}]],
        "as an argument": {T: "genlab.models.vae.VAE", "latent": probe},
        "by position": {T: "genlab.models.vae.VAE", "_args_": [probe]},
        "in functools.partial": {T: "functools.partial", "_args_": [probe]},
        "in a dictionary": {T: "builtins.dict", "a": probe},
        "in a call": {T: "hydra.utils.call", "config": probe},
        "in instantiate": {T: "hydra.utils.instantiate", "config": probe},
        "in an optimizer": {T: "torch.optim.Adam", "lr": probe},
        "in a logger": {T: "pytorch_lightning.loggers.CSVLogger", "save_dir": probe},
    }


RESOLVED = {
    "environment": "{_target_: '${oc.env:DOOR}', path: M1}",
    "sibling": "{door: os.mkdir, _target_: '${.door}', path: M1}",
    "joined": "{a: os, b: mkdir, _target_: '${.a}.${.b}', path: M1}",
    "created": "'${oc.create:{_target_: os.mkdir, path: M1}}'",
    "decoded": "'${oc.decode:\"{_target_: os.mkdir, path: M1}\"}'",
    "decoded target": "{_target_: '${oc.decode:os.mkdir}', path: M1}",
    "selected": "{d: {x: os.mkdir}, _target_: '${oc.select:callbacks.x.d.x}', path: M1}",
    "values": "{d: {x: os.mkdir}, _target_: '${oc.dict.values:callbacks.x.d}', path: M1}",
    "hydra": "{_target_: '${hydra:job.name}', path: M1}",
    "deprecated": "{d: os.mkdir, _target_: '${oc.deprecated:callbacks.x.d}', path: M1}",
    "node": "'${callbacks.y}'",
}
"""Sections that name what they name only when they are resolved."""

NAMES = [
    "os:mkdir",
    "os.mkdir ",
    " os.mkdir",
    "os..mkdir",
    "os.mkdir.",
    "OS.mkdir",
    "ｏｓ.mkdir",  # noqa: RUF001 - Python reads it as os
    "./os/mkdir",
    "os.mkdir()",
    "lambda: 0",
    "genlab.models.vae.VAE.__init__.__globals__",
    "genlab.data.hf.importlib.import_module",
    "genlab.data.images.shutil.rmtree",
    "genlab.metrics.extractors.weights_files.os.remove",
    "genlab.training.checkpoints.torch.load",
    "genlab.training.checkpoints.os.remove",
    "genlab.training.saving.checkpoint_io.torch.load",
    "genlab.training.saving.checkpoint_io.os.environ.clear",
    "genlab.runs.storage.store",
    "genlab.data.cifar10.unpickle",
    "genlab.commands.export.run",
    "genlab.cli.entry.main",
    "genlab.launch.hydra_app.run",
    "torch.optim.Adam.__init__",
    "torch.optim.adam.torch.load",
    "torch.optim.lr_scheduler.LambdaLR",
    "pytorch_lightning.Trainer",
    "pytorch_lightning.callbacks.LambdaCallback",
    "pytorch_lightning.callbacks.Callback",
    "pytorch_lightning.loggers.logger.Logger",
    "hydra.utils.get_method",
    "hydra.utils.get_class",
    "hydra.utils.get_object",
    "omegaconf.OmegaConf.register_new_resolver",
    "importlib.import_module",
    "builtins.compile",
    "code.interact",
    "ctypes.CDLL",
    "webbrowser.open",
    "",
    "os",
    True,
    3,
    None,
    ["os.mkdir"],
    {"a": "os.mkdir"},
]
"""Other names of what may not be named."""


def test_the_count():
    assert len(PROBES) >= 46
    assert len(PROBES) + len(wrapped(MKDIR)) + len(RESOLVED) + len(NAMES) >= 110


@pytest.mark.parametrize("form", wrapped(MKDIR))
def test_every_probe_in_every_wrapping(lab, form):
    for name, probe in PROBES.items():
        cfg = OmegaConf.create({"callbacks": {"x": wrapped(probe)[form]}})
        with pytest.raises(ConfigError) as caught:
            check(cfg)
        assert f"_target_={probe[T]}" in str(caught.value), name


@pytest.mark.parametrize("form", RESOLVED)
def test_what_is_named_only_when_resolved(lab, form):
    text = f"callbacks:\n  x: {RESOLVED[form]}\n  y: {{_target_: os.mkdir, path: M1}}\n"
    cfg = OmegaConf.create(yaml.safe_load(text))
    with pytest.raises(ConfigError, match=r"callbacks\.x\b.*\n?.*_target_|callbacks\.x\._target_="):
        check(cfg)
    folder = Path("evil/callbacks")
    folder.mkdir(parents=True)
    inner = yaml.safe_load(text)["callbacks"]
    (folder / "evil.yaml").write_text(yaml.safe_dump(inner))
    if form in ("environment", "created"):  # the same check, so two will do
        assert cli.main(["train", "--config-dir", "evil", "callbacks=evil"]) == 2


@pytest.mark.parametrize("target", NAMES, ids=str)
def test_other_names(target):
    with pytest.raises(ConfigError, match="_target_="):
        check(OmegaConf.create({"model": {T: target, "path": "M"}}))


def test_from_a_sweep_file(lab, capsys):
    params = {f"+callbacks.p{i}": in_grammar(probe) for i, probe in enumerate(PROBES.values())}
    write("sweep/evil.yaml", {"hydra": {"mode": "MULTIRUN", "sweeper": {"params": params}}})
    assert cli.main(["train", "--debug", "--config-dir", "evil", "-m", "sweep=evil"]) == 2
    err = capsys.readouterr().err
    for i, probe in enumerate(PROBES.values()):
        assert f"callbacks.p{i}._target_={probe[T]}" in err


def test_packages_are_not_searched_for_configs(lab, capsys):
    """To look into a package is to import it."""
    Path("evil").mkdir()
    Path("evil/primary.yaml").write_text(
        "defaults: [_self_, {model: vae}]\nhydra: {searchpath: ['pkg://planted']}\n"
    )
    for words in (
        ["hydra.searchpath=[pkg://planted]"],
        ["hydra.searchpath=[pkg://planted.conf]", "--cfg", "job"],
        ["--info", "searchpath", "hydra.searchpath=[pkg://planted]"],
    ):
        assert cli.main(["train", *words]) == 2
        assert "configs are not looked for in packages" in capsys.readouterr().err
    named = ["--config-dir", "evil", "--config-name", "primary"]
    assert cli.main(["train", *named, "--cfg", "job"]) == 2
    assert "--config-name" in capsys.readouterr().err


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return train_in(tmp_path_factory.mktemp("original"), "model=vae_mlp", "model.hidden=16")


VERBS = {
    "resume": ["train", "run=tiny", "trainer.epochs=3"],
    "init_from": ["train", "data=synthetic", "logger=none", "init_from=tiny"],
    "sample": ["sample", "run=tiny"],
    "reconstruct": ["reconstruct", "run=tiny"],
    "evaluate": ["evaluate", "run=tiny"],
    "export": ["export", "run=tiny"],
    "export trusting": ["export", "run=tiny", "trust=[mine]"],
}


@pytest.mark.parametrize(
    "place",
    [
        "model",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("data", "callbacks", "logger", "metrics", "optimizer")
        ),
    ],
)
def test_from_the_config_of_a_run(original, tmp_path, monkeypatch, capsys, place):
    """What is built of a run's own config is checked first, as is what is not."""
    run = commands(tmp_path / "cwd", monkeypatch, capsys)
    shutil.copytree(original, Path("runs", "tiny"))
    file = Path("runs", "tiny", "config.yaml")
    content = yaml.safe_load(file.read_text())
    section = {**MKDIR, "path": str(tmp_path / "M")}
    content[place] = section if place in ("model", "data", "optimizer") else {"x": section}
    content["trust"] = ["os", "mine"]
    file.write_text(yaml.safe_dump(content))
    before = contents(".")
    for verb, words in VERBS.items():
        code, out, err = run(*words)
        assert code == 2, (verb, out, err)
        assert "_target_=os.mkdir" in err, (verb, err)
        assert len(err.splitlines()) <= 5
    run("compare", "runs")
    assert not (tmp_path / "M").exists()
    assert contents(".") == before


def test_the_users_own_module_is_allowed_by_naming_it(lab):
    Path("evilmine.py").write_text("def make():\n    return 1\nclass Net: ...\n")

    def said(target):
        with pytest.raises(ConfigError) as caught:
            check(OmegaConf.create({"callbacks": {"x": {T: target}}}))
        return str(caught.value)

    trust_modules([])
    assert "add trust=[evilmine] to the command line" in said("evilmine.Net")
    trust_modules(["evilmine"])
    try:
        assert "_target_" not in said("evilmine.Net")  # what is wrong still is what is missing
        assert "_target_=evilmine.os" in said("evilmine.os")
        for probe in PROBES.values():
            assert f"_target_={probe[T]}" in said(probe[T])
    finally:
        trust_modules([])


def test_the_wrappings_bite_where_nothing_is_checked(tmp_path, monkeypatch):
    """The control: what is refused above would run."""
    monkeypatch.chdir(tmp_path)
    bitten = 0
    for form in ("converted", "not recursive", "in lists", "in a dictionary"):
        section = wrapped({T: "os.mkdir", "path": f"M_{bitten}"})[form]
        instantiate(OmegaConf.create(section))
        assert Path(f"M_{bitten}").is_dir(), form
        bitten += 1
    assert bitten == 4
