"""Masked diffusion against enumeration: all sets of pixels, and all orders of them."""

import itertools
import math

import pytest
import torch

from genlab.errors import ConfigError
from genlab.models.masked_diffusion import MaskedDiffusion, MaskedSampling
from genlab.nn.diffusion.masks import first_in_random_order, random_order, reveals
from genlab.types import Batch, ImageSpec

TINY = ImageSpec(1, 2, 2, levels=2)
EVERY = torch.tensor(list(itertools.product((0, 1), repeat=4)), dtype=torch.uint8).view(16, 1, 2, 2)


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = MaskedDiffusion(TINY, network="mlp", width=32, depth=1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return model.eval()


def log_p(model, x, masked):
    """Nats of each pixel given those that are not masked, ``(16, 4)``."""
    with torch.no_grad():
        params = model.params(x, masked.view(1, 2, 2).expand(len(x), 2, 2))
        return model.head.pixel_log_prob(params, x).flatten(1)


def of_an_order(model, order):
    """Log-probabilities ``(16,)`` of all images drawn in one order."""
    masked, total = torch.ones(4, dtype=torch.bool), torch.zeros(16)
    for pixel in order:
        total = total + log_p(model, EVERY, masked)[:, pixel]
        masked[pixel] = False
    return total


def enumerated(model):
    """The bound over all fifteen sets of masked pixels."""
    total = torch.zeros(16)
    for k in range(1, 5):
        sets = list(itertools.combinations(range(4), k))
        for chosen in sets:
            masked = torch.zeros(4, dtype=torch.bool)
            masked[list(chosen)] = True
            nats = log_p(model, EVERY, masked)[:, masked].sum(1)
            total += nats * (4 / k) / len(sets) / 4
    return total


def test_the_bound_is_the_mean_over_all_orders(model):
    orders = torch.stack([of_an_order(model, o) for o in itertools.permutations(range(4))])
    torch.testing.assert_close(orders.exp().sum(1), torch.ones(24))
    bound = enumerated(model)
    torch.testing.assert_close(bound, orders.mean(0))
    mixture = orders.logsumexp(0) - math.log(24)
    assert mixture.exp().sum() == pytest.approx(1, abs=1e-5)
    assert (bound <= mixture).all()
    assert bound.exp().sum() < 1


@pytest.mark.parametrize("samples", [1, 4, 16])
def test_log_prob_estimates_the_bound(model, samples):
    n = 4000 // samples
    found = model.log_prob(
        Batch(EVERY.repeat(n, 1, 1, 1)), samples=samples, generator=torch.Generator().manual_seed(1)
    ).view(n, 16)
    error = found.std(0) / math.sqrt(n)
    assert ((found.mean(0) - enumerated(model)).abs() < 5 * error).all()


def test_one_pixel_a_step_draws_from_the_mixture_of_orders(model):
    orders = torch.stack([of_an_order(model, o) for o in itertools.permutations(range(4))])
    expected = (orders.logsumexp(0) - math.log(24)).exp()
    x = model.sample(
        20_000, generator=torch.Generator().manual_seed(0), options=MaskedSampling(steps=4)
    )
    index = (x.flatten(1).long() * torch.tensor([8, 4, 2, 1])).sum(1)
    found = torch.bincount(index, minlength=16) / len(x)
    assert (found - expected).abs().sum() / 2 < 0.02  # total variation


def test_an_untrained_model_of_bits_says_a_bit_a_pixel():
    model = MaskedDiffusion(ImageSpec(1, 8, 8, levels=2))
    x = torch.randint(2, (5, 1, 8, 8), dtype=torch.uint8)
    torch.testing.assert_close(model.log_prob(Batch(x)), torch.full((5,), -64 * math.log(2)))


def test_any_pixels_can_be_kept(model):
    mask = torch.tensor([[True, False], [False, True]])
    x = EVERY.repeat(500, 1, 1, 1)
    options = MaskedSampling(steps=2)
    done = model.complete(x, mask, generator=torch.Generator().manual_seed(0), options=options)
    assert torch.equal(done[..., mask], x[..., mask])
    # The two that are drawn, one after the other in either order.
    hidden = (~mask).flatten()
    first = [log_p(model, EVERY, hidden)[:, i].exp() for i in (1, 2)]
    then = []
    for i, other in ((1, 2), (2, 1)):
        masked = torch.zeros(4, dtype=torch.bool)
        masked[other] = True
        then.append(first[i - 1] * log_p(model, EVERY, masked)[:, other].exp())
    expected = ((then[0] + then[1]) / 2).view(16)
    index = (done.flatten(1).long() * torch.tensor([8, 4, 2, 1])).sum(1).view(500, 16)
    for start in range(16):
        found = torch.bincount(index[:, start], minlength=16) / 500
        for end in range(16):
            if found[end]:
                assert abs(found[end] - expected[end]) < 0.12


def test_nothing_left_to_draw_is_the_image_itself(model):
    assert torch.equal(model.complete(EVERY, 4), EVERY)
    with pytest.raises(ConfigError, match="known=5"):
        model.complete(EVERY, 5)


def test_images_that_do_not_suit_the_model_are_not_completed(model):
    """What is not kept may be anything."""
    with pytest.raises(ConfigError, match="must be uint8"):
        model.complete(EVERY.float(), 1)
    with pytest.raises(ConfigError, match="of shape"):
        model.complete(EVERY[:, :, :1], 1)
    beyond = EVERY.clone()
    beyond[:, :, 1] = 7
    assert model.complete(beyond, 2).max() == 1
    with pytest.raises(ConfigError, match="below 2"):
        model.complete(beyond, 3)


# --------------------------------------------------------------------------------------------
# Orders and steps


def test_sets_of_a_size_are_uniform():
    masks = first_in_random_order(torch.full((20_000,), 2), 4)
    assert (masks.sum(1) == 2).all()
    share = (
        torch.bincount((masks.long() * torch.tensor([8, 4, 2, 1])).sum(1), minlength=16) / 20_000
    )
    assert share[[3, 5, 6, 9, 10, 12]].sum() == 1
    assert (share[[3, 5, 6, 9, 10, 12]] - 1 / 6).abs().max() < 0.02


def test_orders_are_of_the_wanted_pixels_alone():
    wanted = torch.tensor([[True, False, True], [True, True, False]])
    order = random_order(4000, wanted)
    assert (order[:, ~wanted] == -1).all()
    places = order[:, wanted]
    assert torch.equal(places.sort(1).values, torch.arange(4).expand(4000, 4))
    assert (places.float().mean(0) - 1.5).abs().max() < 0.1


@pytest.mark.parametrize("n", [1, 4, 784])
@pytest.mark.parametrize("steps", [1, 2, 64, 784])
def test_each_step_reveals_a_pixel_and_all_are_revealed(n, steps):
    if steps > n:
        return
    counts = reveals(n, steps)
    assert len(counts) == steps
    assert counts[0][0] == 0
    assert counts[-1][1] == n
    for (_, end), (start, _) in itertools.pairwise(counts):
        assert end == start
    assert all(after > before for before, after in counts)
    sizes = [after - before for before, after in counts]
    assert steps in (1, n) or sizes[0] <= sizes[-1]


def test_steps_and_temperature_are_held_to_their_ranges():
    for wrong in ({"steps": 0}, {"temperature": 0.0}):
        with pytest.raises(ConfigError):
            MaskedSampling(**wrong)


@pytest.mark.parametrize("steps", [1, 3, 64])
def test_the_evaluations_of_a_sample_are_those_of_its_network(model, steps):
    seen = []
    model.network.register_forward_hook(lambda *_: seen.append(1))
    model.sample(2, options=MaskedSampling(steps=steps))
    assert len(seen) == model.evaluations(MaskedSampling(steps=steps)) == min(steps, 4)
