"""The manifest, what a sweep refuses before its first job, going on, and what is divided."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from genlab.cli import entry as cli
from genlab.commands.sweep import images_seen
from genlab.errors import ConfigError
from genlab.runs.directory import Run
from genlab.sweeps.jobs import Sweep, job_id
from genlab.sweeps.objective import values_of
from genlab.sweeps.share import Share, share_of
from genlab.sweeps.supervise import Supervisor, quoted
from genlab.system.locks import Lock, is_held
from genlab.system.paths import write_json

LAUNCHER = "hydra_plugins.hydra_{}_launcher.{}_launcher.{}Launcher"


@pytest.fixture
def lines(monkeypatch):
    """Sweeps whose jobs' processes are taken out: the command lines, and a run that each leaves.

    A job of seed 66 fails while the file ``bad`` is there.
    """
    seen = []

    def wait(self, job, words, lock, environment):
        seen.append(words)
        run = self.sweep.run(job.id)
        bad = Path("bad").exists() and any("seed=66" in word for word in job.overrides)
        write_json(run.path / "run.json", {"status": "failed" if bad else "finished"})
        run.update("run.json", started_from=len(job.attempts) * 100 - 100)
        run.config_file.touch()
        summary = {"best_metric": "val/loss", "best": 3.5, "train_seconds": 2, "metrics": {"a": 1}}
        write_json(run.path / "summary.json", summary)
        self.sweep.log(job.id).write_text("noise\ngenlab: error: bad seed\nmore noise\n")
        return int(bad), False

    monkeypatch.setattr(Supervisor, "wait", wait)
    monkeypatch.setenv("WANDB_MODE", "disabled")  # no leaderboard among the sweep's files
    return seen


def manifest(sweep):
    return [json.loads(line) for line in Path(sweep, "manifest.jsonl").read_text().splitlines()]


def test_a_sweep_leaves_a_manifest_of_a_line_a_job(genlab, lines):
    code, out, err = genlab("train", "-m", "seed=0,1", "optimizer.lr=1e-2", "name=two")
    assert code == 0, err
    found = manifest("runs/two")
    assert [line["number"] for line in found] == [0, 1]
    assert [line["overrides"][0] for line in found] == ["seed=0", "seed=1"]
    for line in found:
        assert line["id"] == line["directory"] == job_id(line["overrides"])
        assert (line["state"], line["exit_code"], line["reason"]) == ("done", 0, None)
        assert line["metrics"] == {"best": 3.5, "val/loss": 3.5, "a": 1, "seconds": 2}
    assert {p.name for p in Path("runs/two").iterdir() if not p.name.startswith(".")} == {
        "manifest.jsonl", "sweep.json", *(line["id"] for line in found),
    }  # fmt: skip
    assert Path("runs/two").stat().st_mode & 0o777 == 0o700
    assert lines[0] == [
        "train", "seed=0", "optimizer.lr=0.01", "name=two", "group='two'", "hydra.mode=RUN",
    ]  # fmt: skip
    assert "val/loss 3.5" in out


def test_what_failed_goes_on_and_what_is_done_does_not_start_again(genlab, lines):
    Path("bad").touch()
    code, _, err = genlab("train", "-m", "seed=0,66,1", "name=three")
    assert code == 1
    assert "1 of 3 jobs" in err
    assert "failed, bad seed" in err
    code, out, _ = genlab("sweep", "status", "three", "--json")
    status = json.loads(out)
    assert status["states"] == {"done": 2, "failed": 1}
    Path("bad").unlink()
    lines.clear()
    code, _, err = genlab("sweep", "resume", "runs/three")
    assert code == 0, err
    failed = manifest("runs/three")[1]
    path = Path("runs/three", failed["id"]).resolve()
    assert lines == [["train", f"run='{path}'", f"root='{Path('runs').resolve()}'"]]
    assert [attempt["images_seen"] for attempt in failed["attempts"]] == [0, 100]
    assert {line["state"] for line in manifest("runs/three")} == {"done"}
    lines.clear()
    code, out, _ = genlab("sweep", "resume", "last")
    assert (code, lines) == (0, [])
    code, out, _ = genlab("sweep", "status", "last")
    assert "3 done" in out
    assert "seed=66" in out


OLD = {
    "sweep.json": {
        "created": "2026-01-01T08:20:24+0000",
        "command": ["genlab", "train", "-m", "seed=0,66", "optimizer.lr=1e-2", "name=old"],
        "flags": [],
        "overrides": ["seed=0,66", "optimizer.lr=1e-2", "name=old"],
    },
    ".jobs/23336220.json": {
        "id": "23336220",
        "number": 0,
        "overrides": ["seed=0", "optimizer.lr=0.01", "name=old"],
        "state": "done",
        "exit_code": 0,
        "reason": None,
        "attempts": [
            {"started": "2026-01-01T08:20:25+0000", "host": "vm", "pid": 15442, "images_seen": 0}
        ],
        "seconds": 0.008,
        "metrics": {"best": 3.5, "val/loss": 3.5, "a": 1.0, "seconds": 2.0},
        "directory": "23336220",
    },
    ".jobs/8bf04a13.json": {
        "id": "8bf04a13",
        "number": 1,
        "overrides": ["seed=66", "optimizer.lr=0.01", "name=old"],
        "state": "failed",
        "exit_code": 1,
        "reason": "bad seed",
        "attempts": [
            {"started": "2026-01-01T08:20:25+0000", "host": "vm", "pid": 15442, "images_seen": 0}
        ],
        "seconds": 0.02,
        "metrics": {},
        "directory": "8bf04a13",
    },
}
"""The files of a sweep as genlab wrote them before its rooms were rebuilt."""


def test_a_sweep_of_an_older_genlab_is_resumed(genlab, lines):
    for name, content in OLD.items():
        folder = {"folder": str(Path.cwd())} if name == "sweep.json" else {}
        write_json(Path("runs/old", name), content | folder)
    code, out, err = genlab("sweep", "resume", "runs/old")
    assert code == 0, err
    assert "2 jobs, 1 of them done before" in out
    assert [line[1] for line in lines] == ["seed=66"]
    first, second = manifest("runs/old")
    assert first == OLD[".jobs/23336220.json"]
    assert (second["id"], second["state"], len(second["attempts"])) == ("8bf04a13", "done", 2)


def test_a_job_that_still_runs_is_waited_for(tmp_path, lines, capsys):
    sweep = Sweep.create(tmp_path / "s")
    overrides = ["seed=1"]
    job = sweep.begin(sweep.add_jobs([overrides])[0])
    supervisor = Supervisor(sweep, "train", (), tmp_path, tmp_path)
    with sweep.lock(job.id) as lock:
        release = threading.Timer(1.5, lock.release)
        release.start()
        supervisor(overrides)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"sweep  {job.id}: still runs from before; waits for it"
    assert said[1].startswith(f"sweep  {job.id} starts")
    assert len(sweep.job(job.id).attempts) == 2


def test_ctrl_c_waits_for_the_job_and_says_how_to_go_on(genlab, monkeypatch):
    class Interrupted:
        """A process that ends, with everything kept, after the Ctrl-C that the sweep gets, too."""

        def __init__(self, command, **named):
            self.calls = 0

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return False

        def wait(self):
            self.calls += 1
            if self.calls == 1:
                raise KeyboardInterrupt
            return 130

    fake = SimpleNamespace(Popen=Interrupted, PIPE=-1, STDOUT=-2)
    monkeypatch.setattr("genlab.sweeps.supervise.subprocess", fake)
    code, out, _ = genlab("train", "-m", "seed=0,1", "name=cut")
    assert code == 130
    assert "genlab sweep resume runs/cut" in out
    assert [line["state"] for line in manifest("runs/cut")] == ["interrupted", "pending"]
    assert manifest("runs/cut")[0]["reason"] == "stopped by SIGINT"


@pytest.mark.filterwarnings("ignore")  # Optuna 2.10 is of 2022
@pytest.mark.parametrize("storage", [None, "sqlite:///${hydra.sweep.dir}/study.db"])
def test_a_search_that_goes_on_asks_what_it_would_have_asked(genlab, lines, monkeypatch, storage):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="needs genlab[optuna]")
    if storage is not None:
        from optuna.storages import RDBStorage

        try:
            RDBStorage("sqlite:///probe.db")
        except Exception:
            pytest.skip("needs genlab[optuna-storage]")
    words = ["train", "-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=4"]
    words += ["optimizer.lr=tag(log,interval(1e-4,1e-2))", "model.latent=range(2,60)"]
    words += [] if storage is None else [f'hydra.sweeper.storage="{storage}"']
    code, _, err = genlab(*words, "name=whole")
    assert code == 0, err
    expected = [line[1:3] for line in lines]
    assert len({str(pair) for pair in expected}) == 4
    lines.clear()
    whole = Supervisor.wait

    def cut(self, job, *rest):
        if len(lines) == 2:
            raise KeyboardInterrupt
        return whole(self, job, *rest)

    monkeypatch.setattr(Supervisor, "wait", cut)
    assert genlab(*words, "name=cut")[0] == 130
    monkeypatch.setattr(Supervisor, "wait", whole)
    code, _, err = genlab("sweep", "resume", "runs/cut")
    assert code == 0, err
    assert [line[1:3] for line in lines] == expected
    assert len(manifest("runs/cut")) == 4


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["objective=[nll_elbo,seconds]"], ["hydra.sweeper.direction=minimize", "seconds needs"]),
        (["hydra.sweeper.sampler.seed=null"], ["hydra.sweeper.sampler.seed=null", "resumed"]),
        (["hydra.sweeper.storage=sqlite:///x.db"], ["hydra.sweeper.storage=sqlite:///x.db"]),
        (["hydra.sweeper.direction=down"], ["hydra.sweeper.direction=down", "minimize or"]),
        (["optimizer.lrr=interval(0,1)"], ["optimizer.lrr", "'lr'"]),
        (["optimizer.lr=interval(-1,1)"], ["optimizer.lr=-1", "> 0"]),
    ],
    ids=lambda words: words[0],
)
def test_a_search_that_cannot_be_is_refused(genlab, lines, monkeypatch, words, parts):
    monkeypatch.setattr("genlab.launch.composition.check_plugins", lambda cfg: None)
    code, _, err = genlab("train", "-m", "hydra/sweeper=optuna", "seed=0,1", *words)
    assert code == 2, err
    for part in parts:
        assert part in err
    assert lines == []


def test_no_secret_is_kept_and_a_resume_asks_for_it(genlab, lines, monkeypatch):
    Path("bad").touch()
    word = "+data.api_key=tops3cret"
    monkeypatch.setattr("genlab.launch.composition.check", lambda cfg, command: None)
    assert genlab("train", "-m", word, "seed=66,1", "name=s")[0] == 1
    assert any(word.lstrip("+") in text for text in lines[0])
    kept = [p for p in Path("runs/s").rglob("*") if p.is_file() and b"tops3cret" in p.read_bytes()]
    assert kept == []
    code, _, err = genlab("sweep", "resume", "runs/s")
    assert code == 2
    assert "data.api_key" in err
    Path("bad").unlink()
    assert genlab("sweep", "resume", "runs/s", word)[0] == 0


def test_values_are_never_paths(genlab, lines):
    before = set(Path.cwd().parent.iterdir())
    assert genlab("train", "-m", "notes=../../x,../y", "name=here")[0] == 0
    assert set(Path.cwd().parent.iterdir()) == before
    found = manifest("runs/here")
    assert all(len(line["directory"]) == 8 and line["directory"].isalnum() for line in found)


REFUSED = [
    (["sede=0,1"], ["sede", "'seed'"]),
    (["seed=0,-1"], ["seed=-1", ">= 0"]),
    (["seed=range(3,3)"], ["seed=range(3,3)", "empty"]),
    (["seed=0,1", "trainer=ddp"], ["trainer.devices=2", "one device"]),
    (["seed=0,1", "trainer.devices=[0,1]"], ["trainer.devices=[0, 1]", "one device"]),
    (["seed=0,1", "trainer.strategy=ddp"], ["trainer.strategy=ddp", "one device"]),
    (["trainer.devices=1,2"], ["trainer.devices=2", "one device"]),
    (["seed=0,1", "run=last"], ["run=last", "-m"]),
    (["seed=0,1", "name=../x"], ["name='../x'"]),
    (["seed=0,1", "hydra.sweep.subdir=../x"], ["hydra.sweep.subdir=../x", "hash"]),
]


@pytest.mark.parametrize(("words", "parts"), REFUSED, ids=lambda words: " ".join(words))
def test_mistakes_are_answered_before_the_first_job(genlab, lines, words, parts):
    code, _, err = genlab("train", "-m", *words)
    assert code == 2, err
    for part in parts:
        assert part in err
    assert lines == []
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["objective=fid"], ["objective=fid", "will not be measured", "nll_elbo"]),
        (["objective=nll_exact"], ["objective=nll_exact", "nll_elbo"]),
        (
            ["metrics.extractors=[inception]", "metrics.download=false", "objective=fid_10k"],
            ["6726825d"],
        ),
    ],
    ids=lambda words: words[0],
)
def test_an_objective_that_will_not_be_measured_is_refused(genlab, lines, words, parts):
    code, _, err = genlab("train", "-m", "model=vae_mlp", "data=synthetic", "seed=0,1", *words)
    assert code == 2, err
    for part in parts:
        assert part in err
    assert lines == []
    words = ["objective=[nll_elbo,seconds]", "closing.likelihood_images=null"]
    assert genlab("train", "-m", "model=vae_mlp", "data=synthetic", "seed=0,1", *words)[0] == 1
    assert lines  # it started; what these jobs leave has no nll_elbo, which is said


def test_an_engine_that_is_not_installed_is_named_with_its_extra(genlab, lines, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    for word, extra in (
        ("hydra/launcher=joblib", "genlab[joblib]"),
        ("hydra/launcher=submitit_slurm", "genlab[slurm]"),
        ("hydra/launcher=ray", "genlab[ray]"),
        ("hydra/sweeper=optuna", "genlab[optuna]"),
    ):
        code, _, err = genlab("train", "-m", "seed=0,1", word)
        assert code == 2
        assert word in err
        assert extra in err


def test_a_sweep_that_exists_is_not_written_over(genlab, lines):
    assert genlab("train", "-m", "seed=0,1", "name=a")[0] == 0
    code, _, err = genlab("train", "-m", "seed=0,1", "name=a")
    assert code == 2
    assert "genlab sweep resume" in err
    code, _, err = genlab("sweep", "resume", "runs/a", "seed=5")
    assert code == 2
    assert "keeps its jobs" in err
    for words in (["status", "runs/b"], ["resume", "runs"], ["stattus", "x"], ["status"]):
        assert genlab("sweep", *words)[0] == 2


def test_a_lock_is_held_as_long_as_anybody_lives_who_has_it(tmp_path):
    lock = Lock(tmp_path / "x.lock")
    assert not is_held(lock.path)
    lock.acquire()
    assert is_held(lock.path)
    assert not Lock(lock.path).acquire(wait=False)
    code = "import time; print(1, flush=True); time.sleep(60)"
    heir = subprocess.Popen(
        [sys.executable, "-S", "-c", code], stdout=subprocess.PIPE, pass_fds=(lock.descriptor,)
    )
    heir.stdout.read(1)
    lock.release()
    assert is_held(lock.path)
    heir.kill()
    heir.communicate()
    assert not is_held(lock.path)


@pytest.mark.parametrize(
    ("status", "state"),
    [("running", "killed"), ("finished", "done"), ("interrupted", "interrupted")],
)
def test_a_job_whose_sweep_is_gone_is_told_by_what_it_left(tmp_path, status, state):
    sweep = Sweep.create(tmp_path / "s")
    job = sweep.add_jobs([["seed=1"]])[0]
    with sweep.lock(job.id):
        sweep.begin(job)
        assert sweep.job(job.id).state == "running"
    write_json(sweep.run(job.id).path / "run.json", {"status": status, "started_from": 7})
    found = sweep.job(job.id)
    assert found.state == state
    assert found.attempts[0]["images_seen"] == 7
    assert [line["state"] for line in manifest(sweep.path)] == ["running"]
    sweep.write_manifest()
    assert [line["state"] for line in manifest(sweep.path)] == [state]


def test_the_closing_line_of_an_early_best_checkpoint_hides_no_images(tmp_path):
    rows = [{"images_seen": n, "val/loss": 1.0} for n in (100, 200, 300)]
    rows.append({"images_seen": 100, "test/nll": 2.0})  # of the best checkpoint, measured last
    text = "".join(json.dumps(row) + "\n" for row in rows) + '{"images_s'
    (tmp_path / "metrics.jsonl").write_text(text)
    assert images_seen(Run(tmp_path)) == 300


def test_a_process_stops_when_the_one_that_waits_for_it_dies(tmp_path):
    code = (
        "from genlab.cli.child import watch_lifeline\nimport time\nwatch_lifeline()\ntime.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    time.sleep(0.5)
    assert process.poll() is None
    process.stdin.close()
    assert process.wait(timeout=60) == -signal.SIGTERM


def test_a_machine_is_divided():
    cores = len(os.sched_getaffinity(0))
    joblib = {"_target_": LAUNCHER.format("joblib", "joblib", "Joblib"), "n_jobs": 2}
    assert share_of(joblib) == Share(2, max(1, cores // 2), deal=True)
    assert share_of({**joblib, "n_jobs": -1}) == Share(cores, 1, deal=True)
    slurm = {"_target_": LAUNCHER.format("submitit", "submitit", "Slurm"), "cpus_per_task": 4}
    assert share_of(slurm) == Share(None, 4)
    assert share_of({"_target_": "x.BasicLauncher"}) == Share()


def test_gpus_are_dealt_out_one_each(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    share = Share(3, 2, deal=True)
    with share.taken(tmp_path) as one, share.taken(tmp_path) as two, share.taken(tmp_path) as three:
        dealt = [environment["CUDA_VISIBLE_DEVICES"] for environment in (one, two, three)]
        assert dealt == ["4", "7", "4"]
        assert one["OMP_NUM_THREADS"] == "2"
    with share.taken(tmp_path) as again:
        assert again["CUDA_VISIBLE_DEVICES"] == "4"


def test_an_objective_of_a_job_that_is_not_done_is_none(tmp_path):
    sweep = Sweep.create(tmp_path / "s")
    job = replace(sweep.add_jobs([["seed=1"]])[0], metrics={"a": 1.0, "b": float("nan")})
    done = replace(job, state="done")
    assert values_of(job, ["a"]) is None
    assert values_of(done, ["a"]) == 1.0
    assert values_of(done, ["a", "a"]) == (1.0, 1.0)
    assert values_of(done, ["a", "b"]) is None


@pytest.mark.parametrize("text", ["a b", "it's", "x\\", "a,b=c", "[1]", "${x}", ""])
def test_a_quoted_text_is_read_as_it_was(text):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    assert OverridesParser.create().parse_override(f"k={quoted(text)}").value() == text


def test_a_damaged_line_is_named(tmp_path):
    sweep = Sweep.create(tmp_path / "s")
    job = sweep.add_jobs([["seed=1"]])[0]
    (sweep.path / ".jobs" / f"{job.id}.json").write_text("{")
    with pytest.raises(ConfigError, match=r"\.jobs.*is damaged"):
        sweep.jobs()


def test_help_and_status_load_no_torch(tmp_path):
    Sweep.create(tmp_path / "s", command=[]).add_jobs([["seed=1"]])
    code = (
        "import sys\nfrom genlab.cli.entry import main\n"
        "assert main(['sweep', 'status', sys.argv[1]]) == 0\n"
        "assert not {'torch', 'hydra'} & set(sys.modules)\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "s")], check=True, capture_output=True
    )
    assert cli.main(["sweep", "--help"]) == 0
