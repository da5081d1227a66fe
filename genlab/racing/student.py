"""Student's t distribution: tail and quantile."""

__all__ = ["quantile", "two_sided"]


def two_sided(t: float, df: float) -> float:
    """``P(|T| >= |t|)`` of a Student variable with ``df`` degrees of freedom.

    Example:
        >>> round(two_sided(12.706204736, 1), 6), two_sided(0.0, 3)
        (0.05, 1.0)
    """
    from scipy.special import stdtr  # where it is needed: a race's status needs none

    return float(2 * stdtr(df, -abs(t)))


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
    from scipy.special import stdtrit

    return float(stdtrit(df, p))
