"""Every command that genlab advises works as it stands, when it is copied into a shell."""

import ast
import re
import shlex
from pathlib import Path

import pytest

import genlab as package
from genlab.cli.entry import main
from genlab.commands.help import COMMANDS
from genlab.config.check import check
from genlab.config.schema import Train
from genlab.experiment.build import build_data, build_model
from genlab.launch.compose import compose
from genlab.training.cures import cures
from genlab.training.guard import CURES
from genlab.training.health import SIGNS

from .tiny import TINY

ROOTS = ["runs", "my runs", "it's", "a,b=c", "ünï", "x$HOME", "~"]

OWN = """
from genlab.models.vae import VAE


class Mine(VAE):
    pass
"""


def advised(text):
    """The commands of lines that begin with one, up to the remark behind them."""
    return re.findall(r"^ *(genlab .*?)(?: +# .*)?$", text, re.MULTILINE)


@pytest.mark.parametrize("root", ROOTS)
def test_what_a_finished_run_advises(genlab, tmp_path, monkeypatch, root):
    """Of a class of the user's own, chosen by a config of the user's own."""
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "my configs"
    (folder / "model").mkdir(parents=True)
    (tmp_path / "mine_advised.py").write_text(OWN)
    (folder / "model/own.yaml").write_text("defaults: [vae_mlp]\n_target_: mine_advised.Mine\n")
    own = ["--config-dir", str(folder), "trust=[mine_advised]", *TINY]
    own = [word.replace("model=vae_mlp", "model=own") for word in own]
    place = f"./{root}" if root == "~" else root
    quoted = "'" + place.replace("'", "\\'") + "'"
    monkeypatch.setattr("sys.argv", ["genlab", "train", *own])
    code, out, err = genlab("train", *own, f"root={quoted}", "name=r")
    assert code == 0, err
    assert (tmp_path / root / "r" / "run.json").is_file()
    found = [shlex.split(line) for line in advised(out)]
    assert [words[1] for words in found] == ["sample", "evaluate", "dashboard"]
    monkeypatch.setattr("genlab.commands.dashboard.serve", lambda *args: pytest.fail("far enough"))
    for words in found[:2]:
        monkeypatch.setattr("sys.argv", words)
        more = ["n=2"] if words[1] == "sample" else ["metrics=none"]
        code, out, err = genlab(*words[1:], *more)
        assert code == 0, (words, err)
    with pytest.raises(pytest.fail.Exception):  # the root is there and has a run
        main(found[2][1:])
    # and where it is complete already
    monkeypatch.setattr("sys.argv", ["genlab", "train", *own[:3]])
    code, out, err = genlab("train", *own[:3], f"run={quoted[:-1]}/r'")
    assert code == 0, err
    more = next(shlex.split(line) for line in advised(out) if " train " in line)
    code, out, err = genlab(*more[1:])
    assert (code, "complete already" in out) == (0, False), err


def strings():
    """The text of all string literals, with what is filled in as X."""
    for file in sorted(Path(package.__file__).parent.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                parts = [p.value if isinstance(p, ast.Constant) else "X" for p in node.values]
                yield file.name, "".join(map(str, parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield file.name, node.value


def test_every_command_in_a_text_is_one_of_genlab():
    wrong, seen = [], 0
    for name, text in strings():
        for word in re.findall(r"(?<![\w./=])genlab ([a-z]+)\b(?= [\w.]+=| --|\n|`|$|\))", text):
            seen += 1
            if word not in {*COMMANDS, "is", "has"}:
                wrong.append((name, word))
    assert wrong == []
    assert seen > 20


KEYS = re.compile(r"(?<![\w./\[-])((?:model|trainer|optimizer|closing|ema|guard|data)\.[a-z_.]+)=")

OF_SOME = {"model.conditional", "data.path", "data.root", "model.levels", "data.image_size"}
"""Keys that some configs have: the text stands where they do, or names them to say so."""


def test_every_key_in_a_text_is_one_of_some_config():
    folder = Path(package.__file__).parents[1] / "configs"
    known = "\n".join(file.read_text(encoding="utf-8") for file in folder.rglob("*.yaml"))
    source = "\n".join(
        file.read_text(encoding="utf-8") for file in Path(package.__file__).parent.rglob("*.py")
    )
    wrong = set()
    for name, text in strings():
        for key in KEYS.findall(text):
            last = key.rpartition(".")[2]
            if not re.search(rf"^ *{last}:", known, re.MULTILINE) and f"    {last}: " not in source:
                wrong.add((name, key))
    assert wrong == set()


FAMILIES = ["vae_mlp", "vae", "ae", "vq_vae", "flow_mlp", "made", "pixelcnn_tiny", "gan_mlp", "gan"]
FAMILIES += ["gan_sagan", "gan_stylegan", "gan_progressive", "gan_wgan_gp", "vaegan"]
FAMILIES += ["image_gpt", "iwae", "vae_vamp"]


@pytest.mark.parametrize("name", FAMILIES)
def test_cures_are_keys_of_the_family_and_are_taken(name):
    """A key that is advised composes, passes the check, and builds."""
    base = [f"model={name}", "data=synthetic", "data.size=16"]

    def built(*words):
        config = check(compose("train", [*base, *words])[0], "train")
        assert isinstance(config, Train)
        return config, build_model(config.model, build_data(config.data).spec, 0)

    config, model = built()
    players = "_target_" not in config.optimizer

    class Module:
        make_optimizer = dict.fromkeys(config.optimizer) if players else object()

    Module.model = model
    for keys, smaller in [(CURES, ()), *(rest for _, *rest in SIGNS.values())]:
        text = cures(Module(), keys, smaller).removeprefix("usual cures: ")
        for advice in re.split(", | and ", text):
            key = advice.removeprefix("a smaller ")
            built(*(key.split() if "=" in key else [f"{key}=1e-6"]))
    family = type(model).__mro__
    adversarial = any(kind.__name__ == "Adversarial" for kind in family)
    assert ("++model.r1" in cures(Module(), CURES)) == adversarial
