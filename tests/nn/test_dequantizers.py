"""Dequantization: the points lie in their bins, and the density that is claimed is theirs."""

import math

import pytest
import torch

from genlab.nn.flows.dequantizers import UniformDequantizer, VariationalDequantizer
from genlab.types import ImageSpec
from nn.bijections import shaken

SPECS = [ImageSpec(1, 4, 4, levels=4), ImageSpec(1, 1, 3, levels=2), ImageSpec(2, 2, 2, levels=256)]


def variational(spec, steps=2):
    return VariationalDequantizer(spec, steps=steps, width=4, depth=1)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_every_point_lies_in_its_bin(spec):
    x = torch.randint(0, spec.levels, (500, *spec.shape), dtype=torch.uint8)
    for dequantizer in (UniformDequantizer(spec), shaken(variational(spec), 0.5).float()):
        y, log_weight = dequantizer(x)
        assert log_weight.shape == (500,)
        error = y * spec.levels - x
        assert (error >= -1e-4).all()
        assert (error <= 1 + 1e-4).all()


def test_it_begins_as_the_uniform_one():
    spec = SPECS[0]
    x = torch.randint(0, 4, (6, *spec.shape), dtype=torch.uint8)
    ones = [
        dequantizer(x, torch.Generator().manual_seed(0))
        for dequantizer in (UniformDequantizer(spec), variational(spec))
    ]
    torch.testing.assert_close(ones[1], ones[0], rtol=0, atol=1e-4)
    torch.testing.assert_close(ones[0][1], torch.full((6,), -16 * math.log(4)))


@pytest.mark.parametrize("steps", [0, 2])
def test_the_density_of_the_noise_integrates_to_one(steps):
    """``E_q[1 / q(y | x)]`` is the volume of what q covers: the bin's."""
    spec = ImageSpec(1, 1, 2, levels=2)
    dequantizer = shaken(variational(spec, steps), 0.2).float()
    x = torch.tensor([0, 1], dtype=torch.uint8).view(1, 1, 1, 2)
    with torch.no_grad():
        y, log_weight = dequantizer(x.expand(400_000, 1, 1, 2))
    assert y.std(0).min() < 0.9 / math.sqrt(12) / 2 or (y.mean(0) * 2 - x - 0.5).abs().max() > 0.05
    volume = log_weight.double().exp().mean()
    torch.testing.assert_close(volume, torch.tensor(0.25).double(), rtol=0.02, atol=0)
