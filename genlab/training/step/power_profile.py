"""Power-function profiles: the weighting of a run's past weights by their time to a power.

Such an average is p(τ) = (γ + 1) τ^γ / t^(γ+1) over the images 0 < τ <= t, so its length is a share
of the run so far, and it forgets the initialization at once. It goes by its relative width, the
standard deviation of the profile by the time t at which it ends, σ_rel.

Karras et al. 2024, Analyzing and Improving the Training Dynamics of Diffusion Models (EDM2),
section 3 and appendix C.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["LIMIT", "coefficients", "exponent", "inner_product", "width_of"]

LIMIT = math.sqrt(1 / 12)
"""Relative width of the plain mean of all weights, exponent 0; no profile that grows is wider."""


def width_of(gamma: float) -> float:
    """Relative width σ_rel of an exponent γ.

    Example:
        >>> round(width_of(6.94), 3), round(width_of(16.97), 3)
        (0.1, 0.05)
    """
    return math.sqrt((gamma + 1) / ((gamma + 2) ** 2 * (gamma + 3)))


def exponent(width: float) -> float:
    """Exponent γ >= 0 of a relative width, the largest root of the cubic that `width_of` inverts.

    Raises:
        ValueError: No growing profile has it.
    """
    if not 0 < width <= LIMIT * (1 + 1e-9):
        raise ValueError(f"relative width {width}: above 0 and at most {LIMIT:.4f} are possible")
    t = width**-2
    return max(0.0, float(np.roots([1, 7, 16 - t, 12 - t]).real.max()))


def inner_product(
    ends: ArrayLike, gammas: ArrayLike, other_ends: ArrayLike, other_gammas: ArrayLike
) -> NDArray[np.float64]:
    """Integrals of products of two profiles over τ, in closed form; all arguments broadcast.

    Args:
        ends: Times t at which the first profiles end.
        gammas: Their exponents.
        other_ends: Times at which the second ones end.
        other_gammas: Their exponents.
    """
    t, g, u, h = (np.asarray(x, np.float64) for x in (ends, gammas, other_ends, other_gammas))
    powers = (g + h + 1) * np.log(np.minimum(t, u)) - (g + 1) * np.log(t) - (h + 1) * np.log(u)
    return np.asarray((g + 1) * (h + 1) * np.exp(powers) / (g + h + 1))


def coefficients(
    ends: ArrayLike, gammas: ArrayLike, end: float, gamma: float
) -> tuple[NDArray[np.float64], float]:
    """Coefficients of stored profiles whose sum is nearest to another profile.

    They minimize the squared distance of the two functions of τ, as EDM2's do, among those that sum
    to 1: so a weight that never moved comes out as it was, however few profiles there are.

    Args:
        ends: Times at which the stored profiles end.
        gammas: Their exponents.
        end: Time at which the wanted profile ends.
        gamma: Its exponent.

    Returns:
        The coefficients, and the distance that is left as a share of the wanted profile's norm.
    """
    t, g = np.broadcast_arrays(np.asarray(ends, np.float64), np.asarray(gammas, np.float64))
    n = len(t)
    products = inner_product(t[:, None], g[:, None], t, g)
    wanted = inner_product(t, g, end, gamma)
    norm = float(inner_product(end, gamma, end, gamma))
    # The normal equations, bordered by the multiplier of the constraint
    system = np.ones((n + 1, n + 1))
    system[:n, :n], system[n, n] = products / norm, 0
    found = np.linalg.lstsq(system, np.append(wanted / norm, 1), rcond=None)[0][:n]
    left = 1 + found @ products @ found / norm - 2 * found @ wanted / norm
    return found, math.sqrt(max(0.0, float(left)))
