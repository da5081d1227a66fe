"""The allocation: what is planned fits the budget, and fills it."""

import itertools

import pytest

from genlab.racing.allocation import (
    Profile,
    Shape,
    by_images,
    by_seconds,
    makespan,
    misfit,
    needed,
    regrown,
    wall,
)
from genlab.racing.bracket import promoted, sizes


def best_makespan(jobs, workers):
    """By enumeration of all assignments."""
    return min(
        max(sum(j for j, w in zip(jobs, where, strict=True) if w == k) for k in range(workers))
        for where in itertools.product(range(workers), repeat=len(jobs))
    )


@pytest.mark.parametrize("jobs", [[3, 3, 2, 2, 2], [5, 4, 3, 3, 1], [1, 1, 1, 9], [2.5] * 6])
def test_a_makespan_is_within_a_third_of_the_best(jobs):
    for workers in (1, 2, 3):
        best = best_makespan(jobs, workers)
        bound = (4 / 3 - 1 / (3 * workers)) * best + 1e-9  # Graham 1969
        assert best <= makespan(jobs, workers) <= bound


@pytest.mark.parametrize("shape", [Shape(3, 2, 3, 1), Shape(2, 1, 2, 4), Shape(4, 3, 1, 2)])
@pytest.mark.parametrize("n", [2, 3, 8, 17])
def test_seconds_are_filled_and_not_overdrawn(n, shape):
    overheads = [1.0 + 0.1 * i for i in range(n)]
    rungs = by_seconds(3600, overheads, shape)
    spent = wall([r.size for r in rungs], [r.amount for r in rungs], overheads, shape)
    assert spent == pytest.approx(3600, rel=1e-6)
    assert needed(rungs[0].amount, overheads, shape) == pytest.approx(spent)
    assert [r.size for r in rungs] == list(sizes(n, shape.eta, shape.finalists))
    assert all(
        b.amount == pytest.approx(shape.eta * a.amount) for a, b in itertools.pairwise(rungs)
    )


def test_overheads_alone_can_be_too_much():
    assert by_seconds(10, [4.0] * 3, Shape(seeds=1)) == []


@pytest.mark.parametrize("shape", [Shape(3, 2, 3), Shape(2, 1, 1), Shape(4, 3, 2)])
@pytest.mark.parametrize(("budget", "n"), [(1000, 2), (200_000, 8), (12_345, 17)])
def test_images_are_counted_one_by_one(shape, budget, n):
    rungs = by_images(budget, n, shape)
    seen = 0
    for rung, before in zip(rungs, [0, *(r.amount for r in rungs)], strict=False):
        seen += rung.size * (rung.amount - before)
    seen += rungs[-1].size * shape.repeats * rungs[-1].amount
    first = rungs[0].amount
    assert seen <= budget < seen * (first + 1) / first


def test_too_few_images_give_no_rung():
    assert by_images(10, 8, Shape()) == []


def test_rungs_to_come_fill_what_is_left():
    shape, overheads = Shape(3, 2, 3, 2), [2.0] * 8
    rungs = by_seconds(600, overheads, shape)
    # as planned, nothing changes
    spent = wall([8], [rungs[0].amount], overheads, shape) - shape.repeats * 0
    first = makespan([rungs[0].amount + 2.0] * 8, 2)
    assert spent >= first
    again = regrown(rungs, 1, 600 - first, overheads[:3], shape)
    assert [r.amount for r in again] == pytest.approx([r.amount for r in rungs], rel=1e-6)
    # with less time they are shorter, and never below what is done
    less = regrown(rungs, 1, 200, overheads[:3], shape)
    assert rungs[0].amount < less[1].amount < rungs[1].amount
    none = regrown(rungs, 1, 0, overheads[:3], shape)
    assert [r.amount for r in none] == pytest.approx([rungs[0].amount] * 3)


def test_who_cannot_finish_a_rung_is_told_why():
    assert misfit(Profile(1000, 1.0, 500), 5, 1000, 1000) is None
    assert "would see 50 images" in misfit(Profile(10, 1.0), 5, 1000, None)
    assert "measuring it takes 9 s" in misfit(Profile(1000, 9.0), 5, 1000, None)
    assert "2,000 MiB" in misfit(Profile(1000, 1.0, 2000), 5, 1000, 1000)


def test_equal_scores_keep_their_order_and_what_is_not_finite_is_out():
    scores = {"a": 1.0, "b": float("inf"), "c": 1.0, "d": 0.5}
    assert promoted(scores, 2) == (["d", "a"], ["c", "b"])
    assert promoted({"b": float("nan")}, 2) == ([], ["b"])
