"""The command line: what it answers, what it refuses, and that it loads nothing for either."""

import json
import os
import resource
import subprocess
import sys
import types
from pathlib import Path

import pytest

from genlab.cli import entry as cli
from genlab.commands.help import COMMANDS
from genlab.config.folders import config_dir

HEAVY = ("torch", "pytorch_lightning", "torchvision", "wandb", "trackio", "scipy", "torchmetrics")


@pytest.fixture
def jobs(monkeypatch):
    """`genlab train` with the training taken out: the configs that it was given."""
    seen = []

    def run(cfg, invocation):
        seen.append((cfg, list(sys.argv)))
        if cfg.seed == 66:
            raise ValueError("the seed is 66")
        return float(cfg.seed)

    stub = types.ModuleType("genlab.commands.train")
    stub.run = run
    monkeypatch.setitem(sys.modules, "genlab.commands.train", stub)
    return seen


@pytest.fixture
def started(monkeypatch):
    """A sweep with its jobs' processes taken out: the command lines that they were given."""
    seen = []

    def wait(self, job, words, lock, environment):
        seen.append(words)
        log = self.sweep.log(job.id)
        log.parent.mkdir(exist_ok=True)
        log.write_text("a line\ngenlab: error: ValueError: the seed is 66\n")
        return int("seed=66" in words), False

    monkeypatch.setattr("genlab.sweeps.supervise.Supervisor.wait", wait)
    return seen


@pytest.fixture
def genlab(tmp_path, monkeypatch, capsys):
    """Runs a command line in an empty folder; gives exit code, stdout and stderr."""
    folder = tmp_path / "cwd"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(*words):
        capsys.readouterr()
        code = cli.main(words)
        out, err = capsys.readouterr()
        return code, out, err

    return run


def process(*words, cwd=None, env=None, code=None):
    """Runs a command line in a process of its own."""
    command = [sys.executable, *(["-c", code] if code else ["-m", "genlab"]), *words]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        timeout=120,
        check=False,
    )


# What is wrong, and what the answer must contain: the key or path, and a way out.
MISTAKES = [
    ("trian", ["trian", "'train'"]),
    ("sampel run=x", ["sampel", "'sample'"]),
    ("model=vae data=mnist", ["model=vae", "genlab train model=vae"]),
    ("xyzzy", ["xyzzy", "train, evaluate"]),
    ("help trian", ["trian", "'train'"]),
    ("train model=vea", ["model=vea", "'vae'", "beta_vae"]),
    ("train optimizer=adma", ["optimizer=adma", "did you mean 'ada", "sgd"]),
    ("train experiment=nope", ["experiment=nope", "experiment can be"]),
    ("train model.latnet=3", ["model.latnet=3", "'latent'", "VAE takes"]),
    ("train +model.latnet=3", ["model.latnet", "'latent'"]),
    ("train trainer.epoch=3", ["trainer.epoch=3", "'epochs'", "trainer takes"]),
    ("train optimiser.lr=1", ["optimiser.lr=1", "'optimizer'"]),
    ("train lr=1", ["lr=1", "unknown key"]),
    ("train trainer.lr=1", ["trainer.lr=1", "optimizer.lr"]),
    ("train seed.x=1", ["seed.x=1", "seed is 0 and has no keys"]),
    ("train optimizer.lr=abc", ["optimizer.lr=abc", "a number > 0"]),
    ("train optimizer.betas=[0.9,1.5]", ["optimizer.betas", "< 1"]),
    ("train data.batch_size=-4", ["data.batch_size=-4", "an integer >= 1"]),
    ("train data.batch_size=1e2", ["data.batch_size=100.0", "write 100"]),
    ("train trainer.accelerator=gup", ["trainer.accelerator=gup", "'gpu'"]),
    ("train seed=1 seed=2", ["seed=2", "seed=1", "once"]),
    ("train model=vae +model=ae", ["model", "once"]),
    ("train seed=0,1", ["seed=0,1", "-m"]),
    ("train vae", ["vae", "model=vae"]),
    ("train seed", ["seed", "seed=VALUE"]),
    ("train =3", ["=3", "key is missing"]),
    ("train seed=[1", ["seed=[1", "quoted"]),
    ("train model=null", ["model=null", "vae"]),
    ("train model=3", ["model=3", "vae"]),
    ("train ~model", ["model: no value", "a component"]),
    ("train ~sede", ["sede", "does not exist"]),
    ("train +seed=1", ["+seed", "leave the + out"]),
    ("train name=???", ["name", "no value", "name=VALUE"]),
    ("train name=${nope}", ["name", "nope"]),
    ("train notes=${oc.env:NO_SUCH_THING}", ["notes", "NO_SUCH_THING"]),
    ("train model._target_=torch.load", ["model._target_=torch.load", "may name"]),
    ("train model._target_=mine.Net", ["mine.Net", "trust=[mine]"]),
    ("train trust=[os]", ["trust=os", "your own"]),
    ("train --config-dir nowhere", ["nowhere", "not found"]),
    ("train --config-name nope", ["nope"]),
    ("train --foo", ["--foo", "--help"]),
    ("train --cfg nonsense", ["nonsense", "job"]),
    ("train --experimental-rerun x.pickle", ["--experimental-rerun", "pickle"]),
    ("train -m seed=0,-1", ["seed=-1", "an integer >= 0"]),
    ("train -m sede=0,1", ["sede", "'seed'"]),
    ("train -m model=vae,vea", ["model=vea", "'vae'"]),
    ("train hydra.job.env_set.LD_PRELOAD=x", ["LD_PRELOAD"]),
    ("train hydra/launcher=jobblib", ["hydra/launcher=jobblib", "basic"]),
    ("sample", ["run", "run=VALUE"]),
    ("sample run=x n=0", ["n=0", "an integer >= 1"]),
    ("list modles", ["modles", "'model'"]),
    ("list --jsn", ["--jsn", "--help"]),
    ("list --config-dir nowhere", ["nowhere", "no such folder"]),
    ("show model/vea", ["model/vea", "'model/vae'"]),
    ("show default", ["default", "which one", "trainer/default"]),
    ("show", ["config", "--help"]),
    ("completion bsh", ["bsh", "'bash'"]),
    ("doctor --verbos", ["--verbos", "--help"]),
    ("compare --sotr x", ["--sotr"]),
]


@pytest.mark.parametrize(("line", "parts"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_mistakes_are_answered_in_a_line(genlab, jobs, line, parts):
    code, out, err = genlab(*line.split(" "))
    assert code == 2, err
    assert out == ""
    assert err.startswith("genlab: error: ")
    for part in parts:
        assert part in err
    assert len(err.splitlines()) <= 5
    assert "Traceback" not in err
    assert jobs == []
    assert list(Path.cwd().iterdir()) == []


def test_there_are_enough_mistakes():
    assert len(MISTAKES) >= 40


def test_all_errors_come_at_once(genlab, jobs):
    code, _, err = genlab("train", "seed=-1", "model.latnet=3", "optimizer.lr=abc", "sede=1")
    assert code == 2
    assert len(err.splitlines()) == 4
    for part in ("seed=-1", "model.latnet=3", "optimizer.lr=abc", "sede=1"):
        assert part in err


def test_many_errors_are_counted(genlab, jobs):
    wrong = [f"trainer.{key}=x" for key in ("epochs", "chunk", "clip", "threads", "progress")]
    code, _, err = genlab("train", *wrong)
    assert code == 2
    assert len(err.splitlines()) == 5
    assert "1 more" in err


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("a: [1", ["bad.yaml:", "not valid YAML"]),
        ("a: 1\n\tb: 2\n", ["bad.yaml:2:1", "not valid YAML"]),
        ("a: 1\na: 2\n", ["bad.yaml:2", "duplicate key"]),
        ("a: ${b\n", ["a"]),
        ("- 1\n- 2\n", ["model"]),
        ("defaults:\n  - nope\n", ["nope", "model/bad"]),
    ],
)
def test_a_bad_file_is_named(genlab, jobs, content, parts):
    Path("mine/model").mkdir(parents=True)
    Path("mine/model/bad.yaml").write_text(content)
    code, _, err = genlab("train", "--config-dir", "mine", "model=bad")
    assert code == 2
    assert len(err.splitlines()) <= 5
    assert "Traceback" not in err
    for part in parts:
        assert part in err
    assert jobs == []


def test_a_good_line_runs(genlab, jobs):
    code, out, err = genlab("train", "model=vae", "data=mnist", "seed=3", "optimizer.lr=1e-2")
    assert (code, out, err) == (0, "", "")
    cfg, argv = jobs[0]
    assert (cfg.seed, cfg.optimizer.lr) == (3, 0.01)
    assert "hydra" not in cfg
    assert argv[1:] == ["train", "model=vae", "data=mnist", "seed=3", "optimizer.lr=1e-2"]
    assert list(Path.cwd().iterdir()) == []


def test_flags_may_stand_anywhere(genlab, started):
    code, _, err = genlab("train", "seed=1,2", "-m", "optimizer.lr=1e-2")
    assert (code, err) == (0, "")
    assert [words[:3] for words in started] == [
        ["train", "seed=1", "optimizer.lr=0.01"],
        ["train", "seed=2", "optimizer.lr=0.01"],
    ]


def test_a_failed_job_of_a_sweep_is_said_and_the_others_run(genlab, started):
    code, out, err = genlab("train", "-m", "seed=0,66,1", "name=three")
    assert code == 1
    assert [words[1] for words in started] == ["seed=0", "seed=66", "seed=1"]
    assert "failed: ValueError: the seed is 66" in out
    assert "1 of 3 jobs" in err
    assert "genlab sweep resume runs/three" in err


def test_a_sweep_file_may_ask_for_several_jobs(genlab, started):
    Path("mine/sweep").mkdir(parents=True)
    Path("mine/sweep/two.yaml").write_text(
        "# @package _global_\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n      seed: 4,5\n"
    )
    code, _, err = genlab("train", "--config-dir", "mine", "sweep=two")
    if "hydra.mode changed" in err:  # Hydra 1.4 wants to be told earlier
        code, _, err = genlab("train", "-m", "--config-dir", "mine", "sweep=two")
    assert code == 0
    assert [[w for w in words if w.startswith("seed=")] for words in started] == [
        ["seed=4"],
        ["seed=5"],
    ]


def test_an_unexpected_error_is_a_line_and_debug_shows_where(genlab, jobs):
    code, _, err = genlab("train", "seed=66")
    assert code == 1
    assert "ValueError: the seed is 66" in err
    assert "--debug" in err
    assert "Traceback" not in err
    code, _, err = genlab("train", "--debug", "seed=66")
    assert code == 1
    assert "Traceback" in err
    assert "raise ValueError" in err
    assert jobs[1][1][1:] == ["train", "--debug", "seed=66"]


def test_an_interruption_exits_with_130(genlab, monkeypatch):
    def run(cfg, invocation):
        raise KeyboardInterrupt

    stub = types.ModuleType("genlab.commands.train")
    stub.run = run
    monkeypatch.setitem(sys.modules, "genlab.commands.train", stub)
    code, _, err = genlab("train")
    assert (code, err) == (130, "genlab: interrupted\n")


def test_the_config_can_be_printed(genlab, jobs):
    code, out, _ = genlab("train", "--cfg", "job", "-p", "optimizer", "--resolve", "seed=1")
    assert code == 0
    assert "_target_: torch.optim.Adam" in out
    code, out, _ = genlab("train", "--info", "defaults-tree")
    assert code == 0
    assert "model: vae" in out
    assert jobs == []


def test_what_lightning_adds_for_its_children_is_no_repetition(genlab, jobs, monkeypatch):
    added = ['hydra.run.dir="."', "hydra.job.name=train_ddp_process_1", "hydra.output_subdir=null"]
    monkeypatch.setenv("LOCAL_RANK", "1")
    code, _, err = genlab("train", "hydra.job.name=mine", *added)
    assert (code, err) == (0, "")


def test_a_module_of_the_users_runs_when_trusted_by_name(genlab, jobs):
    Path("mine/model").mkdir(parents=True)
    Path("mine/net.py").write_text(
        "from genlab.ranges import PositiveInt\n\n\n"
        "class Net:\n    def __init__(self, spec, width: PositiveInt = 3): ...\n"
    )
    Path("mine/model/net.yaml").write_text("# Mine.\n_target_: mine.net.Net\nwidth: 4\n")
    line = ["train", "--config-dir", "mine", "model=net"]
    code, _, err = genlab(*line)
    assert code == 2
    assert "trust=[mine]" in err
    code, _, err = genlab(*line, "trust=[mine]", "model.width=0")
    assert code == 2
    assert "model.width=0: an integer >= 1 is needed" in err
    code, _, err = genlab(*line, "trust=[mine]")
    assert (code, err) == (0, "")
    assert jobs[0][0].model._target_ == "mine.net.Net"
    assert "mine" not in sys.modules
    assert str(Path.cwd()) in sys.path


def test_a_config_cannot_vouch_for_itself(genlab, jobs):
    Path("mine/experiment").mkdir(parents=True)
    Path("mine/net.py").write_text("class Net: ...\n")
    Path("mine/experiment/e.yaml").write_text(
        "# @package _global_\ntrust: [mine]\nmodel:\n  _target_: mine.net.Net\n"
    )
    code, _, err = genlab("train", "--config-dir", "mine", "experiment=e")
    assert code == 2
    assert "trust=[mine]" in err


def test_help_names_every_command(genlab):
    code, out, _ = genlab()
    assert code == 0
    for command in COMMANDS:
        assert command in out
    assert genlab("--help")[1] == out


def test_the_help_of_a_command_names_its_keys_and_groups(genlab):
    code, out, _ = genlab("train", "--help")
    assert code == 0
    for part in ("model ", "vae_mlp", "data ", "--multirun", "seed=0", "init_from"):
        assert part in out
    assert genlab("help", "train")[1] == out


def test_version(genlab):
    assert genlab("--version")[1].startswith("genlab ")


def test_list_tells_families_apart(genlab):
    code, out, _ = genlab("list", "models", "--json")
    assert code == 0
    models = {entry["name"]: entry for entry in json.loads(out)}
    files = {file.stem for file in (config_dir() / "model").glob("*.yaml")}
    assert set(models) == files
    assert models["vae"]["family"]["likelihood"] == "bound"
    assert {"log_prob", "encode", "reconstruct"} <= set(models["vae"]["family"]["capabilities"])
    assert models["ae"]["family"]["likelihood"] == "none"
    assert "log_prob" not in models["ae"]["family"]["capabilities"]
    assert all(entry["promise"] for entry in models.values())


def test_list_agrees_with_the_classes_themselves(genlab):
    from dataclasses import fields
    from importlib import import_module

    found = json.loads(genlab("list", "model", "--json")[1])
    assert len(found) >= 5
    for entry in found:
        module, _, name = entry["target"].rpartition(".")
        model = getattr(import_module(module), name)
        said = entry["family"]
        if said["likelihood"] != "by argument":
            assert said["likelihood"] == model.likelihood, entry["name"]
        assert tuple(said["players"]) == model.players
        assert said["accepts"] == [spec.kind() for spec in model.accepts], entry["name"]
        assert said["conditions"] == [spec.kind() for spec in model.conditions], entry["name"]
        assert said["sampling"] == [f.name for f in fields(model.sampling_options)], entry["name"]
        instance = object.__new__(model)
        assert set(said["capabilities"]) == set(model.capabilities(instance)), entry["name"]


def test_list_prints_a_table(genlab):
    code, out, _ = genlab("list", "optimizers")
    assert code == 0
    assert "adam_gan" in out
    assert "Stochastic gradient descent" in out
    code, out, _ = genlab("list")
    assert code == 0
    assert "scheduler" in out


def test_show_prints_the_file(genlab):
    assert genlab("show", "optimizer/adam")[1] == (config_dir() / "optimizer/adam.yaml").read_text()
    assert genlab("show", "adam")[1] == genlab("show", "optimizer=adam")[1]
    assert "defaults:" in genlab("show", "train")[1]


def test_an_ejected_config_can_be_used(genlab, jobs):
    code, out, _ = genlab("show", "optimizer/adam", "--eject", "own", "--as", "slow")
    assert code == 0
    assert "genlab train --config-dir own optimizer=slow" in out
    file = Path("own/optimizer/slow.yaml")
    file.write_text(file.read_text().replace("lr: 1.0e-3", "lr: 1.0e-5"))
    code, _, err = genlab("show", "optimizer/adam", "--eject", "own", "--as", "slow")
    assert code == 2
    assert "--force" in err
    assert "1.0e-5" in file.read_text()
    assert genlab("train", "--config-dir", "own", "optimizer=slow")[0] == 0
    assert jobs[0][0].optimizer.lr == 1e-5


def test_doctor_finds_what_is_here(genlab):
    code, out, _ = genlab("doctor", "--json")
    findings = {finding["what"]: finding for finding in json.loads(out)}
    assert code == int(any(f["state"] == "problem" for f in findings.values()))
    import torch

    assert findings["torch"]["text"].startswith(torch.__version__.partition("+")[0])
    for what in ("python", "cpu", "memory", "runs", "wandb", "cache", "data here"):
        assert findings[what]["text"]
    assert "offline" in findings["wandb"]["text"]
    assert "mnist" in findings["data here"]["text"]


def test_doctor_reports_a_problem(genlab, monkeypatch):
    from genlab.commands import doctor

    monkeypatch.setattr(doctor, "LEAST_DISK", 1 << 60)
    findings = {finding.what: finding for finding in doctor.disk(Path("runs"))}
    assert findings["runs"].state == "problem"
    monkeypatch.setattr(doctor, "examine", lambda root: iter(findings.values()))
    assert genlab("doctor")[0] == 1


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("genlab tr", {"train"}),
        ("genlab ", set(COMMANDS)),
        ("genlab race bu", {"budget="}),
        ("genlab race race=qu", {"race=quick"}),
        (
            "genlab train optimizer=ad",
            {
                f"optimizer={n}"
                for n in (
                    "adam",
                    "adam_gan",
                    "adam_gan_fast",
                    "adam_stylegan",
                    "adam_ttur",
                    "adam_wgan_gp",
                    "adamax",
                    "adamw",
                )
            },
        ),
        ("genlab train -m optimizer=sgd,adamw", {"optimizer=sgd,adamw"}),
        ("genlab train optimizer.l", {"optimizer.lr="}),
        ("genlab train optimizer=sgd optimizer.nest", {"optimizer.nesterov="}),
        ("genlab train trainer.acc", {"trainer.accelerator=", "trainer.accumulate="}),
        ("genlab train --mul", {"--multirun"}),
        ("genlab list mo", {"model", "modality"}),
        ("genlab show optimizer/s", {"optimizer/sgd"}),
        ("genlab completion z", {"zsh"}),
    ],
)
def test_completion(genlab, monkeypatch, line, expected):
    monkeypatch.setenv("COMP_LINE", line)
    code, out, _ = genlab("-sc", "query=bash")
    assert code == 0
    assert set(out.split()) == expected


def test_completion_in_bash(tmp_path):
    (tmp_path / "genlab").write_text(f'#!/bin/sh\nexec {sys.executable} -m genlab "$@"\n')
    (tmp_path / "genlab").chmod(0o755)
    script = """
        eval "$(genlab completion bash)"
        COMP_LINE="genlab train optimizer=sg"; COMP_POINT=${#COMP_LINE}
        COMP_WORDS=(genlab train optimizer = sg); COMP_CWORD=4
        _genlab_complete 2>/dev/null; echo "${COMPREPLY[@]}"
        COMP_LINE="genlab tra"; COMP_POINT=${#COMP_LINE}
        _genlab_complete 2>/dev/null; echo "${COMPREPLY[@]}"
        complete -p genlab
    """
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    shell = subprocess.run(
        ["bash", "--norc", "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, **env},
        check=False,
        timeout=60,
    )
    assert shell.stdout.splitlines()[:2] == ["sgd", "train"]  # readline keeps what is before =
    assert "_genlab_complete" in shell.stdout.splitlines()[2]


def test_nothing_heavy_is_loaded_for_an_answer(tmp_path):
    lines = ["", "--help", "trian", "list", "list models", "show vae", "completion", "train -h"]
    light = ["train optimizer.lr=abc", "train model.latnet=3", "train --cfg job", "train data=x"]
    code = (
        "import sys, io\n"
        "from contextlib import redirect_stderr, redirect_stdout\n"
        "from genlab.cli.entry import main\n"
        f"for line in {lines + light!r}:\n"
        "    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):\n"
        "        main(line.split())\n"
        f"    print(line, [m for m in {HEAVY!r} if m in sys.modules], 'hydra' in sys.modules)\n"
    )
    done = process(code=code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    answers = done.stdout.splitlines()
    assert len(answers) == len(lines + light)
    for answer in answers[: len(lines)]:
        assert answer.endswith("[] False"), answer
    for answer in answers[len(lines) :]:
        assert answer.endswith("[] True"), answer


@pytest.mark.parametrize("line", ["--help", "trian", "list", "list models"])
def test_answers_are_quick(line, tmp_path):
    def seconds():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        process(*line.split(), cwd=tmp_path)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    assert min(seconds() for _ in range(3)) < 0.7


def test_python_m_genlab_is_the_command(tmp_path):
    done = process("trian", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "genlab: error: trian: no such command; did you mean 'train'?\n"
    done = process("train", "optimizer.lr=abc", cwd=tmp_path)
    assert done.returncode == 2
    assert "optimizer.lr=abc: a number > 0 is needed" in done.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "cache"] or list(tmp_path.iterdir()) == []
