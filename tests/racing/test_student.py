"""Student's t against scipy."""

import pytest
from scipy import stats

from genlab.racing.student import quantile, two_sided


@pytest.mark.parametrize("df", [1, 1.7, 2, 4, 9.3, 60, 1e5])
def test_tails_are_those_of_scipy(df):
    for t in (0.0, 0.1, 1.0, 2.5, 7.0, 40.0):
        assert two_sided(t, df) == pytest.approx(2 * stats.t.sf(t, df), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("df", [1, 2, 4, 9.3, 60])
def test_quantiles_are_those_of_scipy(df):
    for p in (0.5, 0.8, 0.975, 0.999):
        assert quantile(p, df) == pytest.approx(stats.t.ppf(p, df), rel=1e-9, abs=1e-12)


def test_a_quantile_below_the_median_is_refused():
    with pytest.raises(ValueError, match=r"from 0\.5"):
        quantile(0.4, 3)
