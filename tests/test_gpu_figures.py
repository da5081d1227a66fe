"""Figures of a GPU: scripts/gpu.py, and what headers and docs quote of what it measured."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SEEN = json.loads((ROOT / "docs" / "gpu.json").read_text())
SPEED = (ROOT / "docs" / "speed.md").read_text()


@pytest.fixture
def gpu(monkeypatch):
    """The script as a module."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import gpu

    return gpu


@pytest.mark.parametrize("name", SEEN["recipes"])
def test_a_header_and_the_docs_say_what_was_seen(name):
    header = (ROOT / "configs" / "experiment" / f"{name}.yaml").read_text().split("defaults:")[0]
    seen = SEEN["recipes"][name]
    row = next(line for line in SPEED.splitlines() if line.startswith(f"| `{name}`"))
    quoted = [f"{seen['images_seen']:,}", f"{seen['metrics']['fd_digits']:.2f}"]
    quoted += [f"{v:.2f}" for k, v in seen["metrics"].items() if k in ("nll_elbo", "nll_vlb")]
    for text in quoted:
        assert text in header
        assert text in row
    assert f"{seen['train_seconds']:.0f} s" in header


def test_the_docs_say_what_was_measured_of_speed():
    for bench in SEEN["benches"]:
        for row in bench["rows"]:
            assert f"{row['per_second']:,.0f}" in SPEED


def test_all_recipes_for_a_gpu_are_steps(gpu):
    found = gpu.recipes()
    assert set(found) == {p.stem for p in (ROOT / "configs/experiment").glob("*_gpu.yaml")}
    minutes = [gpu.minutes_of(ROOT / "configs" / "experiment" / f"{name}.yaml") for name in found]
    assert minutes == sorted(minutes)


def test_steps_that_are_done_are_left_out_and_others_end_in_time(gpu, tmp_path, monkeypatch):
    class Quick(gpu.Step):
        def command(self):
            seconds = 60 if self.name == "endless" else 0
            return [sys.executable, "-c", f"import time; time.sleep({seconds}); print('1 passed')"]

    monkeypatch.setattr(gpu, "Step", Quick)
    monkeypatch.setattr(gpu, "recipes", lambda: ["endless"])
    monkeypatch.setattr(gpu, "BENCH", "none")
    words = ["gpu.py", str(tmp_path), "--minutes", "0.05", "--only"]
    monkeypatch.setattr(sys, "argv", [*words, "tests"])
    gpu.main()
    result = json.loads((tmp_path / "tests.json").read_text())
    assert (result["exit"], result["said"]) == (0, "1 passed")
    before = (tmp_path / "tests.json").stat().st_mtime_ns
    monkeypatch.setattr(sys, "argv", [*words, "tests", "endless"])
    gpu.main()
    assert (tmp_path / "tests.json").stat().st_mtime_ns == before
    assert not (tmp_path / "endless.json").exists()


def test_a_recipe_goes_on_where_it_was_stopped(gpu, tmp_path):
    step = gpu.Step("vae_mnist_dyn_gpu", tmp_path)
    assert "experiment=vae_mnist_dyn_gpu" in step.command()
    (tmp_path / "runs" / "vae_mnist_dyn_gpu").mkdir(parents=True)
    assert f"run={tmp_path / 'runs' / 'vae_mnist_dyn_gpu'}" in step.command()


def test_an_unknown_step_is_answered_with_those_there_are():
    words = [sys.executable, str(ROOT / "scripts" / "gpu.py"), "x", "--only", "nothing"]
    answer = subprocess.run(words, capture_output=True, text=True)
    assert answer.returncode == 2
    assert "vae_mnist_dyn_gpu" in answer.stderr
