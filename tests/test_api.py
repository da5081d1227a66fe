"""The Python interface: what it returns is what the commands write."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from faults.tiny import words

import genlab
from genlab.cli.entry import main
from genlab.errors import ConfigError, Unsupported
from genlab.tasks.latent import STEPS, Interpolate


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run root with two runs, one of them conditional."""
    folder = tmp_path_factory.mktemp("api")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        genlab.train(*words("vae_mlp", "trainer.epochs=1", "name=one"))
        genlab.train(*words("gan_mlp", "trainer.epochs=1", "name=two", "model.conditional=true"))
    return folder


@pytest.fixture
def inside(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["genlab"])
    return folder


def test_samples_are_those_of_the_command(inside):
    samples = genlab.load("one", device="cpu").sample(6, seed=3, temperature=0.7)
    assert main(["sample", "run=one", "n=6", "seed=3", "temperature=0.7", "out=six.npz"]) == 0
    with np.load("six.npz") as file:
        expected = torch.from_numpy(file["images"]).permute(0, 3, 1, 2)
    torch.testing.assert_close(samples.x, expected, rtol=0, atol=0)
    assert samples.count == "6 images"
    assert samples._repr_png_().startswith(b"\x89PNG")
    assert samples.save("six.png").is_file()
    assert samples.note["sampling"] == {"temperature": 0.7}


def test_the_newest_run_of_a_root_is_found_by_its_path(inside):
    model = genlab.load("runs/last")
    assert model.path.name == "two"
    assert "GAN of runs/two" in repr(model)


def test_likelihood_and_codes_are_the_models(inside):
    one = genlab.load("one", device="cpu")
    x = torch.randint(0, 4, (3, *one.spec.shape), dtype=torch.uint8)
    values = one.log_prob(x, samples=2)
    assert values.shape == (3,)
    torch.testing.assert_close(values, one.log_prob(x, samples=2), rtol=0, atol=0)
    assert one.decode(one.encode(x)).shape == x.shape
    with pytest.raises(Unsupported, match="no likelihood"):
        genlab.load("two", device="cpu").log_prob(x, torch.zeros(3, dtype=torch.int64))


def test_tasks_are_performed(inside):
    made = genlab.load("one").perform(Interpolate(), 2 * STEPS)
    assert len(made) == 2 * STEPS
    with pytest.raises(ConfigError, match=r"label=99: 0 to \d+ are allowed"):
        genlab.load("two").sample(2, label=99)
    with pytest.raises(ConfigError, match="did you mean 'temperature'"):
        genlab.load("one").sample(2, temprature=0.5)


def test_a_comparison_is_the_commands_leaderboard(inside):
    found = genlab.compare("runs")
    assert {row["name"] for row in found.rows()} >= {"one", "two"}
    assert found.best.endswith(("one", "two"))
    assert "<table>" in found._repr_html_()
    assert "| configuration |" in repr(found)
    with pytest.raises(ConfigError, match="fd_pixel"):
        genlab.compare("runs", sort="fd_pixel")


def test_wrong_configs_are_answered_as_on_the_command_line(inside):
    with pytest.raises(ConfigError, match="did you mean"):
        genlab.train("model=vea")
    with pytest.raises(ConfigError, match=r"trainer.chunk=0"):
        genlab.train("trainer.chunk=0")
    with pytest.raises(ConfigError, match="does not exist"):
        genlab.load("nowhere")


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, genlab, genlab.api; genlab.load;"
        "print(*({'torch', 'hydra', 'pytorch_lightning', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_run_is_trained_by_a_program_without_arguments(tmp_path, monkeypatch):
    """What a notebook or a script is started with is not read as a command line of genlab's."""
    monkeypatch.chdir(tmp_path)
    for argv in ([], ["script.py"], ["script.py", "--config-dir"], ["kernel", "-f", "a.json"]):
        monkeypatch.setattr("sys.argv", argv)
        model = genlab.train(*words("vae_mlp", "trainer.epochs=1"))
        assert model.path.is_dir()
