"""Conditions: the check of them, and one embedding of labels for all families."""

import pytest
import torch
from torch import nn

from genlab.errors import ConfigError
from genlab.nn.conditions import LabelEmbedding, check_condition, condition_embedding
from genlab.types import ImageSpec, LabelSpec, SequenceSpec

GRAY = ImageSpec(1, 2, 3)


def test_the_embedding_of_labels_is_torchs_in_names_and_initial_weights():
    torch.manual_seed(3)
    ours, state = LabelEmbedding(5, 4), torch.get_rng_state()
    torch.manual_seed(3)
    theirs = nn.Embedding(5, 4)
    assert torch.equal(state, torch.get_rng_state())
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    assert torch.equal(ours.weight, theirs.weight)
    y = torch.tensor([4, 0, 4])
    assert torch.equal(ours(y), theirs(y))
    with pytest.raises(ConfigError, match="labels from 0 to 4"):
        ours(None)


def test_without_a_condition_there_is_no_vector_and_no_state():
    nothing = condition_embedding(None, 8)
    assert (nothing(None), nothing(torch.tensor([1])), nothing.embedding_dim) == (None, None, 0)
    assert not nothing.state_dict()
    some = condition_embedding(LabelSpec(3), 8)
    assert (some(torch.tensor([1, 2])).shape, some.embedding_dim) == ((2, 8), 8)


def test_what_fits_passes():
    labels = torch.tensor([2, 0], dtype=torch.uint8)
    assert check_condition(labels, LabelSpec(3), 2).dtype == torch.int64
    images = torch.zeros(2, 1, 2, 3, dtype=torch.uint8)
    assert check_condition(images, GRAY, 2) is images
    assert check_condition(None, None, 2) is None


@pytest.mark.parametrize(
    ("y", "condition", "said"),
    [
        (torch.tensor([0, 1]), None, "not conditional"),
        (None, LabelSpec(3), "2 labels from 0 to 2"),
        (torch.tensor([0, 3]), LabelSpec(3), "2 labels from 0 to 2"),
        (torch.tensor([0, -1]), LabelSpec(3), "2 labels from 0 to 2"),
        (torch.tensor([0]), LabelSpec(3), "2 labels from 0 to 2"),
        (None, GRAY, r"images, torch.uint8 of shape \(2, 1, 2, 3\)"),
        (torch.zeros(2, 1, 2, 3), GRAY, "images, torch.uint8"),
        (torch.zeros(2, 2, 3, dtype=torch.uint8), GRAY, "images, torch.uint8"),
        (torch.zeros(2, 4, dtype=torch.int32), SequenceSpec(4), "sequences, torch.int64"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(y, condition, said):
    with pytest.raises(ConfigError, match=said) as caught:
        check_condition(y, condition, 2)
    assert "\n" not in str(caught.value)
