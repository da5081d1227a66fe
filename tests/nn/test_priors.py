"""Priors that are fitted to codes: what a fit is for."""

import pytest
import torch

from genlab.nn.latents.priors import FittedPrior, LearnedPrior


def two_heaps():
    z = torch.randn(400, 2, generator=torch.Generator().manual_seed(0)) * 0.1
    return torch.cat([z[:200] + torch.tensor([3.0, 0.0]), z[200:] - torch.tensor([3.0, 0.0])])


@pytest.mark.parametrize("kind", [FittedPrior, LearnedPrior])
def test_a_fit_finds_the_codes(kind):
    prior, z = kind(2, 2), two_heaps()
    before = float(prior(None).log_prob(z).mean().detach())
    prior.fit(z)
    after = float(prior(None).log_prob(z).mean().detach())
    # Two heaps of equal weight with deviation 0.1: ln(1/2) - 2 ln(0.1) - ln(2 pi) - 1
    expected = -0.6931 + 4.6052 - 1.8379 - 1.0
    assert after == pytest.approx(expected, abs=0.1)
    assert after > before + 2
    assert sorted(prior.mean[:, 0].round().tolist()) == [-3.0, 3.0]
    again = kind(2, 2)
    again.fit(z)
    torch.testing.assert_close(again.state_dict(), prior.state_dict(), rtol=0, atol=0)


def test_a_learned_prior_stays_trainable_after_a_fit():
    prior = LearnedPrior(2, 2)
    prior.fit(two_heaps())
    prior(None).log_prob(two_heaps()).mean().backward()
    assert all(p.grad is not None for p in prior.parameters())
