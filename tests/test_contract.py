"""Every file under configs/model keeps the family contract: this is what a family is."""

import contract
import pytest
from families import (
    NAMES,
    TINY,
    build,
    config,
    header,
    images,
    promised_parameters,
    spec_of,
    variants,
)

from genlab.errors import ConfigError
from genlab.models.base import GenerativeModel
from genlab.types import ImageSpec


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture(params=variants(), ids=lambda v: v[0] + ("-conditional" if v[1] else ""))
def variant(request):
    """A family as it is, and conditional, where the two differ."""
    return request.param


@pytest.fixture
def model(name):
    return build(name, spec_of(name))


@pytest.fixture
def batch(name):
    return images(spec_of(name))


def test_no_family_is_missed():
    assert len(NAMES) >= 11
    assert {"vae", "vae_mlp", "beta_vae", "iwae", "cvae", "vq_vae", "ae"} <= set(NAMES)


def test_the_header_keeps_its_promises(name):
    promise = header(name)[0]
    assert promise[0].isupper()
    assert promise.endswith(".")
    assert len(promise) <= 100
    assert any(line.startswith("command: genlab ") for line in header(name))
    count, spec = promised_parameters(name)
    model = build(name, spec)
    assert isinstance(model, GenerativeModel)
    found = sum(p.numel() for p in model.parameters())
    assert count == found, f"{name}.yaml should say '# parameters: {found:,} on ...'"


def test_samples_are_images(variant):
    name, overrides = variant
    contract.check_samples(build(name, spec_of(name), **overrides))


def test_labels_are_taken_iff_asked_for(variant):
    name, overrides = variant
    contract.check_labels(build(name, spec_of(name), **overrides))


def test_a_conditional_model_needs_labels(name):
    spec = spec_of(name)
    unlabelled = ImageSpec(*spec.shape, levels=spec.levels)
    if config(name).get("conditional") is None:
        assert not build(name, unlabelled).conditional
        return
    assert not build(name, unlabelled, conditional=False).conditional
    with pytest.raises(ConfigError, match="conditional"):
        build(name, unlabelled, conditional=True)


def test_every_parameter_has_one_player(model):
    contract.check_players(model)


def test_every_parameter_gets_a_finite_gradient(variant):
    name, overrides = variant
    spec = spec_of(name)
    contract.check_gradients(build(name, spec, **overrides), images(spec))


def test_the_declared_likelihood_is_honest(variant):
    name, overrides = variant
    model = build(name, spec_of(name), **overrides)
    if model.likelihood == "none":
        contract.check_likelihood(model)
        return
    model = build(name, TINY, **overrides)
    contract.scale_weights(model, 3)  # at initial weights a leak hardly shows
    contract.check_likelihood(model)


def test_the_declared_likelihood_is_honest_after_training(name, model):
    if model.likelihood == "none":
        pytest.skip("no likelihood")
    model = build(name, TINY)
    contract.train(model, contract.few_images(TINY), 150, lr=1e-2)
    contract.check_likelihood(model)


def test_the_likelihood_is_a_pure_function(model, batch):
    contract.check_likelihood_is_pure(model, batch)


def test_evaluation_leaves_no_trace(model, batch):
    contract.check_evaluation_leaves_no_trace(model, batch)


def test_codes_are_what_they_promise(model, batch):
    contract.check_codes(model, batch)


def test_the_state_says_everything(name, model, batch):
    contract.check_state(model, build(name, spec_of(name), seed=1), batch)


def test_a_few_steps_lower_the_loss(model, batch):
    contract.check_learning(model, batch, 20)


@pytest.mark.slow
def test_two_hundred_steps_lower_the_loss_and_move_everything(variant):
    name, overrides = variant
    spec = spec_of(name)
    unmoved = contract.check_learning(build(name, spec, **overrides), images(spec), 200)
    assert not unmoved, f"200 steps did not move {sorted(unmoved)}"
