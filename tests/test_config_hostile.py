"""Configs from elsewhere run nothing: each probe would leave a mark, and none may."""

import contextlib
import os
import pickle
import re
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from genlab.cli import entry as cli
from genlab.config.check import check
from genlab.config.saved import save_config
from genlab.errors import ConfigError

T = "_target_"
ARGS = "_args_"


class Mark:
    """A pickle whose only effect is an empty folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def probes():
    """Configs that, instantiated, make a folder or file M..., change victim.txt or end the process.

    The groups are those of what hydra-core 1.3.8 was tried with: it refuses the first two.
    """
    mkdir = {T: "hydra.utils.get_method", "path": "os.mkdir"}
    return {
        "os.system": {T: "os.system", "command": "mkdir M1"},
        "subprocess.run": {T: "subprocess.run", "args": ["mkdir", "M2"]},
        "eval": {T: "builtins.eval", ARGS: ["__import__('os').mkdir('M3')"]},
        "exec": {T: "builtins.exec", ARGS: ["__import__('os').mkdir('M4')"]},
        "import": {T: "builtins.__import__", "name": "planted"},
        "pickle.loads": {T: "pickle.load", ARGS: [{T: "builtins.open", ARGS: ["a.pkl", "rb"]}]},
        "runpy": {T: "runpy.run_path", "path_name": "planted.py"},
        "os.remove": {T: "os.remove", "path": "victim.txt"},
        "rmtree": {T: "shutil.rmtree", "path": "folder"},
        "putenv": {T: "os.putenv", ARGS: ["A", "B"]},
        "dictConfig": {T: "logging.config.dictConfig", "config": {"version": 1}},
        "posix.system": {T: "posix.system", "command": "mkdir M5"},
        "logging.os.system": {T: "logging.os.system", "command": "mkdir M6"},
        "signal connector": {
            T: "pytorch_lightning.trainer.connectors.signal_connector.call",
            ARGS: [["mkdir", "M7"]],
        },
        "get_method": {T: "hydra.utils.get_method", "path": "os.system"},
        "partial": {T: "os.system", "_partial_": True},
        "getattr": {
            T: "builtins.getattr",
            ARGS: [{T: "hydra.utils.get_object", "path": "os"}, "system"],
        },
        "policy": {
            T: "hydra._internal.target_policy.UNCONTROLLED_EXECUTION_TARGETS.discard",
            ARGS: ["os.system"],
        },
        "map": {T: "builtins.list", ARGS: [{T: "builtins.map", ARGS: [mkdir, ["M8"]]}]},
        "torch.load": {T: "torch.load", "f": "a.pt", "weights_only": False},
        "numpy.load": {T: "numpy.load", "file": "a.npy", "allow_pickle": True},
        "hub.load": {T: "torch.hub.load", "repo_or_dir": "hub", "model": "m", "source": "local"},
        "planted": {T: "planted.f"},
        "sympify": {T: "sympy.sympify", ARGS: ["__import__('os').mkdir('M9')"]},
        "asyncio": {
            T: "asyncio.run",
            ARGS: [{T: "asyncio.create_subprocess_shell", "cmd": "mkdir M10"}],
        },
        "cloud_io": {
            T: "lightning_fabric.utilities.cloud_io._load",
            "path_or_url": "a.pt",
            "weights_only": False,
        },
        "load_library": {T: "torch.ops.load_library", "path": "no.so"},
        "cpp_extension": {T: "torch.utils.cpp_extension.load", "name": "x", "sources": ["a.cpp"]},
        "open": {T: "builtins.open", ARGS: ["victim.txt", "w"]},
        "write_text": {
            T: "pathlib.Path.write_text",
            ARGS: [{T: "pathlib.Path", ARGS: ["M11"]}, "x"],
        },
        "unlink": {T: "pathlib.Path.unlink", ARGS: [{T: "pathlib.Path", ARGS: ["z.zip"]}]},
        "mkdir": {T: "os.mkdir", "path": "M12"},
        "symlink": {T: "os.symlink", "src": "victim.txt", "dst": "M13"},
        "copy": {T: "shutil.copy", "src": "victim.txt", "dst": "M14"},
        "torch.save": {T: "torch.save", "obj": 1, "f": "M15"},
        "getenv": {T: "os.getenv", "key": "HOME"},
        "read_text": {
            T: "pathlib.Path.read_text",
            ARGS: [{T: "pathlib.Path", ARGS: ["victim.txt"]}],
        },
        "urlretrieve": {
            T: "urllib.request.urlretrieve",
            "url": "file:victim.txt",
            "filename": "M16",
        },
        "wandb.login": {T: "wandb.login", "_partial_": True},
        "sys.exit": {T: "sys.exit", ARGS: [0]},
        "os._exit": {T: "os._exit", ARGS: [0]},
        "abort": {T: "os.abort"},
        "raise_signal": {T: "signal.raise_signal", "_partial_": True, "signum": 9},
        "thread": {T: "threading.Thread", "_partial_": True},
        "process": {T: "multiprocessing.Process", "_partial_": True},
        "through genlab": {T: "genlab.system.paths.write_atomically", ARGS: ["M17", "x"]},
        "alias in genlab": {T: "genlab.system.paths.os.mkdir", ARGS: ["M18"]},
        "module of genlab": {T: "genlab.models.base.torch.save", "obj": 1, "f": "M19"},
        "method of genlab": {T: "genlab.data.synthetic.Synthetic.__init__.__globals__.clear"},
    }


PROBES = probes()
LOGGING = {
    "factory": {"handlers": {"x": {"()": "os.mkdir", "path": "M1"}}},
    "class": {"handlers": {"x": {"class": "os.mkdir", "path": "M1"}}},
    "formatter": {"formatters": {"x": {"()": "os.mkdir", "path": "M1"}}},
    "filter": {"filters": {"x": {"()": "os.mkdir", "path": "M1"}}},
    "ext": {"handlers": {"x": {"class": "logging.StreamHandler", "stream": "ext://os.mkdir"}}},
    "cfg": {"handlers": {"x": {"class": "logging.StreamHandler", "stream": "cfg://handlers.y"}}},
    "interpolated": {"handlers": {"x": {"()": "${oc.env:DOOR}", "path": "M1"}}},
    "mapping": {"handlers": {"x": {"()": {"a": 1}}}},
    "file": {"handlers": {"x": {"class": "logging.FileHandler", "filename": "victim.txt"}}},
    "truncated": {
        "handlers": {
            "x": {
                "class": "logging.FileHandler",
                "mode": "w",
                "filename": "${hydra.runtime.output_dir}/${hydra.job.name}.log",
            }
        }
    },
}
HYDRA = {
    "launcher": {"launcher": {T: "os.mkdir", "path": "M1"}},
    "sweeper": {"sweeper": {T: "os.mkdir", "path": "M1"}},
    "nested sweeper": {"sweeper": {"sampler": {T: "os.mkdir", "path": "M1"}}},
    "callback": {"callbacks": {"x": {T: "os.mkdir", "path": "M1"}}},
    "environment": {"job": {"env_set": {"LD_PRELOAD": "x.so"}}},
    "trust": {"job": {"env_set": {"PYTHONPATH": "."}}},
    "shell": {"launcher": {"setup": ["mkdir M1"]}},
}


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A folder with what the probes need, and a `genlab train` that builds whatever it is given."""
    folder = tmp_path / "lab"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("DOOR", "os.mkdir")
    Path("a.pkl").write_bytes(pickle.dumps(Mark("M_pickle")))
    torch.save(Mark("M_torch"), "a.pt")
    np.save("a.npy", np.array([Mark("M_numpy")], dtype=object), allow_pickle=True)
    Path("planted.py").write_text("import os\nos.mkdir('M_import')\ndef f(): return 1\n")
    Path("hub").mkdir()
    Path("hub/hubconf.py").write_text("import os\nos.mkdir('M_hub')\ndef m(): return 1\n")
    Path("victim.txt").write_text("keep me")
    Path("folder").mkdir()
    zipfile.ZipFile("z.zip", "w").close()
    stub = types.ModuleType("genlab.commands.train")

    def run(cfg, invocation):
        Path("M_run").mkdir()
        instantiate(cfg.model)

    stub.run = run
    monkeypatch.setitem(sys.modules, "genlab.commands.train", stub)
    before = contents(folder)
    yield folder
    assert contents(folder, ignore="evil") == before
    assert "planted" not in sys.modules


def contents(folder, ignore=None):
    """The names and sizes of everything in a folder."""
    found = {str(p.relative_to(folder)): p.stat().st_size for p in folder.rglob("*") if p.is_file()}
    found |= {str(p.relative_to(folder)): None for p in folder.rglob("*") if p.is_dir()}
    return {name: size for name, size in found.items() if not name.startswith(ignore or "\0")}


def write(path, content):
    """Writes a config of the hostile folder."""
    path = Path("evil") / path
    path.parent.mkdir(parents=True, exist_ok=True)
    everywhere = "# @package _global_\n" if path.parts[1] in ("sweep", "experiment") else ""
    path.write_text(everywhere + OmegaConf.to_yaml(OmegaConf.create(content)))


def in_grammar(value):
    """A value as Hydra's override grammar writes it."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{in_grammar(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(in_grammar, value)) + "]"
    if isinstance(value, str):
        return "'" + value.replace("'", "\\'") + "'"
    return str(value).lower()


def named(err):
    """The probes that an error names."""
    return {int(number) for number in re.findall(r"callbacks\.p(\d+)\._target_=", err)}


def test_there_are_as_many_probes_as_were_tried():
    assert len(PROBES) >= 46


@pytest.mark.parametrize("where", ["model", "callbacks", "list", "metrics", "optimizer"])
def test_every_probe_is_refused_wherever_it_stands(lab, where):
    for name, probe in PROBES.items():
        content = {
            "model": {"model": probe},
            "callbacks": {"callbacks": {"x": probe}},
            "list": {"logger": [probe]},
            "metrics": {"metrics": {"a": [{"b": probe}]}},
            "optimizer": {"optimizer": {"generator": probe}},
        }[where]
        with pytest.raises(ConfigError) as caught:
            check(OmegaConf.create(content))
        assert f"_target_={probe[T]}" in str(caught.value), name


def test_from_the_command_line(lab, capsys):
    words = [f"+callbacks.p{i}={in_grammar(probe)}" for i, probe in enumerate(PROBES.values())]
    assert cli.main(["train", "--debug", *words]) == 2
    assert named(capsys.readouterr().err) == set(range(len(PROBES)))


def test_from_a_folder_of_configs(lab, capsys):
    write("callbacks/evil.yaml", {f"p{i}": probe for i, probe in enumerate(PROBES.values())})
    code = cli.main(["train", "--debug", "--config-dir", "evil", "callbacks=evil"])
    assert code == 2
    assert named(capsys.readouterr().err) == set(range(len(PROBES)))


def test_from_a_model_of_a_folder_and_in_a_sweep(lab, capsys):
    write("model/evil.yaml", PROBES["mkdir"])
    assert cli.main(["train", "--config-dir", "evil", "model=evil"]) == 2
    assert "model._target_=os.mkdir" in capsys.readouterr().err
    assert cli.main(["train", "--config-dir", "evil", "-m", "model=evil,evil", "seed=0,1"]) == 2
    assert "model._target_=os.mkdir" in capsys.readouterr().err
    write(
        "sweep/evil.yaml", {"hydra": {"mode": "MULTIRUN", "sweeper": {"params": {"model": "evil"}}}}
    )
    assert cli.main(["train", "--config-dir", "evil", "-m", "sweep=evil"]) == 2
    assert "model._target_=os.mkdir" in capsys.readouterr().err


def test_from_a_run_directory(lab):
    cfg = OmegaConf.create({"model": PROBES["mkdir"], "callbacks": {"p": PROBES["torch.load"]}})
    save_config(OmegaConf.to_container(cfg, resolve=True), Path("evil/config.yaml"))
    from genlab.config.saved import load_config

    with pytest.raises(ConfigError, match=r"os\.mkdir"):
        check(load_config(Path("evil/config.yaml")))


@pytest.mark.parametrize("kind", ["job_logging", "hydra_logging"])
@pytest.mark.parametrize("door", LOGGING)
def test_logging_is_no_door(lab, capsys, kind, door):
    write(f"hydra/{kind}/evil.yaml", {"version": 1, "root": {"handlers": []}, **LOGGING[door]})
    assert cli.main(["train", "--config-dir", "evil", f"hydra/{kind}=evil"]) == 2
    assert f"hydra.{kind}." in capsys.readouterr().err


@pytest.mark.parametrize("flags", [[], ["-m"]], ids=["run", "multirun"])
@pytest.mark.parametrize("door", HYDRA)
def test_hydras_own_section_is_no_door(lab, capsys, door, flags):
    write("experiment/evil.yaml", {"hydra": HYDRA[door]})
    assert cli.main(["train", "--config-dir", "evil", "experiment=evil", *flags]) == 2
    assert "hydra." in capsys.readouterr().err


def test_hydras_help_is_no_door_either(lab, capsys):
    write("hydra/hydra_logging/evil.yaml", {"version": 1, "root": None, **LOGGING["factory"]})
    line = ["--config-dir", "evil", "hydra/hydra_logging=evil"]
    assert cli.main(["train", "--hydra-help", *line]) == 2
    assert "os.mkdir" in capsys.readouterr().err


def test_a_job_of_a_sweep_cannot_change_the_logging(lab, capsys):
    write("hydra/job_logging/evil.yaml", {"version": 1, "root": None, **LOGGING["factory"]})
    params = {"seed": "0,1", "hydra/job_logging": "evil"}
    write("sweep/evil.yaml", {"hydra": {"sweeper": {"params": params}}})
    assert cli.main(["train", "--config-dir", "evil", "-m", "sweep=evil"]) == 2
    assert "hydra.job_logging" in capsys.readouterr().err


def test_a_config_cannot_trust_for_the_user(lab, capsys):
    write("experiment/evil.yaml", {"trust": ["planted"], "model": {T: "planted.f"}})
    assert cli.main(["train", "--config-dir", "evil", "experiment=evil"]) == 2
    assert "planted" in capsys.readouterr().err
    params = {"seed": "0,1", "trust": "[planted]", "model._target_": "planted.f"}
    write("sweep/evil.yaml", {"hydra": {"sweeper": {"params": params}}})
    assert cli.main(["train", "--config-dir", "evil", "-m", "sweep=evil"]) == 2
    assert "planted" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore")  # Hydra 1.4 warns where it is given no allow-list
def test_the_probes_bite_where_nothing_is_checked(tmp_path, monkeypatch):
    """The control: without the check, several of the probes leave their marks."""
    monkeypatch.chdir(tmp_path)
    torch.save(Mark("M_torch"), "a.pt")
    np.save("a.npy", np.array([Mark("M_numpy")], dtype=object), allow_pickle=True)
    for name in (
        "mkdir",
        "torch.load",
        "torch.save",
        "numpy.load",
        "write_text",
        "alias in genlab",
    ):
        with contextlib.suppress(Exception):
            instantiate(PROBES[name])
    made = {path.name for path in tmp_path.iterdir()}
    assert {"M12", "M_torch", "M15", "M_numpy", "M11", "M18"} <= made
