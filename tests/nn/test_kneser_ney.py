"""Kneser-Ney n-grams against sums, a dictionary, and counting anew."""

import itertools
from collections import Counter, defaultdict

import pytest
import torch

from genlab.errors import ConfigError
from genlab.models.ngram import NGram, TextSampling
from genlab.nn.sequences.kneser_ney import KneserNey
from genlab.types import Batch, SequenceSpec


def text(n, length, levels, seed=0):
    return torch.randint(levels, (n, length), generator=torch.Generator().manual_seed(seed))


def events(x, order):
    """(context, id) of each position, None before the first."""
    rows = ([None] * order + row for row in x.tolist())
    return [(tuple(row[t - order : t]), row[t]) for row in rows for t in range(order, len(row))]


def dictionary(found, order, discounts, levels):
    """The probability as a recursion over dictionaries, from the events that were counted."""
    tables = [defaultdict(Counter) for _ in range(order + 1)]
    for context, w in found:
        tables[order][context][w] += 1
    for k in range(order - 1, -1, -1):
        for context, counter in tables[k + 1].items():
            for w in counter:
                tables[k][context[1:]][w] += 1

    def p(context, w, k):
        if k < 0:
            return 1 / levels
        counter = tables[k].get(context[order - k :])
        below = p(context, w, k - 1)
        if not counter:
            return below
        d, total = discounts[k], sum(counter.values())
        return (max(counter[w] - d, 0) + d * len(counter) * below) / total

    return lambda context, w: p(context, w, order)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_it_is_the_dictionary(order):
    model, x, other = KneserNey(4, order), text(6, 11, 4), text(3, 11, 4, seed=1)
    model.count(x)
    p = dictionary(events(x, order), order, model.discount_logits.sigmoid().tolist(), 4)
    wanted = torch.tensor([p(*event) for event in events(other, order)]).view(3, 11)
    torch.testing.assert_close(model(other), wanted)


def test_an_occurrence_that_is_left_out_is_as_if_it_were_not_counted():
    order, x = 2, text(3, 9, 3)
    model = KneserNey(3, order)
    model.count(x)
    discounts, found = model.discount_logits.sigmoid().tolist(), events(x, order)
    wanted = [
        dictionary(found[:i] + found[i + 1 :], order, discounts, 3)(*event)
        for i, event in enumerate(found)
    ]
    torch.testing.assert_close(model(x, left_out=True), torch.tensor(wanted).view(3, 9))


def test_it_sums_to_one_in_every_context():
    model = KneserNey(3, 2)
    model.count(text(4, 6, 3))
    contexts = torch.tensor(list(itertools.product(range(4), repeat=2)))
    for scale in (1, 3):
        with torch.no_grad():
            model.discount_logits.mul_(scale)
        torch.testing.assert_close(model.following(contexts).sum(1), torch.ones(16))


def test_all_sequences_together_have_probability_one():
    model = NGram(SequenceSpec(4, levels=3), order=2)
    model.begin([Batch(text(5, 4, 3)), Batch(text(2, 4, 3, seed=1))])
    every = torch.tensor(list(itertools.product(range(3), repeat=4)))
    total = model.log_prob(Batch(every)).exp().sum()
    torch.testing.assert_close(total, torch.ones_like(total), rtol=1e-6, atol=1e-6)


def test_samples_have_the_probability_that_they_are_drawn_with():
    model = NGram(SequenceSpec(2, levels=3), order=2)
    model.begin([Batch(text(9, 2, 3))])
    x = model.sample(20_000, generator=torch.Generator().manual_seed(0))
    every = torch.tensor(list(itertools.product(range(3), repeat=2)))
    shares = (x[:, None] == every).all(2).double().mean(0)
    p = model.log_prob(Batch(every)).exp()
    assert ((shares - p).abs() < 5 * (p * (1 - p) / 20_000).sqrt()).all()


def test_a_prompt_is_kept_and_refused():
    spec = SequenceSpec(6, levels=3, unit="character", vocabulary="abc")
    model = NGram(spec, order=2)
    model.begin([Batch(text(9, 6, 3))])
    x = model.sample(4, options=TextSampling(prompt="cab", top_k=1))
    torch.testing.assert_close(x[:, :3], torch.tensor([[2, 0, 1]]).expand(4, 3))
    assert (x == x[0]).all()  # the most probable continuation is one
    with pytest.raises(ConfigError, match="'d' is not among the 3 characters, the nearest is 'c'"):
        model.sample(1, options=TextSampling(prompt="ad"))
    with pytest.raises(ConfigError, match="7 characters, and the texts have 6"):
        model.sample(1, options=TextSampling(prompt="abcabca"))


def test_contexts_that_would_not_fit_are_refused():
    with pytest.raises(ConfigError, match=r"model.order=7: with 256 ids at most 6"):
        KneserNey(256, 7)
