"""The metric ode_likelihood: its keys, what stands beside it, and whom it does not measure."""

import math

import pytest
import torch

from genlab.metrics.ode import HasOde, OdeLikelihood
from genlab.metrics.suite import Suite


class Solved:
    """A model whose error falls by 16 as the steps double."""

    def __init__(self):
        self.asked = []

    def log_prob_ode(self, batch, *, steps, dequantization, generator):
        noise = torch.randn(len(batch.x), generator=generator)
        self.asked.append((steps, dequantization, batch.x.flatten(1)[:, 0].tolist(), noise))
        return -100 + noise + 16 * (4 / steps) ** 4


def measure(settings, levels=256, n=40):
    model, x = Solved(), torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1).expand(-1, 1, 2, 2)
    values = settings.measure(model, x, None, levels=levels, dims=4)
    return model, {value.key: value for value in values}


def test_the_change_by_halving_is_of_the_same_images_and_noises():
    model, found = measure(OdeLikelihood(steps=8, images=10))
    assert list(found) == ["nll_ode_10", "bpd_ode_10", "ode_halving_10"]
    (half, *one), (steps, *other) = model.asked
    assert (half, steps) == (4, 8)
    assert one[:2] == other[:2]
    assert torch.equal(one[2], other[2])
    assert found["ode_halving_10"].value == pytest.approx(16 - 1)  # nats by which half errs more
    nats = float(100 - other[2].double().mean() - 1)
    assert found["nll_ode_10"].value == pytest.approx(nats)
    assert found["bpd_ode_10"].value == pytest.approx(nats / 4 / math.log(2))
    assert found["nll_ode_10"].low < nats < found["nll_ode_10"].high
    assert found["ode_halving_10"].better is None


@pytest.mark.parametrize(
    ("levels", "noise", "usual", "key"),
    [
        (256, "auto", "uniform", "nll_ode"),
        (2, "auto", "normal", "nll_ode"),
        (256, "uniform", "uniform", "nll_ode"),
        (256, "normal", "normal", "nll_ode_normal"),
        (2, "uniform", "uniform", "nll_ode_uniform"),
    ],
)
def test_another_noise_than_usual_is_in_the_key(levels, noise, usual, key):
    model, found = measure(OdeLikelihood(steps=2, images=100, dequantization=noise), levels)
    assert {asked[1] for asked in model.asked} == {usual}
    assert list(found) == [key, key.replace("nll", "bpd"), key.replace("nll_ode", "ode_halving")]


def test_it_is_never_measured_by_default():
    assert "ode_likelihood" not in Suite().asked
    assert Suite(metrics=["ode_likelihood"]).sample_metrics == []
    assert not isinstance(object(), HasOde)
