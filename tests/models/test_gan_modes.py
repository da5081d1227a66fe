"""The default reaches the modes of a ring and of a grid, over three seeds."""

import math

import pytest
import torch
from families import build

from genlab.data.gaussians import Gaussians
from genlab.training.step.ema import EMA
from genlab.training.step.player_toggle import PlayerToggle
from genlab.types import Batch

BATCH = 128


def modes(layout, seed, steps, lr=1e-3):
    """How many modes 2,500 samples reach, and how many samples lie within 3 deviations of one."""
    data = Gaussians(layout=layout)
    x = data.load("train").x
    model = build("gan", data.spec, seed=seed)
    ema, turns = EMA(model, halflife=20_000), PlayerToggle(model)
    optimizers = {
        player: torch.optim.Adam(
            model.player(player).parameters(), lr=lr, betas=(0.5, 0.999), fused=True
        )
        for player in model.players
    }
    g = torch.Generator().manual_seed(seed)
    for step in range(steps):
        batch = Batch(x[torch.randint(0, len(x), (BATCH,), generator=g)])
        model.step, model.images_seen = step, step * BATCH
        factor = (1 + math.cos(math.pi * step / steps)) / 2
        for player, optimizer in optimizers.items():
            optimizer.param_groups[0]["lr"] = lr * factor
            turns.switch(player)
            model.loss(batch, player).total.backward()
            optimizer.step()
            optimizer.zero_grad()
            model.after_step(player)
        ema.update(BATCH, (step + 1) * BATCH)
    mode, distance = data.assign(ema.model.sample(2500, generator=g))
    return len(mode[distance <= 3].unique()), float((distance <= 3).float().mean())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("layout", "least", "share"), [("ring", 8, 0.25), ("grid", 24, 0.25)])
def test_the_default_reaches_the_modes(layout, least, share, seed):
    found, within = modes(layout, seed, steps=8000)
    assert found >= least
    # A uniform cloud has 5 % of its points near the grid's modes, and the data 99 %.
    assert within > share
