"""The check of a config: every kind of wrong value, name and argument, at once, before torch."""

import ast
import subprocess
import sys
from pathlib import Path

import hydra
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from packaging.version import Version

from genlab.config.allowlist import refusal
from genlab.config.annotations import problems, value_type_of
from genlab.config.check import check
from genlab.config.folders import config_dir
from genlab.config.saved import load_config, save_config
from genlab.config.source import load
from genlab.errors import ConfigError, DataError

VERSION = {} if Version(hydra.__version__) >= Version("1.4.0rc1") else {"version_base": "1.3"}


@pytest.fixture(scope="module")
def composed():
    with initialize_config_dir(str(config_dir()), **VERSION):
        return compose("train")


@pytest.fixture
def cfg(composed):
    copy = composed.copy()
    OmegaConf.set_struct(copy, False)
    return copy


def errors(cfg, **options):
    with pytest.raises(ConfigError) as caught:
        check(cfg, **options)
    return str(caught.value).splitlines()


def changed(cfg, key, value):
    OmegaConf.update(cfg, key, value, merge=False, force_add=True)
    return cfg


def test_the_default_config_is_right(cfg):
    check(cfg)


VALUES = [
    ("seed", -1, "seed=-1: an integer >= 0 is needed"),
    ("seed", True, "seed=true: an integer >= 0 is needed"),
    ("seed", 1.0, "seed=1.0: an integer >= 0 is needed; write 1"),
    ("name", 3, "name=3: text or null is needed"),
    ("tags", "a", "tags=a: a list (text) is needed"),
    ("tags", [1], "tags=[1]: a list (text) is needed"),
    ("optimizer.lr", 0, "optimizer.lr=0: a number > 0 is needed"),
    ("optimizer.lr", "abc", "optimizer.lr=abc: a number > 0 is needed"),
    ("optimizer.lr", float("nan"), "optimizer.lr=nan: a number > 0 is needed"),
    ("optimizer.lr", float("inf"), "optimizer.lr=inf: a number > 0 is needed"),
    ("optimizer.lr", None, "optimizer.lr=null: a number > 0 is needed"),
    ("optimizer.lr", [1e-3], "optimizer.lr=[0.001]: a number > 0 is needed"),
    ("optimizer.weight_decay", -0.1, "optimizer.weight_decay=-0.1: a number >= 0 is needed"),
    ("optimizer.fused", 1, "optimizer.fused=1: true or false or null is needed"),
    ("optimizer._partial_", "yes", "optimizer._partial_=yes: true or false is needed"),
    ("optimizer._convert_", "al", "optimizer._convert_=al: one of none, partial, object, all is "
     "needed; did you mean 'all'?"),
    ("optimizer.params", [], "optimizer.params: is given by the program; leave it out"),
    ("model.spec", 1, "model.spec: is given by the program; leave it out"),
    ("data.batch_size", -4, "data.batch_size=-4: an integer >= 1 is needed"),
    ("data.batch_size", 1e2, "data.batch_size=100.0: an integer >= 1 is needed; write 100"),
    ("data.source", {}, "data.source: is given by the program; leave it out"),
    ("trainer.precision", "16", "trainer.precision=16: one of 32-true"),
    ("trainer.accelerator", "gup", "did you mean 'gpu'?"),
    ("trainer.devices", 0, "trainer.devices=0: an integer >= 1 or a list"),
    ("trainer", None, "trainer=null: a mapping is needed"),
    ("trainer.epcohs", 1, "trainer.epcohs=1: unknown key 'epcohs'; did you mean 'epochs'?"),
    ("model", None, "model=null: a component is needed; choose one by its name"),
    ("model", {"latent": 3}, "model={...}: a component is needed"),
    ("model", "vae", "model=vae: a component is needed"),
    ("model.latnet", 3, "model.latnet: unknown key 'latnet'; did you mean 'latent'? VAE takes"),
    ("callbacks.x", {"_target_": "genlab.training.checkpoints.Chekpoints"},
     "callbacks.x._target_=genlab.training.checkpoints.Chekpoints: no public class of "
     "genlab.training.checkpoints; did you mean 'Checkpoints'?"),
    ("callbacks.x", 3, "callbacks={...}: a mapping"),
    ("x", 3, "x=3: unknown key 'x'; the config takes model"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value", "line"), VALUES, ids=[f"{k}={v}" for k, v, _ in VALUES])
def test_a_wrong_value_is_one_line_with_what_is_needed(cfg, key, value, line):
    found = errors(changed(cfg, key, value))
    assert len(found) == 1
    assert line in found[0]


def test_everything_wrong_is_said_at_once(cfg):
    for key, value in (("seed", -1), ("optimizer.lr", "abc"), ("model.latnet", 3), ("y", 1)):
        changed(cfg, key, value)
    changed(cfg, "notes", "???")
    changed(cfg, "name", "${nothing.there}")
    found = errors(cfg)
    assert len(found) == 6
    assert any(line.startswith("notes: no value") for line in found)
    assert any(line.startswith("name: cannot be resolved") for line in found)


def test_null_is_fine_where_the_annotation_says_so(cfg):
    for key in ("name", "trainer.clip", "ema.rampup", "callbacks.checkpoints"):
        changed(cfg, key, None)
    check(cfg)


def test_arguments_by_position_count(cfg):
    changed(cfg, "scheduler", {"_target_": "genlab.training.schedules.Cosine", "_args_": [0.5]})
    check(cfg)
    changed(cfg, "scheduler._args_", [2.0])
    assert errors(cfg) == ["scheduler.end=2.0: a number >= 0 and <= 1 is needed"]
    changed(cfg, "scheduler._args_", [0.5, 1])
    assert errors(cfg) == ["scheduler._args_: at most 1 values, Cosine takes"]


def test_a_missing_argument_is_named_unless_the_call_is_partial(cfg):
    stopping = {"_target_": "pytorch_lightning.callbacks.EarlyStopping"}
    changed(cfg, "callbacks.stop", stopping)
    assert errors(cfg) == ["callbacks.stop.monitor: no value, EarlyStopping needs text"]
    changed(cfg, "callbacks.stop._partial_", True)
    check(cfg)


def test_an_optimizer_for_each_player(cfg):
    adam = {"_target_": "torch.optim.Adam", "_partial_": True, "lr": 1e-3}
    changed(cfg, "optimizer", {"generator": adam, "discriminator": {**adam, "lr": -1}})
    assert errors(cfg) == ["optimizer.discriminator.lr=-1: a number > 0 is needed"]


def test_components_are_found_however_deep(cfg):
    changed(cfg, "curriculum", [[{"a": {"_target_": "os.system", "command": "true"}}]])
    assert "curriculum.0.0.a._target_=os.system: not among" in errors(cfg)[0]


def test_an_interpolated_target_is_resolved_before_it_is_judged(cfg, monkeypatch):
    monkeypatch.setenv("HIDDEN", "os.system")
    changed(cfg, "model._target_", "${oc.env:HIDDEN}")
    assert errors(cfg)[0].startswith("model._target_=os.system")
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)
    changed(cfg, "model._target_", "${hydra:job.name}")
    assert errors(cfg)[0].startswith("model._target_=?: its value is not known")


def test_each_command_has_its_schema():
    cfg = OmegaConf.create({"run": "last", "n": 0, "labl": 3})
    found = errors(cfg, command="sample")
    assert found[0] == "n=0: an integer >= 1 is needed"
    assert found[1].startswith("labl=3: unknown key 'labl'; did you mean 'label'?")
    with pytest.raises(AssertionError, match="no schema"):
        check(cfg, command="nothing")


def test_the_primary_configs_fit_their_schemas():
    with initialize_config_dir(str(config_dir()), **VERSION):
        for command in ("evaluate", "sample", "reconstruct"):
            cfg = compose(command)
            cfg.run = "last"
            check(cfg, command)


REFUSED = [
    ("genlab.models.vae.VAE.load", "no class of genlab"),
    ("genlab.models.vae.torch.load", "no class of genlab"),
    ("genlab.models.base.torch", "no public class"),
    ("genlab.models.vae.nn", "no public class"),
    ("genlab.rng.stream", "only classes of genlab."),
    ("genlab.system.paths.write_atomically", "only classes of genlab."),
    ("genlab.cli.entry.main", "only classes of genlab."),
    ("genlab", "no class of genlab"),
    ("genlab.data.storage.sources.obtain", "not a class"),
    ("genlabx.models.vae.VAE", "trust=[genlabx]"),
    ("torch.optim.lr_scheduler.LambdaLR", "not among the allowed"),
    ("torch.optim.adam.Adam", "not among the classes"),
    ("pytorch_lightning.Trainer", "not among the classes"),
    ("logging.os.system", "not among the classes"),
    ("mine.net.Net", "trust=[mine]"),
    ("Net", "trust=[Net]"),
    ("", "a dotted path"),
    ("os system", "a dotted path"),
    (".models.vae", "a dotted path"),
    (None, "a dotted path"),
    (["os.system"], "a dotted path"),
    ({"a": 1}, "a dotted path"),
]


@pytest.mark.parametrize(("target", "reason"), REFUSED, ids=[str(t) for t, _ in REFUSED])
def test_targets_that_are_refused(target, reason):
    assert reason in refusal(target)


def test_trust_reaches_no_further_than_the_module(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "trustme").mkdir()
    (tmp_path / "trustme/__init__.py").write_text("from .net import Net\nfrom os import system\n")
    (tmp_path / "trustme/net.py").write_text(
        "import os\nfrom subprocess import run\nclass Net: ...\ndef make(): ...\nx = 3\n"
    )
    for good in ("trustme.Net", "trustme.net.Net", "trustme.net.make"):
        assert refusal(good, ["trustme"]) is None
        assert "trust=[trustme]" in refusal(good, ["trust"])
    for bad in ("trustme.system", "trustme.net.os", "trustme.net.os.system", "trustme.net.run"):
        assert refusal(bad, ["trustme"]) is not None
    for bad in ("trustme.net.x", "trustme.net.Net.mro", "trustme.nothing.X"):
        assert refusal(bad, ["trustme"]) is not None
    assert refusal("trustme.Net", ["trustme.net"]) is not None
    assert "trustme" not in sys.modules


ANNOTATIONS = [
    ("int", [0, -3], [True, 1.0, "1", None]),
    ("float", [0, 1.5, float("inf")], [True, "1", float("nan")]),
    ("bool", [True], [1, "true", None]),
    ("str", ["", "a"], [1, None]),
    ("PositiveInt", [1], [0, 1.0, True]),
    ("Probability", [0, 1, 0.5], [-0.1, 1.1, float("nan")]),
    ("Fraction", [0, 0.9], [1]),
    ("Annotated[int, Range(low=2, high=4)]", [2, 4], [1, 5]),
    ("Annotated[float, Range(0, None, True)]", [0.1], [0]),
    ("Literal['a', 2]", ["a", 2], ["b", "2", True]),
    ("int | None", [1, None], ["a"]),
    ("Optional[str]", ["a", None], [1]),
    ("Union[int, list[int]]", [1, [1, 2]], [[1, "a"], {}]),
    ("tuple[int, float]", [[1, 0.5]], [[1], [1, 2, 3], ["a", 1], 1]),
    ("tuple[int, ...]", [[], [1, 2]], [["a"], 1]),
    ("Sequence[PositiveInt]", [[1]], [[0], "ab"]),
    ("dict[str, float]", [{"a": 1}, {}], [{"a": "b"}, [1]]),
    ("'int'", [1], ["a"]),
    ("Somewhere.Else", [1, "a", None], []),
    ("Callable[[int], int]", [1, {"_target_": "x"}], []),
]


@pytest.mark.parametrize(("text", "good", "bad"), ANNOTATIONS, ids=[a for a, _, _ in ANNOTATIONS])
def test_annotations_are_ranges_of_values(text, good, bad):
    kind = value_type_of(ast.parse(text, mode="eval").body, load("genlab.ranges"))
    for value in good:
        assert list(problems("k", value, kind)) == [], value
    for value in bad:
        assert len(list(problems("k", value, kind))) == 1, value


def test_a_saved_config_is_read_back_resolved_and_without_secrets(cfg, tmp_path, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "canary-0123456789")
    changed(cfg, "notes", "${oc.env:MY_API_KEY}")
    changed(cfg, "group", "${name}")
    changed(cfg, "name", "a")
    file = tmp_path / "config.yaml"
    save_config(OmegaConf.to_container(cfg, resolve=True), file)
    assert "canary" not in file.read_text()
    back = load_config(file)
    check(back)
    assert (back.group, back.optimizer.lr) == ("a", cfg.optimizer.lr)
    assert OmegaConf.to_container(back.model) == OmegaConf.to_container(cfg.model, resolve=True)


@pytest.mark.parametrize("content", ["a: [", "- 1", "a: ${", "\x00", None])
def test_a_damaged_config_is_named(tmp_path, content):
    file = tmp_path / "config.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(DataError, match=r"config\.yaml"):
        load_config(file)


def test_the_check_imports_neither_torch_nor_what_it_checks(tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from genlab.config.check import check\nfrom genlab.config.saved import load_config\n"
        "check(load_config(Path(sys.argv[1])))\n"
        "names = ('torch', 'pytorch_lightning', 'wandb', 'genlab.models', 'genlab.data')\n"
        "assert not [n for n in names if n in sys.modules]\n"
    )
    with initialize_config_dir(str(config_dir()), **VERSION):
        content = OmegaConf.to_container(compose("train"), resolve=True)
        save_config(content, tmp_path / "config.yaml")
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "config.yaml")], check=True)


def test_the_folder_of_configs_is_the_checkouts():
    assert config_dir() == Path(__file__).parent.parent / "configs"
