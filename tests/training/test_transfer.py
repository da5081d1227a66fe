"""Another run's weights: what fits is loaded, the rest reported, what is frozen stays."""

import pytest
import torch
from torch import nn

from genlab.errors import ConfigError
from genlab.training.transfer import freeze, load_what_fits


def net(hidden, extra=False):
    layers = {"encoder": nn.Linear(4, hidden), "head": nn.Linear(hidden, 2)}
    return nn.ModuleDict(layers | ({"extra": nn.Linear(2, 2)} if extra else {}))


def test_what_fits_is_loaded_and_the_rest_is_reported():
    old, new = net(8), net(8, extra=True)
    old["head"] = nn.Linear(8, 3)
    untouched = new["head"].weight.clone()
    result = load_what_fits(new, old.state_dict())
    assert result.loaded == ["encoder.weight", "encoder.bias"]
    assert result.reshaped == ["head.weight", "head.bias"]
    assert result.missing == ["extra.weight", "extra.bias"]
    torch.testing.assert_close(new["encoder"].weight, old["encoder"].weight)
    torch.testing.assert_close(new["head"].weight, untouched)
    assert "2 other shape (head.weight, head.bias)" in str(result)


def test_nothing_in_common_is_an_error():
    with pytest.raises(ConfigError, match="init_from"):
        load_what_fits(nn.Linear(2, 2), {"other": torch.zeros(1)})


def test_frozen_parameters_get_no_gradient():
    model = net(8)
    assert freeze(model, ["encoder.*"]) == ["encoder.weight", "encoder.bias"]
    model["head"](model["encoder"](torch.randn(3, 4))).sum().backward()
    assert model["encoder"].weight.grad is None
    assert model["head"].weight.grad is not None


def test_a_pattern_that_matches_nothing_names_what_there_is():
    with pytest.raises(ConfigError, match=r"freeze: 'encodr\.\*'.*there are encoder, head"):
        freeze(net(8), ["encodr.*"])
