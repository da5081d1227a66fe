"""The detector against series of evaluations that are, or are not, a collapse."""

import pytest

from genlab.training.collapse import Collapse, Reading


def series(*values, floors=None, early=1, **options):
    """What the detector says of each evaluation, of which the first ones are early."""
    collapse = Collapse(**options)
    return [
        collapse.judge(Reading(1000 * i, value, floors or {}), i <= early)
        for i, value in enumerate(values, 1)
    ]


def fd(*values):
    return [{"fd_digits_2k": value} for value in values]


def test_a_run_that_gets_better_is_left_alone():
    kl = [1.2, 0.3, 0.1, 0.05, 0.04, 0.06]
    found = [
        {"fd_digits_2k": f, "modes_digits_2k": m, "class_kl_digits_2k": k}
        for f, m, k in zip([90, 40, 20, 9, 8, 8.5], [4, 8, 10, 10, 10, 9], kl, strict=True)
    ]
    assert series(*found, floors={"modes_digits_2k": 10, "fd_digits_2k": 0.2}) == [None] * 6


def test_a_distance_that_rises_is_named_with_its_best():
    said = series(*fd(49.0, 50.0, 97.0, 137.4))
    assert said[:3] == [None] * 3
    assert said[3] == "fd_digits_2k was 49 after 1,000 images and is 137 now"


def test_noise_about_the_floor_is_no_collapse():
    assert series(*fd(0.2, 0.55), floors={"fd_digits_2k": 0.2}) == [None, None]
    assert series(*fd(0.2, 0.55))[1] is not None


def test_classes_that_were_lost():
    modes = [{"modes_digits_2k": m} for m in (10, 10, 6, 5)]
    assert series(*modes)[3] == "mode collapse: 5 of 10 classes are left (10 after 1,000 images)"
    assert series(*modes, modes=0.3) == [None] * 4


@pytest.mark.parametrize("found", [0.0, 1.0])
def test_classes_that_never_came_are_missed_when_it_is_no_longer_early(found):
    modes = [{"modes_digits": found}] * 3
    assert series(*modes, floors={"modes_digits": 10.0}, early=2) == [
        None,
        None,
        f"mode collapse: {found:.0f} of 10 classes are left",
    ]
    assert series({"modes_digits": 0.0}) == [None]


def test_shares_far_from_those_of_the_data():
    kl = [{"class_kl_digits": v} for v in (0.1, 0.4, 0.69)]
    assert series(*kl)[:2] == [None, None]
    assert "0.69 nats" in series(*kl)[2]
    assert "0.69 nats" in series(*kl, early=3)[2]  # lost, early or not
    late = [{"class_kl_digits": v} for v in (2.0, 1.5, 1.0)]
    assert [said is not None for said in series(*late, early=2)] == [False, False, True]


def test_it_goes_on_from_its_state():
    whole = Collapse()
    first = [Reading(i, value) for i, value in enumerate(fd(4.0, 2.0, 3.0), 1)]
    for reading in first:
        whole.judge(reading)
    other = Collapse()
    other.load_state_dict(whole.state_dict())
    last = Reading(9, {"fd_digits_2k": 4.5})
    assert other.judge(last) == whole.judge(last) is not None


@pytest.mark.parametrize("values", [{}, {"cs_digits": 3.0}])
def test_without_such_metrics_it_says_nothing(values):
    assert series(values, values) == [None, None]
