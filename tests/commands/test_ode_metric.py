"""genlab evaluate metrics=ode: a diffusion model is measured, another one is left out."""

import json

from .conftest import TINY

FEW = ("metrics=ode", "metrics.ode.steps=4", "metrics.ode.images=6", "metrics.likelihood_images=8")


def test_a_diffusion_model_has_a_likelihood_by_its_ode(genlab, tmp_path):
    model = ("model=diffusion_mlp", "model.width=16", *TINY[3:])
    code, _, err = genlab("train", *model, "trainer.epochs=1", "name=tiny")
    assert code == 0, err
    code, out, err = genlab("evaluate", "run=tiny", *FEW)
    assert code == 0, err
    assert all(key in out for key in ("nll_ode_6", "bpd_ode_6", "ode_halving_6", "nll_vlb_8"))
    file = next((tmp_path / "runs" / "tiny" / "evaluation").glob("ode-*.json"))
    values = {value["key"]: value for value in json.loads(file.read_text())["values"]}
    assert values["nll_ode_6"]["n"] == 6
    assert values["ode_halving_6"]["value"] != 0
    code, again, _ = genlab("evaluate", "run=tiny", *FEW)
    assert code == 0
    line = next(line for line in out.splitlines() if "nll_ode_6" in line)
    assert line.split()[:4] == next(x for x in again.splitlines() if "nll_ode_6" in x).split()[:4]


def test_a_model_without_an_ode_is_left_out_in_a_line(genlab, trained):
    code, out, err = genlab("evaluate", "run=tiny", *FEW)
    assert code == 0, err
    assert "nll_ode" not in out
    assert "no nll_ode: VAE has no probability-flow ODE of its images" in err
