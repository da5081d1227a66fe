"""The verdict: Welch's test as scipy has it, and false alarms and power in simulation."""

import math
import random

import pytest
from scipy import stats

from genlab.racing.bracket import promoted, sizes
from genlab.racing.verdict import Finalist, detectable, holm, judge, p_value


def test_p_values_are_those_of_scipys_welch():
    draw = random.Random(0)
    for n, m in ((3, 3), (5, 2), (8, 20)):
        a = tuple(draw.gauss(0, 1) for _ in range(n))
        b = tuple(draw.gauss(0.5, 3) for _ in range(m))
        theirs = stats.ttest_ind(a, b, equal_var=False).pvalue
        assert p_value(Finalist("a", a), Finalist("b", b)) == pytest.approx(theirs, rel=1e-9)


def test_holm_is_that_of_the_paper():
    # Holm 1979: sorted p times 4, 3, 2, 1, made monotone
    assert holm([0.01, 0.02, 0.03, 0.04]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert holm([0.5]) == [0.5]


def test_the_noise_of_the_metric_is_the_least_of_the_variance():
    close = Finalist("a", (1.0, 1.0, 1.0001))
    other = Finalist("b", (1.1, 1.1, 1.1001))
    assert judge([close, other]).told
    noisy = Finalist("a", close.values, (0.2, 0.2, 0.2))
    assert noisy.variance == pytest.approx(0.04)
    assert not judge([noisy, other]).told


def test_images_that_measured_both_are_compared_in_pairs():
    draw = random.Random(1)
    hard = [draw.gauss(0, 10) for _ in range(500)]  # of the images, for everyone
    seeds = ((1.0, 1.01, 0.99), (1.1, 1.11, 1.09))
    a, b = (
        Finalist(name, values, items=tuple(h + values[0] + draw.gauss(0, 0.1) for h in hard))
        for name, values in zip("ab", seeds, strict=True)
    )
    assert judge([a, b]).told
    unpaired = Finalist("b", b.values, items=tuple(draw.sample(b.items, 500)))
    assert not judge([a, unpaired]).told


def test_one_seed_tells_nothing():
    verdict = judge([Finalist("a", (1.0,)), Finalist("b", (2.0,))])
    assert (verdict.winner, verdict.told, verdict.pairs[0].p) == ("a", False, None)
    assert verdict.would_tell is None


def test_a_finalist_alone_has_nobody_to_beat():
    verdict = judge([Finalist("a", (1.0, 1.1))])
    assert (verdict.winner, verdict.pairs, verdict.told) == ("a", (), False)


def alarm(draw, candidates, eta, finalists, seeds, scale, looks=1, growth=0.5):
    """A race of candidates of equal quality: whether it claims that one beats another."""
    names = [str(i) for i in range(candidates)]
    offset = {name: draw.gauss(0, scale(name)) for name in names}  # of the seed of the rungs
    left = names
    for keep in (*sizes(candidates, eta, finalists)[1:], finalists):
        noise = {name: growth * draw.gauss(0, scale(name)) for name in left}
        left = promoted({name: offset[name] + noise[name] for name in left}, keep)[0]
    values = {name: [10 + offset[name]] for name in left}
    for look in range(1, looks + 1):
        for name in left:
            more = look * seeds - len(values[name])
            values[name] += [10 + draw.gauss(0, scale(name)) for _ in range(more)]
        found = [Finalist(name, tuple(values[name])) for name in left]
        if any(pair.told for pair in judge(found, look=look).pairs):
            return True
    return False


@pytest.mark.parametrize(
    ("candidates", "eta", "finalists", "seeds"),
    [
        (8, 3, 2, 3),
        (8, 3, 2, 2),
        (9, 3, 3, 3),
        (2, 2, 2, 5),
    ],
)
@pytest.mark.parametrize("scale", [lambda _: 1.0, lambda name: 0.2 + int(name) % 3])
def test_false_alarms_are_at_most_one_in_twenty(candidates, eta, finalists, seeds, scale):
    draw, races = random.Random(2), 1000
    alarms = sum(alarm(draw, candidates, eta, finalists, seeds, scale) for _ in range(races))
    slack = 3 * math.sqrt(0.05 * 0.95 / races)
    assert alarms / races <= 0.05 + slack


def test_the_detectable_difference_is_told_four_times_in_five():
    draw, races, told = random.Random(3), 1500, 0
    for _ in range(races):
        a, b = (tuple(draw.gauss(0, 1) for _ in range(6)) for _ in range(2))
        gap = detectable(Finalist("a", (0, math.sqrt(2))), Finalist("b", (0, math.sqrt(2))), 6)
        told += p_value(Finalist("a", a), Finalist("b", tuple(x + gap for x in b))) <= 0.03
    assert told / races == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize("scale", [lambda _: 1.0, lambda name: 0.2 + int(name) % 3])
def test_looking_again_with_more_seeds_raises_no_more_alarms(scale):
    draw, races = random.Random(4), 600
    alarms = sum(alarm(draw, 6, 3, 2, 3, scale, looks=4) for _ in range(races))
    assert alarms / races <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / races)


def test_a_third_finalist_raises_the_bar_for_the_other_two():
    a, b = Finalist("a", (1.0, 1.1, 0.9)), Finalist("b", (1.4, 1.2, 1.3))
    alone = judge([a, b]).pairs[0]
    assert 0.01 < alone.p <= 0.03
    assert alone.told
    c = Finalist("c", (1.25, 1.35, 1.45))
    assert [pair.told for pair in judge([a, b, c]).pairs] == [False, False]
    adjusted = max(2 * p_value(a, b), 3 * p_value(a, c))
    assert judge([a, b, c]).pairs[0].p == pytest.approx(adjusted)
