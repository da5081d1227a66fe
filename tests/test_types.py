"""Specs of every kind, and what they say of their condition."""

import dataclasses

import pytest
import torch

from genlab.errors import ConfigError
from genlab.models.vae import VAE
from genlab.types import ImageSpec, LabelSpec, SequenceSpec, Spec, VectorSpec

SMALL = {"network": "mlp", "hidden": 4, "latent": 2}


def test_the_labels_of_images_are_their_condition():
    spec = ImageSpec(1, 2, 2, num_classes=3)
    assert spec.condition == LabelSpec(3)
    assert spec == ImageSpec(1, 2, 2, condition=LabelSpec(3))
    assert hash(spec) == hash(ImageSpec(1, 2, 2, condition=LabelSpec(3)))
    assert ImageSpec(1, 2, 2).condition is None
    assert dataclasses.replace(spec, levels=2).condition == LabelSpec(3)
    assert dataclasses.replace(spec, num_classes=0, condition=None).condition is None


def test_images_given_something_else_have_no_classes():
    gray = ImageSpec(1, 2, 2)
    assert ImageSpec(3, 2, 2, condition=gray).num_classes == 0
    for condition in (gray, LabelSpec(2)):
        with pytest.raises(ValueError, match="num_classes=3 beside"):
            ImageSpec(3, 2, 2, num_classes=3, condition=condition)


@pytest.mark.parametrize(
    ("spec", "facts"),
    [
        (ImageSpec(3, 4, 5), ("image", (3, 4, 5), 60, 256, "pixel", torch.uint8)),
        (SequenceSpec(7, 9), ("sequence", (7,), 7, 9, "token", torch.int64)),
        (VectorSpec(2), ("vector", (2,), 2, None, "number", torch.float32)),
        (LabelSpec(4), ("label", (), 1, 4, "label", torch.int64)),
    ],
    ids=lambda value: value.kind() if isinstance(value, Spec) else "",
)
def test_each_kind_says_what_its_examples_are(spec, facts):
    found = (spec.kind(), spec.shape, spec.dims, spec.levels, spec.unit, spec.dtype)
    assert found == facts
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.levels = 3
    given = dataclasses.replace(spec, condition=VectorSpec(3))
    assert given.condition.kind() == "vector"


@pytest.mark.parametrize(
    ("spec", "line"),
    [
        (SequenceSpec(4), "model: VAE models images, not sequences"),
        (ImageSpec(1, 2, 2), "model.conditional=true needs labels, and this data set has none"),
        (
            ImageSpec(1, 2, 2, condition=ImageSpec(1, 2, 2)),
            "model.conditional=true: VAE can be conditioned on labels, and this data set offers "
            "images",
        ),
    ],
    ids=["kind", "nothing", "kind of condition"],
)
def test_a_spec_that_does_not_fit_is_refused_in_one_line(spec, line):
    with pytest.raises(ConfigError) as caught:
        VAE(spec, conditional=True, **SMALL)
    assert str(caught.value) == line


def test_a_condition_that_is_not_asked_for_is_left_alone():
    for condition in (LabelSpec(3), ImageSpec(1, 2, 2), None):
        model = VAE(ImageSpec(1, 2, 2, condition=condition), **SMALL)
        assert (model.conditional, model.condition, model.num_classes) == (False, None, 0)
    model = VAE(ImageSpec(1, 2, 2, condition=LabelSpec(3)), conditional=True, **SMALL)
    assert (model.conditional, model.condition, model.num_classes) == (True, LabelSpec(3), 3)
