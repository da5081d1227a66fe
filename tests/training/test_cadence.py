"""Intervals and budgets as a person writes them."""

import pytest

from genlab.errors import ConfigError
from genlab.training.intervals import images_of, seconds_of


@pytest.mark.parametrize(
    ("interval", "images"),
    [(5, 5), ("7", 7), ("1 epoch", 100), ("2.5 epochs", 250), ("0.001 epochs", 1)],
)
def test_intervals(interval, images):
    assert images_of(interval, 100) == images


@pytest.mark.parametrize("interval", [0, -1, "", "1 epok", True, 1.5, None, "-2 epochs"])
def test_bad_intervals_name_the_key(interval):
    with pytest.raises(ConfigError, match=r"samples\.every="):
        images_of(interval, 100, "samples.every")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(3, 3.0), ("3", 3.0), ("90s", 90.0), ("3m", 180.0), ("1h30m", 5400.0), ("00:03:00", 180.0)],
)
def test_times(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", [0, -3, "", "soon", "3 minutes", True, "0s", "00:00"])
def test_bad_times_name_the_key(text):
    with pytest.raises(ConfigError, match=r"trainer\.max_time="):
        seconds_of(text)
