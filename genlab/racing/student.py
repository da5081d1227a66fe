"""Student's t distribution: tail and quantile, without a library.

The tail is a regularized incomplete beta function, evaluated by its continued fraction (Lentz's
method; Press et al. 2007, Numerical Recipes, section 6.4); the quantile inverts it by bisection.
"""

import math
from functools import lru_cache

__all__ = ["quantile", "two_sided"]

STEPS = 300
"""Terms of the continued fraction; it converges in some sqrt(max(a, b))."""


def two_sided(t: float, df: float) -> float:
    """``P(|T| >= |t|)`` of a Student variable with ``df`` degrees of freedom.

    Example:
        >>> round(two_sided(12.706204736, 1), 6), two_sided(0.0, 3)
        (0.05, 1.0)
    """
    if math.isinf(t):
        return 0.0
    return incomplete_beta(df / 2, 0.5, df / (df + t * t))


@lru_cache(1024)
def quantile(p: float, df: float) -> float:
    """The t with ``P(T <= t) = p``, for p from 0.5 on.

    Raises:
        ValueError: p is below 0.5, or 1.

    Example:
        >>> round(quantile(0.975, 2), 4)
        4.3027
    """
    if not 0.5 <= p < 1:
        raise ValueError(f"p={p}: from 0.5, below 1")
    low, high = 0.0, 1.0
    while two_sided(high, df) > 2 * (1 - p):
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided(middle, df) > 2 * (1 - p) else (low, middle)
    return (low + high) / 2


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularized incomplete beta function ``I_x(a, b)``."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # where the fraction converges slowly
        return 1 - incomplete_beta(b, a, 1 - x)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    log_front += a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) * fraction(a, b, x) / a


def fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function."""
    tiny = 1e-300
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1) or tiny)
    value = d
    for m in range(1, STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / (1 + term * d or tiny)
            c = 1 + term / c or tiny
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value
