"""Libraries' warnings and tidings are a line of the program's own, or not there."""

import subprocess
import sys
import warnings

import pytest
import torch

from genlab.cli.entry import plain_warnings
from genlab.models.vae import VAE
from genlab.types import Batch, ImageSpec

from .tiny import TINY


def test_a_warning_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    monkeypatch.setattr("logging.raiseExceptions", True)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        plain_warnings(debug=False)
        warnings.warn("something\n  of a library", UserWarning, stacklevel=1)
    assert capsys.readouterr().err == "genlab: warning: something of a library\n"


def test_active_units_of_one_image():
    """Warnings are errors here: torch has one about a variance of one."""
    torch.manual_seed(0)
    model = VAE(ImageSpec(1, 8, 8, 4), network="mlp", hidden=16, latent=4)
    x = torch.randint(4, (6, 1, 8, 8), generator=torch.Generator().manual_seed(0)).byte()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(5)
    assert model.diagnostics(Batch(x))["active_units"] == 4
    assert model.diagnostics(Batch(x[:1]))["active_units"] == 0


@pytest.mark.parametrize(
    "words",
    [
        ["data.val_size=1"],
        pytest.param(["callbacks=early_stopping"], marks=pytest.mark.slow),
    ],
)
def test_a_whole_run_has_no_library_in_it(tmp_path, words):
    kept = [w for w in TINY if not w.startswith("data.val_size")]
    done = subprocess.run(
        [sys.executable, "-m", "genlab", "train", *kept, "name=r", *words],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    again = subprocess.run(
        [sys.executable, "-m", "genlab", "train", "run=r", "trainer.max_images=128"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for text in (done.stdout + done.stderr, again.stdout + again.stderr):
        for word in ("UserWarning", ".py:", "INFO", "pytorch_lightning", "`Trainer"):
            assert word not in text
