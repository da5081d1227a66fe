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

VARIANTS = variants()


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture(params=VARIANTS, ids=lambda v: v[0] + ("-conditional" if v[1] else ""))
def variant(request):
    return request.param


@pytest.fixture
def model(variant):
    return build(variant[0], spec_of(variant[0]), **variant[1])


@pytest.fixture
def batch(variant):
    return images(spec_of(variant[0]))


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


def test_samples_are_images(model):
    contract.check_samples(model)


def test_labels_are_taken_iff_asked_for(model):
    contract.check_labels(model)


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


def test_every_parameter_gets_a_finite_gradient(model, batch):
    contract.check_gradients(model, batch)


def test_the_declared_likelihood_is_honest(variant):
    name, overrides = variant
    model = build(name, spec_of(name), **overrides)
    if model.likelihood == "none":
        contract.check_likelihood(model)
        return
    model = build(name, TINY, **overrides)
    contract.scale_weights(model, 3)  # at initial weights a leak hardly shows
    contract.check_likelihood(model)


def test_the_declared_likelihood_is_honest_after_training(variant):
    name, overrides = variant
    if build(name, spec_of(name), **overrides).likelihood == "none":
        pytest.skip("no likelihood")
    model = build(name, TINY, **overrides)
    contract.train(model, images(TINY, 16), 60, lr=3e-3)
    contract.check_likelihood(model)


def test_the_likelihood_is_a_pure_function(model, batch):
    contract.check_likelihood_is_pure(model, batch)


def test_evaluation_leaves_no_trace(model, batch):
    contract.check_evaluation_leaves_no_trace(model, batch)


def test_codes_are_what_they_promise(model, batch):
    contract.check_codes(model, batch)


def test_the_state_says_everything(variant, model, batch):
    name, overrides = variant
    contract.check_state(model, build(name, spec_of(name), seed=1, **overrides), batch)


def test_a_few_steps_lower_the_loss(name):
    spec = spec_of(name)
    model = build(name, spec)
    contract.check_learning(model, images(spec), 30)


@pytest.mark.slow
def test_two_hundred_steps_lower_the_loss_and_move_everything(variant, model, batch):
    unmoved = contract.check_learning(model, batch, 200)
    assert not unmoved, f"200 steps did not move {sorted(unmoved)}"
