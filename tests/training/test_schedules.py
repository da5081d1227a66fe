"""Schedules against torch's own, and by their values at the ends."""

import pytest
import torch

from genlab.errors import ConfigError
from genlab.training.schedules import Constant, Cosine, OneCycle, Plateau, Step, WarmupCosine

STEPS = 40


def torch_rates(make):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_cosine_is_torchs():
    theirs = torch_rates(
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, STEPS, eta_min=0.1)
    )
    ours = [Cosine(end=0.1).factor(i / STEPS) for i in range(STEPS)]
    assert ours == pytest.approx(theirs, abs=1e-12)


def test_step_is_torchs():
    theirs = torch_rates(lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [10, 30], gamma=0.2))
    ours = [Step(at=[0.25, 0.75], factor=0.2).factor(i / STEPS) for i in range(STEPS)]
    assert ours == pytest.approx(theirs, abs=1e-12)


def test_warm_up_rises_in_a_line_and_meets_the_cosine():
    schedule = WarmupCosine(warmup=0.1, end=0.0)
    assert schedule.factor(0.05) == pytest.approx(0.5)
    assert schedule.factor(0.1) == pytest.approx(1.0)
    assert schedule.factor(0.55) == pytest.approx(0.5)
    assert schedule.factor(1.0) == pytest.approx(0.0)
    assert schedule.factor(0.0) > 0
    assert WarmupCosine(warmup=0.0).factor(0.0) == 1.0
    assert WarmupCosine(warmup=1.0).factor(1.0) == pytest.approx(1.0)


def test_one_cycle_starts_peaks_and_ends():
    schedule = OneCycle(start=0.04, peak=0.3, end=1e-4)
    assert [schedule.factor(s) for s in (0.0, 0.3, 1.0)] == pytest.approx([0.04, 1.0, 1e-4])


def test_constant_needs_no_end():
    assert not Constant.needs_end
    assert Constant().factor(0.7) == 1.0


def test_plateau_waits_then_falls_and_resumes_where_it_was():
    schedule = Plateau(factor=0.5, patience=1)
    factors = []
    for loss in (3.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.0):
        schedule.observe({"val/loss": loss})
        factors.append(schedule.factor(0.0))
        resumed = Plateau(factor=0.5, patience=1)
        resumed.load_state_dict(schedule.state_dict())
        schedule = resumed
    assert factors == [1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25]


def test_plateau_names_what_there_is():
    with pytest.raises(ConfigError, match=r"scheduler.monitor=val/x.*val/loss"):
        Plateau(monitor="val/x").observe({"val/loss": 1.0})
