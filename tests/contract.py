"""What a family must keep: each check takes a model and fails with an AssertionError.

tests/test_contract.py applies them to every file under configs/model, tests/test_contract_teeth.py
to models that break them.
"""

import dataclasses
import io
import math
from contextlib import contextmanager

import pytest
import torch
from families import conditions, examples

from genlab.errors import ConfigError, Unsupported
from genlab.types import Batch, LabelSpec

LATE = 10**9  # images seen when every warm-up and growth is over
WHEN = (0, 10**3, 10**5, 10**7, LATE)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@contextmanager
def global_randomness_untouched():
    before = torch.get_rng_state()
    yield
    assert torch.equal(before, torch.get_rng_state()), "it drew from the global generator"


def optimizers(model, lr=1e-3):
    return {
        player: torch.optim.Adam(model.player(player).parameters(), lr=lr, betas=(0.5, 0.99))
        for player in model.players
    }


def step(model, batch, optimizer, player):
    """One update of one player as the trainer does it; returns its loss."""
    for parameter in model.parameters():
        parameter.grad = None
    loss = model.loss(batch, player)
    loss.total.backward()
    optimizer.step()
    model.after_step(player)
    return loss.total.detach()


def train(model, batch, steps, lr=1e-3):
    """Losses ``{player: (steps,)}`` of training on one batch.

    A game goes on all the time that `WHEN` spans, since its players may grow; a lone player's
    losses are only comparable when all warm-ups are over.
    """
    opts = optimizers(model, lr)
    model.train()
    losses = {player: [] for player in model.players}
    for i in range(steps):
        model.images_seen = WHEN[i * len(WHEN) // steps] if len(model.players) > 1 else LATE
        for player in model.players:
            losses[player].append(step(model, batch, opts[player], player))
    return {player: torch.stack(values) for player, values in losses.items()}


def scale_weights(model, factor):
    """Moves a model away from the tameness of its initial weights."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(factor)


def tempered(model, temperature):
    """The model's own sampling options at a temperature."""
    return dataclasses.replace(model.sampling_options(), temperature=temperature)


def check_samples(model):
    check_examples(model, model.sample(5, conditions(model, 5)), 5)
    check_examples(model, model.sample(1, conditions(model, 1)), 1)
    with global_randomness_untouched():
        first = model.sample(3, conditions(model, 3), generator=generator())
    torch.manual_seed(1)
    torch.testing.assert_close(model.sample(3, conditions(model, 3), generator=generator()), first)
    cool = model.sample(
        3, conditions(model, 3), generator=generator(), options=tempered(model, 0.5)
    )
    check_examples(model, cool, 3)
    with pytest.raises(ConfigError):
        model.sample(0, conditions(model, 1))
    with pytest.raises(ConfigError):
        model.sample(1, conditions(model, 1), options=tempered(model, 0.0))


def check_conditions(model):
    """Conditions are taken if and only if the model is conditional."""
    if not model.conditional:
        with pytest.raises(ConfigError):
            model.sample(2, torch.zeros(2, dtype=torch.int64))
        return
    assert model.condition == model.spec.condition
    x, y = examples(model.spec, 2)
    wrong = [None, torch.cat([y, y[:1]])]  # none, and too many
    if model.num_classes:
        wrong += [torch.tensor([0, model.num_classes]), torch.tensor([-1, 0])]
    else:
        wrong += [y.to(torch.complex64)]
    for y in wrong:
        with pytest.raises(ConfigError):
            model.sample(2, y)
        if model.can("log_prob"):
            with pytest.raises(ConfigError):
                model.log_prob(Batch(x, y))


def check_progress(model):
    """Partial results are reported if and only if the family says so, up to the last step."""
    seen = []
    x = model.sample(3, conditions(model, 3), on_progress=lambda *report: seen.append(report))
    assert bool(seen) == model.draws_in_steps, f"{len(seen)} reports of partial results"
    if seen:
        done, totals, partial = zip(*seen, strict=True)
        assert list(done) == sorted(set(done)), f"the steps that are done go {done}"
        assert set(totals) == {done[-1]}, f"{done[-1]} of {totals} steps were done in the end"
        assert all(image.shape[1:] == x.shape[1:] for image in partial)
        assert model._on_progress is None, "it keeps who asked"
        model.sample(1, conditions(model, 1))
        assert len(seen) == len(done), "it reports to who asked of an earlier call"


def check_players(model):
    """Each parameter belongs to one player."""
    owners = {name: [] for name, p in model.named_parameters() if p.requires_grad}
    names = {id(p): name for name, p in model.named_parameters()}
    for player in model.players:
        for parameter in model.player(player).parameters():
            if parameter.requires_grad:
                owners[names[id(parameter)]].append(player)
    for name, players in owners.items():
        assert len(players) == 1, f"{name} is trained by {players}, not by one player"


def check_gradients(model, batch, *, when=WHEN):
    """Every parameter of a player gets a finite gradient, and only the player moves.

    A model that grows has parameters that only count at some time of the training, so a
    parameter must get its gradient at one of several; none may ever get a wrong one.
    """
    for player in model.players:
        reached, mine = set(), {id(p) for p in model.player(player).parameters()}
        for model.images_seen in when:
            before = {name: p.detach().clone() for name, p in model.named_parameters()}
            optimizer = torch.optim.SGD(model.player(player).parameters(), lr=1e-3)
            model.zero_grad(set_to_none=True)
            frozen = [p for other in model.frozen(player) for p in model.player(other).parameters()]
            trainable = [p for p in frozen if p.requires_grad]
            for p in trainable:
                p.requires_grad_(False)
            loss = model.loss(batch, player)
            assert loss.total.shape == ()
            assert loss.total.isfinite(), f"{player}: the loss is {loss.total}"
            for key, part in loss.parts.items():
                assert part.shape == (), f"{key} is no scalar"
                assert not part.requires_grad, f"{key} is not detached"
                assert part.isfinite(), f"{key} is {part}"
            loss.total.backward()
            for p in trainable:
                p.requires_grad_(True)
            for name, p in model.named_parameters():
                assert id(p) in mine or p.grad is None, f"{player}: a gradient reaches {name}"
                if id(p) in mine and p.grad is not None:
                    assert p.grad.isfinite().all(), f"{player}: gradient of {name} is not finite"
                    reached.add(name)
            optimizer.step()
            model.after_step(player)
            for name, p in model.named_parameters():
                if id(p) not in mine:
                    torch.testing.assert_close(
                        p.detach(), before[name], rtol=0, atol=0, msg=f"{player} moved {name}"
                    )
        for name, p in model.named_parameters():
            if id(p) in mine and p.requires_grad:
                assert name in reached, f"{player}: no gradient reaches {name}"


def check_half_precision(model, batch):
    """Under autocast to bf16, as trainer=gpu has it, steps are finite and near float32's.

    Near where there is one player: what a game makes ahead is of the precision it began with.
    """
    alone = len(model.players) == 1
    model.train()
    for model.step, model.images_seen in ((16, LATE),) if alone else ((0, 0), (16, LATE)):
        for player in model.players:
            model.zero_grad(set_to_none=True)
            torch.manual_seed(0)
            with torch.autocast("cpu", torch.bfloat16):
                loss = model.loss(batch, player)
            loss.total.backward()
            assert loss.total.isfinite(), f"{player}: the loss is {loss.total}"
            for name, p in model.named_parameters():
                assert p.grad is None or p.grad.isfinite().all(), f"gradient of {name}"
            if alone:
                torch.manual_seed(0)
                full = model.loss(batch, player).total
                torch.testing.assert_close(loss.total.float(), full, rtol=0.05, atol=0.05)
            model.after_step(player)
    for name, value in model.state_dict().items():
        assert value.isfinite().all(), name


def every_example(spec):
    """All examples of a discrete spec, and log 1; of vectors a grid, and the log of its cells."""
    levels = torch.arange(spec.levels) if spec.levels else torch.arange(-8, 8.05, 0.1)
    rows = torch.cartesian_prod(*[levels] * spec.dims).view(-1, *spec.shape)
    return rows.to(spec.dtype), 0.0 if spec.levels else spec.dims * math.log(0.1)


def few_examples(spec):
    """A batch of four examples, over and over: a code for these is worth its rate."""
    x = (torch.arange(spec.dims) % 4 == torch.arange(4)[:, None]).to(spec.dtype)
    y = examples(spec, 4).y if spec.condition else None
    if isinstance(spec.condition, LabelSpec):
        y = torch.arange(4) % spec.condition.num_classes
    return Batch(x.view(4, *spec.shape).repeat(4, *[1] * len(spec.shape)), repeated(y, 4))


def repeated(x, times):
    return None if x is None else x.repeat(times, *[1] * (x.dim() - 1))


def check_likelihood(model, most=2048):
    """Over all examples the probabilities sum to 1 (exact) or, as a bound's should, to no more.

    Args:
        model: The model, of examples so few that all of them can be listed.
        most: How often a bound is drawn at most; far below 1 far fewer draws will do.
    """
    if model.likelihood == "none":
        assert not model.can("log_prob"), "it has a likelihood, but declares none"
        with pytest.raises(Unsupported):
            model.log_prob(examples(model.spec))
        return
    assert model.can("log_prob"), "it declares a likelihood, but has none"
    (every, volume), g = every_example(model.spec), generator()
    given = conditions(model, 2)

    def log_prob(repeats, samples):
        x = repeated(every, repeats)
        y = repeated(given[1:], len(x)) if model.conditional else None
        with torch.no_grad():
            log_p = model.log_prob(Batch(x, y), samples=samples, generator=g)
        return log_p.view(repeats, len(every)).double() + volume

    if model.likelihood == "exact":
        log_p = log_prob(1, 1)
        total = log_p.exp().sum().item()
        assert math.isclose(total, 1, abs_tol=1e-4), f"it sums to {total:.5f}, not to 1"
        torch.testing.assert_close(log_prob(1, 3), log_p)
        return
    if model.likelihood == "estimate":
        # Within the error that it states; one of a bound (no name of its own) may sum to less.
        parts = model.partitions()
        assert all(part.trusted for part in parts), "too few chains are effective"
        low = math.exp(sum(part.low - part.log_z for part in parts) / len(parts)) - 1e-3
        high = math.exp(sum(part.high - part.log_z for part in parts) / len(parts)) + 1e-3
        bound = model.bound_name is None
        total = log_prob(64 if bound else 1, 1).mean(0).exp().sum().item()
        assert (0 if bound else low) <= total <= high, f"it sums to {total:.5f}"
        return
    for k in (1, 8):
        log_p = log_prob(64 // k, k)
        while True:
            # Jensen: the mean of what bounds log p(x) on average is below it.
            p = log_p.mean(0).exp()
            error = (p * log_p.std(0)).square().sum().sqrt() / math.sqrt(len(log_p))
            total, draws = p.sum(), len(log_p)
            if total + 4 * error <= 1:
                break
            if draws * k >= most:
                said = f"k={k}: it sums to {total:.4f} +- {error:.4f}"
                assert total <= 1 + 4 * error + 1e-4, said
                break
            log_p = torch.cat([log_p, log_prob(draws, k)])


def check_likelihood_is_pure(model, batch):
    """It depends on nothing but batch and generator, and leaves nothing behind."""
    if not model.can("log_prob"):
        return
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with torch.no_grad(), global_randomness_untouched():
        training = model.train().log_prob(batch, generator=generator())
        evaluating = model.eval().log_prob(batch, generator=generator())
    assert training.shape == (len(batch.x),)
    assert training.isfinite().all()
    torch.testing.assert_close(training, evaluating, rtol=0, atol=0)
    _assert_same_state(model, before)


def check_evaluation_leaves_no_trace(model, batch):
    """Sampling, coding and diagnosing change neither weights nor modes nor the random state."""
    model.train()
    for child in [*model.children()][:1]:
        child.eval()  # a mode of its own, which must survive
    modes = [module.training for module in model.modules()]
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with global_randomness_untouched():
        model.sample(2, conditions(model, 2), generator=generator())
        for value in model.diagnostics(batch).values():
            assert isinstance(value, float)
            assert math.isfinite(value)
        if model.can("log_prob"):
            model.log_prob(batch, generator=generator())
        if model.can("encode"):
            model.encode(batch)
    assert modes == [module.training for module in model.modules()]
    _assert_same_state(model, before)


def check_codes(model, batch):
    """encode, decode and reconstruct return what they promise."""
    given = batch.y if model.conditional else None
    if model.can("encode"):
        z = model.encode(batch)
        assert len(z) == len(batch.x)
        if z.is_floating_point():
            assert z.isfinite().all()
        if model.can("decode"):
            check_examples(model, model.decode(z, given), len(batch.x))
            if model.likelihood == "exact":
                torch.testing.assert_close(model.decode(z, given), batch.x)
    if model.can("reconstruct"):
        check_examples(model, model.reconstruct(batch), len(batch.x))


def check_examples(model, x, n):
    """Values that are what the spec says."""
    assert x.shape == (n, *model.spec.shape)
    assert x.dtype == model.spec.dtype
    if model.spec.levels is None:
        assert x.isfinite().all()
    else:
        assert 0 <= int(x.min()) <= int(x.max()) < model.spec.levels


def check_state(model, other, batch):
    """A state dict of plain tensors says everything: another model with it behaves alike."""
    train(model, batch, 2)
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    other.images_seen = model.images_seen
    y = conditions(model, 4)
    mine = model.sample(4, y, generator=generator())
    torch.testing.assert_close(other.sample(4, y, generator=generator()), mine)
    if model.can("log_prob"):
        with torch.no_grad():
            mine = model.log_prob(batch, generator=generator())
            theirs = other.log_prob(batch, generator=generator())
        torch.testing.assert_close(theirs, mine)


def check_learning(model, batch, steps):
    """Steps on one batch lower a lone player's loss, and move every parameter of all players."""
    before = {k: p.detach().clone() for k, p in model.named_parameters() if p.requires_grad}
    losses = train(model, batch, steps)
    for player, values in losses.items():
        assert values.isfinite().all(), f"{player}: a loss was not finite"
    if len(model.players) == 1:
        values, tenth = losses[model.players[0]], max(steps // 10, 1)
        first, last = values[:tenth].mean(), values[-tenth:].mean()
        assert last < first, f"the loss went from {first:.4f} to {last:.4f} in {steps} steps"
    return {k for k, p in model.named_parameters() if k in before and torch.equal(p, before[k])}


def _assert_same_state(model, before):
    after = model.state_dict()
    assert after.keys() == before.keys()
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, rtol=0, atol=0, msg=f"{name} changed")
