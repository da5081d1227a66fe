"""Every invertible step: Jacobians and inverses by autograd, and what each one promises."""

import io

import pytest
import torch

from genlab.errors import ConfigError
from genlab.nn.flows.actnorm import ActNorm
from genlab.nn.flows.conditioner import make_conditioner
from genlab.nn.flows.coupling import Conditioned, Coupling, split_sizes
from genlab.nn.flows.elementwise import Affine, make_elementwise
from genlab.nn.flows.invertible import Chain, Flatten, soft_clamp
from genlab.nn.flows.logit import Logit, Stretch, log_sigmoid_slope
from genlab.nn.flows.lu import InvertibleLinear, Riffle
from genlab.nn.flows.multiscale import FactorOut, TopPrior
from genlab.nn.flows.plan import FlowPlan, build_flow
from genlab.nn.flows.squeeze import Squeeze
from nn.bijections import check_bijection, log_dets_by_autograd, shaken


def maps(n=3, c=4, h=2, w=3):
    return torch.randn(n, c, h, w, dtype=torch.float64)


def network(given, changing, function, shape=(2, 3), **options):
    return make_conditioner((given, *shape), changing * function.size, width=5, depth=1, **options)


@pytest.mark.parametrize("channels", [4, 5])
@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("name", ["additive", "affine", "spline"])
def test_couplings(name, swap, channels):
    function = make_elementwise(name, bins=4)
    given, changing = Coupling.counts(channels, swap)
    net = network(given, changing, function)
    step = shaken(Coupling(channels, net, function, swap))
    x = maps(c=channels)
    check_bijection(step, x)
    z, log_det = step(x)
    kept = slice(split_sizes(channels)[0], None) if swap else slice(0, split_sizes(channels)[0])
    torch.testing.assert_close(z[:, kept], x[:, kept], rtol=0, atol=0)
    if name == "additive":
        assert (log_det == 0).all()


def test_a_coupling_of_vectors_with_a_label():
    function = make_elementwise("spline")
    net = make_conditioner((3,), 3 * function.size, width=6, depth=1, context=2)
    step, x = shaken(Coupling(6, net, function)), torch.randn(4, 6).double()
    context = torch.randn(4, 2).double()
    check_bijection(step, x, context)
    assert not torch.allclose(step(x, context)[0], step(x, context + 1)[0])


def test_a_coupling_of_maps_with_a_label_or_with_a_map():
    function = make_elementwise("affine")
    x = maps()
    for context, options in [
        (torch.randn(3, 2).double(), {"context": 2}),
        (maps(c=3), {"context": 3, "context_map": True}),
    ]:
        step = shaken(Coupling(4, network(2, 2, function, **options), function))
        check_bijection(step, x, context)
        assert not torch.allclose(step(x, context)[0], step(x, context + 1)[0])


def test_what_the_context_alone_decides():
    step = shaken(Conditioned(network(3, 4, Affine()), Affine()))
    check_bijection(step, maps(), maps(c=3))


def test_a_coupling_begins_as_the_identity():
    for name in ("additive", "affine", "spline"):
        function = make_elementwise(name)
        step, x = Coupling(4, network(2, 2, function), function), maps().float()
        z, log_det = step(x)
        torch.testing.assert_close(z, x, rtol=0, atol=1e-6)
        torch.testing.assert_close(log_det, torch.zeros(3), rtol=0, atol=1e-5)


def test_the_log_scale_is_bounded_whatever_the_network_says():
    x, params = torch.randn(2, 3), torch.full((2, 2, 3), 1e6)
    y, log_det = Affine(limit=2.0).forward(x, params)
    torch.testing.assert_close(log_det, torch.full((2,), 6.0))
    torch.testing.assert_close(soft_clamp(torch.tensor([1e-3]), 2.0), torch.tensor([1e-3]))
    assert y.isfinite().all()


def test_one_number_has_no_halves():
    with pytest.raises(ConfigError, match="at least 2"):
        split_sizes(1)


@pytest.mark.parametrize("shape", [(1, 4, 6), (3, 2, 2)])
def test_squeeze(shape):
    step, x = Squeeze(shape), torch.randn(2, *shape).double()
    z, log_det = step(x)
    assert z.shape == (2, *step.after)
    torch.testing.assert_close(step.inverse(z), x, rtol=0, atol=0)
    torch.testing.assert_close(log_det, log_dets_by_autograd(step, x), rtol=0, atol=1e-8)
    assert sorted(z.flatten().tolist()) == sorted(x.flatten().tolist())


def test_the_halves_of_a_squeeze_are_a_checkerboard():
    black = (torch.arange(4)[:, None] + torch.arange(6)) % 2 == 0
    z, _ = Squeeze((1, 4, 6))(black.double().view(1, 1, 4, 6))
    assert (z[:, :2] == 1).all()
    assert (z[:, 2:] == 0).all()


@pytest.mark.parametrize("shape", [(1, 3, 4), (1, 4, 3)])
def test_odd_sides_cannot_be_squeezed(shape):
    with pytest.raises(ConfigError, match="even"):
        Squeeze(shape)


@pytest.mark.parametrize("x", [maps(), torch.randn(5, 4).double()], ids=["maps", "vectors"])
@pytest.mark.parametrize("reverse", [False, True])
def test_the_learned_matrix(reverse, x):
    step = shaken(InvertibleLinear(4, reverse))
    check_bijection(step, x)
    sites = x[0, 0].numel()
    expected = sites * torch.linalg.slogdet(step.weight()).logabsdet
    torch.testing.assert_close(step(x)[1], expected.expand(len(x)), rtol=0, atol=1e-10)


def test_the_learned_matrix_begins_as_a_permutation():
    torch.testing.assert_close(InvertibleLinear(3).weight(), torch.eye(3).double())
    torch.testing.assert_close(
        InvertibleLinear(3, reverse=True).weight(), torch.eye(3).flip(0).double()
    )


@pytest.mark.parametrize("n", [2, 5, 6])
def test_riffle(n):
    x = torch.arange(float(n)).expand(2, n)
    z, log_det = Riffle(n)(x)
    assert z[0].tolist() == [*range(0, n, 2), *range(1, n, 2)]
    assert (log_det == 0).all()
    torch.testing.assert_close(Riffle(n).inverse(z), x, rtol=0, atol=0)


@pytest.mark.parametrize("x", [3 * maps(n=64) + 7, 3 * torch.randn(64, 4).double() + 7])
def test_actnorm_starts_from_the_first_batch_and_no_other(x):
    step = ActNorm(4).double()
    z, _ = step.eval()(x)
    torch.testing.assert_close(z, x)  # not in evaluation mode
    z, _ = step.train()(x)
    rows = z.movedim(1, 0).flatten(1)
    torch.testing.assert_close(rows.mean(1), torch.zeros(4).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(rows.var(1, correction=0), torch.ones(4).double())
    again, _ = step(5 * x)
    assert rows.std() < again.std() / 4
    check_bijection(shaken(step), x[:3])


def test_actnorm_survives_a_state_dict():
    step, x = ActNorm(4), maps().float() + 5
    step(x)
    file = io.BytesIO()
    torch.save(step.state_dict(), file)
    file.seek(0)
    other = ActNorm(4)
    other.load_state_dict(torch.load(file, weights_only=True))
    torch.testing.assert_close(other(2 * x)[0], step(2 * x)[0])  # in training mode


def test_actnorm_of_a_constant_stays_finite():
    step = ActNorm(2)
    z, log_det = step(torch.full((8, 2), 3.0))
    assert z.isfinite().all()
    assert log_det.isfinite().all()


def test_logit_and_stretch():
    x = torch.rand(3, 1, 2, 3).double()
    x[0, 0, 0] = torch.tensor([0.0, 1.0, 0.5]).double()
    check_bijection(Logit(1e-3), x)
    check_bijection(Stretch(), x)
    v = torch.tensor([-50.0, 0.3, 50.0], requires_grad=True)
    (slope,) = torch.autograd.grad(v.sigmoid().sum(), v)
    assert log_sigmoid_slope(v).isfinite().all()
    torch.testing.assert_close(log_sigmoid_slope(v).exp()[1], slope[1])


def test_half_leaves_under_a_prior_given_the_rest():
    net = network(2, 2, Affine())
    step = shaken(FactorOut((4, 2, 3), net, Chain([Flatten((2, 2, 3)), TopPrior(12)])))
    x = maps()
    check_bijection(step, x)
    torch.testing.assert_close(step(x)[0][:, 12:], step.prior(x)[0][:, 2:].flatten(1))


def test_the_top_prior_knows_the_label():
    step, x = shaken(TopPrior(5, context=2)), torch.randn(3, 5).double()
    context = torch.randn(3, 2).double()
    check_bijection(step, x, context)
    assert not torch.allclose(step(x, context)[0], step(x, -context)[0])


PLANS = {
    "glow": (FlowPlan(width=4, top_steps=1, top_width=4), 2),
    "realnvp": (FlowPlan(width=4, mix="riffle", steps=3, top_steps=3, top_width=4), 2),
    "nsf": (FlowPlan(coupling="spline", bins=4, steps=2, width=4, top_steps=2, top_width=4), 1),
    "checkerboards": (FlowPlan(coupling="spline", checkerboard=True, steps=1, width=4), 4),
    "vector": (FlowPlan(coupling="additive", mix="riffle", top_steps=3, top_width=4), 0),
    "labels": (FlowPlan(width=4, steps=1, top_steps=1, top_width=4, context=2), 2),
}


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 2, 2), (1, 3, 3), (1, 1, 2), (2, 2, 3)], ids=str)
@pytest.mark.parametrize("plan", PLANS)
def test_whole_flows(plan, shape):
    plan, scales = PLANS[plan]
    context = torch.randn(2, 2).double() if plan.context else None
    x = torch.randn(2, *shape).double()
    try:
        flow = build_flow(plan, shape, scales)
    except ConfigError:
        assert plan.top_steps == 0
        assert shape[1] % 2 or shape[2] % 2
        return
    flow.double().train()(
        torch.randn(50, *shape).double(), None if context is None else context.repeat(25, 1)
    )
    check_bijection(shaken(flow, 0.1), x, context)


def test_every_number_is_changed_by_couplings_whose_halves_take_turns():
    """Pairs of couplings between riffles: a number that no coupling ever moves is not modelled."""
    plan = FlowPlan(mix="riffle", actnorm=False, steps=2, width=4)
    flow, x = shaken(build_flow(plan, (1, 4, 4), 1), 0.5), torch.randn(1, 1, 4, 4).double()
    jacobian = torch.autograd.functional.jacobian(
        lambda v: flow(v.view(1, 1, 4, 4))[0].flatten(), x.flatten()
    )
    reached = (jacobian.abs() > 1e-9).sum(1)
    assert (reached > 1).all(), "a latent number depends on one pixel alone"


def test_recomputation_changes_nothing_but_memory():
    def gradients(recompute):
        torch.manual_seed(0)
        plan = FlowPlan(coupling="spline", width=4, top_steps=1, recompute=recompute)
        flow, x = build_flow(plan, (1, 8, 8), 2), torch.randn(4, 1, 8, 8)
        for p in flow.parameters():
            p.data.add_(0.1 * torch.randn(p.shape))
        z, log_det = flow(x)
        (z.square().sum() - log_det.sum()).backward()
        return [p.grad for p in flow.parameters()]

    torch.testing.assert_close(gradients(True), gradients(False), rtol=0, atol=0)
