"""Every file under configs/model keeps the family contract: this is what a family is."""

import contract
import pytest
from families import (
    HEAVY,
    NAMES,
    SPECS,
    TINIEST,
    accepted,
    build,
    case_id,
    cases,
    config,
    examples,
    header,
    promised_parameters,
    spec_of,
    variants,
    without_condition,
)

from genlab.errors import ConfigError
from genlab.models.base import GenerativeModel

TRAINED = [
    pytest.param(case, id=case_id(case), marks=[pytest.mark.slow] * (case[0] in HEAVY))
    for case in cases()
]
"""Heavy families train in `make test-all`."""

LIKELY = [
    pytest.param(case, id=case_id(case), marks=[pytest.mark.slow] * (case[0] in HEAVY))
    for case in variants()
]


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture(params=cases(), ids=case_id)
def case(request):
    """A family, and a kind of data that it models."""
    return request.param


@pytest.fixture(params=variants(), ids=case_id)
def variant(request):
    """A case as it is, and conditional, where the two differ."""
    return request.param


@pytest.fixture
def model(case):
    return build(case[0], spec_of(*case))


@pytest.fixture
def batch(case):
    return examples(spec_of(*case))


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


def test_data_of_a_kind_that_it_does_not_model_is_refused(name):
    assert accepted(name)
    for kind in set(SPECS) - set(accepted(name)):
        with pytest.raises(ConfigError, match="models"):
            build(name, SPECS[kind][0])


def test_samples_are_examples(variant):
    name, kind, overrides = variant
    contract.check_samples(build(name, spec_of(name, kind), **overrides))


def test_partial_results_are_reported_iff_declared(model):
    contract.check_progress(model)


def test_conditions_are_taken_iff_asked_for(variant):
    name, kind, overrides = variant
    contract.check_conditions(build(name, spec_of(name, kind), **overrides))


def test_a_conditional_model_needs_conditions(case):
    name = case[0]
    bare = without_condition(spec_of(*case))
    if config(name).get("conditional") is None:
        assert not build(name, bare).conditional
        return
    assert not build(name, bare, conditional=False).conditional
    with pytest.raises(ConfigError, match="conditional"):
        build(name, bare, conditional=True)


def test_every_parameter_has_one_player(model):
    contract.check_players(model)


def test_every_parameter_gets_a_finite_gradient(variant):
    name, kind, overrides = variant
    spec = spec_of(name, kind)
    contract.check_gradients(build(name, spec, **overrides), examples(spec))


def test_half_precision_trains(variant):
    name, kind, overrides = variant
    spec = spec_of(name, kind)
    model, batch = build(name, spec, **overrides), examples(spec, 2)
    for player in model.players:
        model.loss(examples(spec), player)  # layers initialize by a first batch
    contract.check_half_precision(model, batch)


@pytest.mark.parametrize("variant", LIKELY)
def test_the_declared_likelihood_is_honest(variant):
    name, kind, overrides = variant
    model = build(name, spec_of(name, kind), **overrides)
    if model.likelihood == "none":
        contract.check_likelihood(model)
        return
    model = build(name, TINIEST[kind], **overrides)
    contract.scale_weights(model, 3)  # at initial weights a leak hardly shows
    contract.check_likelihood(model)


@pytest.mark.parametrize("case", TRAINED)
def test_the_declared_likelihood_is_honest_after_training(case, model):
    if model.likelihood == "none":
        pytest.skip("no likelihood")
    name, kind = case
    model = build(name, TINIEST[kind])
    contract.train(model, contract.few_examples(TINIEST[kind]), 150, lr=1e-2)
    contract.check_likelihood(model)


def test_the_likelihood_is_a_pure_function(model, batch):
    contract.check_likelihood_is_pure(model, batch)


def test_evaluation_leaves_no_trace(model, batch):
    contract.check_evaluation_leaves_no_trace(model, batch)


def test_codes_are_what_they_promise(model, batch):
    contract.check_codes(model, batch)


def test_the_state_says_everything(case, model, batch):
    contract.check_state(model, build(case[0], spec_of(*case), seed=1), batch)


@pytest.mark.parametrize("case", TRAINED)
def test_a_few_steps_lower_the_loss(case, model, batch):
    contract.check_learning(model, batch, 20)


@pytest.mark.slow
def test_two_hundred_steps_lower_the_loss_and_move_everything(variant):
    name, kind, overrides = variant
    spec = spec_of(name, kind)
    unmoved = contract.check_learning(build(name, spec, **overrides), examples(spec), 200)
    assert not unmoved, f"200 steps did not move {sorted(unmoved)}"
