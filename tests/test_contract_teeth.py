"""The contract's checks bite: a model that breaks the contract in one respect fails in that one."""

import contract
import pytest
import torch
from families import TINY, examples
from torch import nn
from torch.nn import functional as F

from genlab.models.base import GenerativeModel
from genlab.models.vae import VAE
from genlab.nn.conditions import condition_embedding
from genlab.nn.latents.distributions import draw_normal
from genlab.types import ImageSpec, LabelSpec, Loss, SequenceSpec, VectorSpec

SPEC = ImageSpec(1, 4, 4, levels=2, num_classes=3)
SMALL = {"network": "mlp", "hidden": 16, "latent": 4}


class Autoregressive(GenerativeModel):
    """p(x) as a product over pixels, each given those before it, exactly."""

    likelihood = "exact"
    diagonal = -1  # the highest diagonal that a pixel may see

    def __init__(self, spec, conditional=False):
        super().__init__(spec, conditional)
        self.linear = nn.Linear(spec.dims, spec.dims)

    def logits(self, x):
        return F.linear(x, self.linear.weight.tril(self.diagonal), self.linear.bias)

    def log_prob(self, batch, *, samples=1, generator=None):
        x = batch.x.flatten(1).float()
        return -F.binary_cross_entropy_with_logits(self.logits(x), x, reduction="none").sum(1)

    def loss(self, batch, player="model"):
        total = -self.log_prob(batch).mean()
        return Loss(total, {"nll": total.detach()})

    def draw(self, n, y, generator, options):
        x = torch.zeros(n, self.spec.dims)
        for i in range(self.spec.dims):
            p = (self.logits(x)[:, i] / options.temperature).sigmoid()
            x[:, i] = torch.rand(n, generator=generator) < p
        return x.view(n, *self.spec.shape).to(torch.uint8)


class Rivals(GenerativeModel):
    """Two players that each pull at a number of their own."""

    players = ("first", "second")

    def __init__(self, spec):
        super().__init__(spec)
        self.first, self.second = nn.Linear(1, 1), nn.Linear(1, 1)

    def loss(self, batch, player="model"):
        total = self.player(player)(torch.ones(1, 1)).square().sum()
        return Loss(total, {player: total.detach()})

    def draw(self, n, y, generator, options):
        return torch.randint(0, 2, (n, *self.spec.shape), generator=generator).to(torch.uint8)


class Letters(GenerativeModel):
    """Sequences of ids, each drawn on its own, of a distribution for its place and the label."""

    accepts = (SequenceSpec,)
    likelihood = "exact"
    draws_in_steps = True

    def __init__(self, spec, conditional=False):
        super().__init__(spec, conditional)
        self.logits = nn.Parameter(torch.randn(spec.length, spec.levels))
        self.embedding = condition_embedding(self.condition, spec.levels)

    def log_p(self, n, y):
        shift = self.embedding(y)
        logits = self.logits if shift is None else self.logits + shift[:, None]
        return logits.log_softmax(-1).expand(n, *self.logits.shape)

    def log_prob(self, batch, *, samples=1, generator=None):
        y = self._check_condition(batch.y if self.conditional else None, len(batch.x))
        table = self.log_p(len(batch.x), y)
        return table.gather(-1, batch.x.long()[:, :, None])[:, :, 0].sum(1)

    def loss(self, batch, player="model"):
        total = -self.log_prob(batch).mean()
        return Loss(total, {"nll": total.detach()})

    def draw(self, n, y, generator, options):
        p = (self.log_p(n, y) / options.temperature).softmax(-1)
        x = torch.zeros(n, self.spec.length, dtype=self.spec.dtype)
        for i in range(self.spec.length):
            x[:, i] = torch.multinomial(p[:, i], 1, generator=generator)[:, 0]
            self.report_progress(i + 1, self.spec.length, x.clone())
        return x


class Cloud(GenerativeModel):
    """Vectors about a mean that an image says, the origin for a model that is not conditional."""

    accepts = (VectorSpec,)
    conditions = (ImageSpec,)
    likelihood = "exact"

    def __init__(self, spec, conditional=False):
        super().__init__(spec, conditional)
        self.log_std = nn.Parameter(torch.zeros(spec.size))
        self.mean = nn.Linear(self.condition.dims, spec.size) if conditional else None

    def normal(self, n, y):
        mean = torch.zeros(n, self.spec.size) if self.mean is None else self.mean(y.flatten(1) / 4)
        return torch.distributions.Normal(mean, self.log_std.exp())

    def log_prob(self, batch, *, samples=1, generator=None):
        y = self._check_condition(batch.y if self.conditional else None, len(batch.x))
        return self.normal(len(batch.x), y).log_prob(batch.x).sum(1)

    def loss(self, batch, player="model"):
        total = -self.log_prob(batch).mean()
        return Loss(total, {"nll": total.detach()})

    def draw(self, n, y, generator, options):
        normal = self.normal(n, y)
        noise = torch.randn(n, self.spec.size, generator=generator)
        return normal.mean + options.temperature * normal.stddev * noise


KINDS = [
    (Letters, SequenceSpec(4, levels=2, condition=LabelSpec(3))),
    (Letters, SequenceSpec(3, levels=3, dtype=torch.int32, condition=LabelSpec(2))),
    (Cloud, VectorSpec(2, condition=ImageSpec(1, 2, 2, levels=4))),
]


def broken(base, **members):
    return type(f"Broken{base.__name__}", (base,), members)


def test_the_models_that_are_broken_below_are_sound():
    for model in (Autoregressive(SPEC), Rivals(SPEC), VAE(SPEC, **SMALL)):
        contract.check_samples(model)
        contract.check_conditions(model)
        contract.check_players(model)
        contract.check_gradients(model, examples(SPEC))
        contract.check_likelihood_is_pure(model, examples(SPEC))
        contract.check_evaluation_leaves_no_trace(model, examples(SPEC))
        contract.check_codes(model, examples(SPEC))
        contract.check_learning(model, examples(SPEC), 20)
    for model in (Autoregressive(TINY), VAE(TINY, **SMALL), Rivals(TINY)):
        contract.scale_weights(model, 3)
        contract.check_likelihood(model)


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize(("family", "spec"), KINDS, ids=["labels", "int32", "images"])
def test_a_family_of_any_kind_of_data_and_condition_is_sound(family, spec, conditional):
    model = family(spec, conditional)
    contract.check_samples(model)
    contract.check_progress(model)
    contract.check_conditions(model)
    contract.check_players(model)
    contract.check_gradients(model, examples(spec))
    contract.check_likelihood(model)
    contract.check_likelihood_is_pure(model, examples(spec))
    contract.check_evaluation_leaves_no_trace(model, examples(spec))
    contract.check_state(model, family(spec, conditional), examples(spec))
    assert not contract.check_learning(model, contract.few_examples(spec), 200)


@pytest.mark.parametrize(("family", "spec"), KINDS[::2], ids=["sequence", "vector"])
def test_a_likelihood_of_any_kind_of_data_that_does_not_sum_to_one_is_caught(family, spec):
    def log_prob(self, batch, **options):
        return family.log_prob(self, batch, **options) + 0.01

    with pytest.raises(AssertionError, match="sums to"):
        contract.check_likelihood(broken(family, log_prob=log_prob)(spec))


def test_samples_of_another_dtype_than_the_spec_says_are_caught():
    def draw(self, *arguments):
        return Letters.draw(self, *arguments).to(torch.uint8)

    with pytest.raises(AssertionError):
        contract.check_samples(broken(Letters, draw=draw)(KINDS[0][1]))


def test_a_condition_that_is_not_looked_at_is_caught():
    def log_prob(self, batch, **options):
        y = batch.y if batch.y is not None else torch.zeros(len(batch.x), 1, 2, 2)
        return self.normal(len(batch.x), y[: len(batch.x)].abs()).log_prob(batch.x).sum(1)

    with pytest.raises(pytest.fail.Exception):
        contract.check_conditions(broken(Cloud, log_prob=log_prob)(KINDS[2][1], True))


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"draws_in_steps": False}, "4 reports"),
        ({"report_progress": lambda self, done, total, x: None}, "0 reports"),
        ({"report_progress": lambda self, done, total, x: Letters.report_progress(
            self, done, total + 1, x)}, "steps were done in the end"),
        ({"report_progress": lambda self, done, total, x: Letters.report_progress(
            self, total, total, x)}, "the steps that are done go"),
    ],
    ids=["undeclared", "silent", "unfinished", "stuck"],
)  # fmt: skip
def test_partial_results_that_are_not_as_declared_are_caught(members, said):
    with pytest.raises(AssertionError, match=said):
        contract.check_progress(broken(Letters, **members)(KINDS[0][1]))


def test_a_report_to_who_asked_of_an_earlier_call_is_caught():
    def report_progress(self, done, total, x):
        self.kept = self._on_progress or self.kept
        self.kept(done, total, x)

    with pytest.raises(AssertionError, match="an earlier call"):
        contract.check_progress(broken(Letters, report_progress=report_progress)(KINDS[0][1]))


def test_a_pixel_that_sees_itself_is_caught():
    model = broken(Autoregressive, diagonal=0)(TINY)
    contract.scale_weights(model, 3)
    with pytest.raises(AssertionError, match="sums to"):
        contract.check_likelihood(model)


def test_a_bound_that_calls_itself_exact_is_caught():
    model = broken(VAE, likelihood="exact")(TINY, **SMALL)
    with pytest.raises(AssertionError, match="sums to"):
        contract.check_likelihood(model)


def distortion_only(self, x, y, samples, portion, mixture, generator):
    mean, log_std = self._posterior(x.float(), None)
    z, _ = draw_normal(mean, log_std, 1, generator)
    return -self._distortion(z, None, x, generator)[0]


def quarter_of_the_rate(self, x, y, samples, portion, mixture, generator):
    honest = VAE._bound(self, x, y, 1, portion, mixture, generator)
    return honest / 4 + distortion_only(self, x, y, 1, 1, mixture, generator) * 3 / 4


@pytest.mark.parametrize("bound", [distortion_only, quarter_of_the_rate])
def test_a_bound_that_leaves_out_the_rate_is_caught(bound):
    model = broken(VAE, _bound=bound)(TINY, **SMALL)
    contract.train(model, contract.few_examples(TINY), 400, lr=1e-2)
    with pytest.raises(AssertionError, match="sums to"):
        contract.check_likelihood(model)


def test_a_sum_of_importance_weights_for_their_mean_is_caught():
    def sum_not_mean(self, x, y, samples, portion, mixture, generator):
        bound = VAE._bound(self, x, y, samples, portion, mixture, generator)
        return bound + torch.tensor(float(samples)).log()

    model = broken(VAE, _bound=sum_not_mean)(TINY, **SMALL)
    with pytest.raises(AssertionError, match="k=8: it sums to"):
        contract.check_likelihood(model)


def test_an_undeclared_likelihood_is_caught():
    with pytest.raises(AssertionError, match="declares none"):
        contract.check_likelihood(broken(Autoregressive, likelihood="none")(TINY))
    with pytest.raises(AssertionError, match="but has none"):
        contract.check_likelihood(broken(Rivals, likelihood="exact")(TINY))


def test_a_parameter_that_no_gradient_reaches_is_caught_by_name():
    model = Autoregressive(SPEC)
    model.spare = nn.Parameter(torch.zeros(2))
    with pytest.raises(AssertionError, match="no gradient reaches spare"):
        contract.check_gradients(model, examples(SPEC))


def test_a_gradient_that_is_not_finite_is_caught_by_name():
    def loss(self, batch, player="model"):
        total = self.linear.bias.sum() + self.linear.weight.sum()
        return Loss(total + (total - total.detach()).sqrt(), {})

    with pytest.raises(AssertionError, match=r"gradient of linear\.weight is not finite"):
        contract.check_gradients(broken(Autoregressive, loss=loss)(SPEC), examples(SPEC))


def test_a_player_that_moves_another_is_caught():
    def after_step(self, player):
        with torch.no_grad():
            self.second.weight.mul_(0.9)

    with pytest.raises(AssertionError, match=r"first moved second\.weight"):
        contract.check_gradients(broken(Rivals, after_step=after_step)(SPEC), examples(SPEC))


def test_a_parameter_without_a_player_is_caught():
    model = Rivals(SPEC)
    model.third = nn.Linear(1, 1)
    with pytest.raises(AssertionError, match=r"third.weight is trained by \[\]"):
        contract.check_players(model)


def test_a_part_that_keeps_its_graph_is_caught():
    def loss(self, batch, player="model"):
        total = -self.log_prob(batch).mean()
        return Loss(total, {"nll": total})

    with pytest.raises(AssertionError, match="nll is not detached"):
        contract.check_gradients(broken(Autoregressive, loss=loss)(SPEC), examples(SPEC))


def test_samples_that_ignore_the_generator_are_caught():
    def draw(self, n, y, generator, options):
        return torch.randint(0, 2, (n, *self.spec.shape)).to(torch.uint8)

    with pytest.raises(AssertionError, match="global generator"):
        contract.check_samples(broken(Autoregressive, draw=draw)(SPEC))


@pytest.mark.parametrize(
    "spoil",
    [lambda x: x.float(), lambda x: x[:, :, :2], lambda x: x + 2, lambda x: x[:1]],
    ids=["dtype", "shape", "levels", "count"],
)
def test_samples_that_are_no_images_are_caught(spoil):
    def draw(self, *arguments):
        return spoil(Autoregressive.draw(self, *arguments))

    with pytest.raises(AssertionError):
        contract.check_samples(broken(Autoregressive, draw=draw)(SPEC))


def test_a_likelihood_that_depends_on_the_mode_is_caught():
    def log_prob(self, batch, *, samples=1, generator=None):
        return Autoregressive.log_prob(self, batch) - float(self.training)

    model = broken(Autoregressive, log_prob=log_prob)(SPEC)
    with pytest.raises(AssertionError):
        contract.check_likelihood_is_pure(model, examples(SPEC))


def test_an_evaluation_that_learns_is_caught():
    def log_prob(self, batch, *, samples=1, generator=None):
        with torch.no_grad():
            self.linear.bias.add_(1)
        return Autoregressive.log_prob(self, batch)

    with pytest.raises(AssertionError):
        contract.check_likelihood_is_pure(
            broken(Autoregressive, log_prob=log_prob)(SPEC), examples(SPEC)
        )


def test_a_mode_that_is_left_behind_is_caught():
    def diagnostics(self, batch):
        self.eval()
        return {}

    with pytest.raises(AssertionError):
        contract.check_evaluation_leaves_no_trace(
            broken(VAE, diagnostics=diagnostics)(SPEC, **SMALL), examples(SPEC)
        )


def test_state_outside_the_state_dict_is_caught():
    def after_step(self, player):
        self.shift = getattr(self, "shift", 0) + 1

    def log_prob(self, batch, *, samples=1, generator=None):
        return Autoregressive.log_prob(self, batch) - getattr(self, "shift", 0)

    kind = broken(Autoregressive, after_step=after_step, log_prob=log_prob)
    with pytest.raises(AssertionError):
        contract.check_state(kind(SPEC), kind(SPEC), examples(SPEC))


def test_a_loss_that_does_not_fall_is_caught():
    def rising(self, batch, player="model"):
        self.steps = getattr(self, "steps", 0) + 1
        honest = Autoregressive.loss(self, batch)
        return Loss(honest.total + self.steps, honest.parts)

    with pytest.raises(AssertionError, match="the loss went from"):
        contract.check_learning(broken(Autoregressive, loss=rising)(SPEC), examples(SPEC), 20)


def test_a_parameter_that_never_moves_is_named():
    model = Autoregressive(SPEC)
    model.spare = nn.Parameter(torch.zeros(2))
    assert contract.check_learning(model, examples(SPEC), 5) == {"spare"}


def test_a_model_that_takes_labels_it_does_not_need_is_caught():
    def sample(self, n, y=None, **options):
        return GenerativeModel.sample(self, n, None, **options)

    with pytest.raises(pytest.fail.Exception):
        contract.check_conditions(broken(Autoregressive, sample=sample)(SPEC))
