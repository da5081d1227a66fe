"""Launchers and sweepers of other packages, each with a real sweep; skipped where not installed."""

import importlib.util
import json
import os
import sqlite3
import subprocess
import sys

import pytest

from genlab.sweeps.jobs import Sweep

from .conftest import TINY
from .test_sweep_survival import genlab

pytestmark = pytest.mark.slow

LAUNCHERS = {
    "joblib": ("hydra_joblib_launcher", "joblib", ["hydra.launcher.n_jobs=2"]),
    "submitit_local": ("hydra_submitit_launcher", "slurm", []),
    "ray": ("hydra_ray_launcher", "ray", ["hydra.launcher.ray.init.num_cpus=2"]),
}


def needs(package, extra):
    """Skips the test where a plugin is not installed."""
    if importlib.util.find_spec("hydra_plugins") is None or (
        importlib.util.find_spec(f"hydra_plugins.{package}") is None
    ):
        pytest.skip(f"genlab[{extra}] is not installed")


def sweep(folder, *words):
    """Runs a sweep in a process of its own; gives the lines of its manifest and what it printed."""
    tiny = [word for word in TINY if not word.startswith("trainer.threads")]
    command = [sys.executable, "-m", "genlab", *words, *tiny, "trainer.epochs=1", "name=x"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=900,
        env={k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS",)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    place = folder / "runs" / "x"
    lines = [json.loads(line) for line in (place / "manifest.jsonl").read_text().splitlines()]
    for line in lines:
        assert (line["state"], line["exit_code"], len(line["attempts"])) == ("done", 0, 1)
        run = place / line["directory"]
        assert json.loads((run / "run.json").read_text())["status"] == "finished"
    assert not (place / "multirun.yaml").exists()
    return lines, done.stdout + done.stderr


@pytest.mark.parametrize("name", LAUNCHERS)
def test_a_launcher_runs_four_jobs(tmp_path, name):
    package, extra, words = LAUNCHERS[name]
    needs(package, extra)
    lines, said = sweep(tmp_path, "train", "-m", f"hydra/launcher={name}", *words, "seed=0,1,2,3")
    assert len(lines) == 4
    assert len({line["metrics"]["val/loss"] for line in lines}) == 4
    assert len({line["attempts"][0]["pid"] for line in lines}) >= 2  # they did not run in turn
    assert "Warning" not in said


def test_optuna_asks_for_trials_and_draws_the_front(tmp_path):
    needs("hydra_optuna_sweeper", "optuna")
    lines, _ = sweep(
        tmp_path, "train", "-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=3",
        "optimizer.lr=tag(log,interval(1e-4,1e-2))", "objective=[nll_elbo,seconds]",
        "hydra.sweeper.direction=[minimize,minimize]",
    )  # fmt: skip
    rates = [word for line in lines for word in line["overrides"] if word.startswith("optimizer")]
    assert len(set(rates)) == 3
    assert "values" in (tmp_path / "runs" / "x" / "optimization_results.yaml").read_text()


MAYHEM = '''
import os, signal, time
from pathlib import Path
import pytorch_lightning as pl

class Mayhem(pl.Callback):
    """The third job kills its sweep, once, in the middle of its training."""

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        sweep = Path(os.environ["GENLAB_JOB_DIRECTORY"]).parent
        jobs = [place for place in sweep.iterdir() if (place / "run.json").exists()]
        if "CALM" in os.environ or len(jobs) < 3 or (sweep / "mayhem").exists():
            return
        (sweep / "mayhem").touch()
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(1)
'''


def test_optuna_goes_on_where_it_was_killed_and_asks_what_it_would_have_asked(tmp_path):
    needs("hydra_optuna_sweeper", "optuna")
    pytest.importorskip("sqlalchemy")
    words = [
        *TINY, "trainer.epochs=2", "name=x", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=5",
        "+hydra.sweeper.sampler.n_startup_trials=2", "objective=nll_elbo", "trust=[mine]",
        "optimizer.lr=tag(log,interval(1e-4,1e-2))", "+callbacks.mayhem._target_=mine.Mayhem",
        'hydra.sweeper.storage="sqlite:///${hydra.sweep.dir}/study.db"',
    ]  # fmt: skip
    sweeps = {}
    for name in ("calm", "rough"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "mine.py").write_text(MAYHEM)
        done = genlab(folder, "train", "-m", *words, calm=name == "calm")
        assert done.returncode == (0 if name == "calm" else -9), done.stderr[-2000:]
        sweeps[name] = Sweep.open(folder / "runs" / "x")
    cut = sweeps["rough"].jobs()
    with sweeps["rough"].lock(cut[2].id):  # the job that outlived the sweep keeps everything first
        pass
    assert [job.state for job in sweeps["rough"].jobs()] == ["done", "done", "interrupted"]

    again = genlab(tmp_path / "rough", "sweep", "resume", "runs/x")
    assert again.returncode == 0, again.stderr[-2000:]
    jobs = {name: sweep.jobs() for name, sweep in sweeps.items()}
    assert [len(job.attempts) for job in jobs["rough"]] == [1, 1, 2, 1, 1]
    assert jobs["rough"][2].attempts[1]["images_seen"] > 0
    for one, other in zip(jobs["calm"], jobs["rough"], strict=True):
        assert one.overrides == other.overrides
        assert {**one.metrics, "seconds": 0} == {**other.metrics, "seconds": 0}
    study = sqlite3.connect(sweeps["rough"].path / "study.db")
    asked = study.execute("select state, count(*) from trials group by state").fetchall()
    assert asked == [("COMPLETE", 5)]
