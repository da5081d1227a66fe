"""Launchers and sweepers of other packages, each with a real sweep; skipped where not installed."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

from .conftest import TINY

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
