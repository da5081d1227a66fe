"""What a number is called. Names never lie: the key carries extractor and sample count."""

from genlab.metrics.extractors.base import Extractor
from genlab.metrics.extractors.inception import INCEPTION

__all__ = ["count_suffix", "metric_key", "standard_count"]

PUBLISHED = {"fd": "fid", "cs": "is_mean", "cs_std": "is_std", "kd": "kid", "kd_std": "kid_std"}
"""The names of the literature, for the network of the literature alone."""

OF_ALL_SAMPLES = {"fd", "fdinf", "cs", "cs_std", "kd", "kd_std"}


def count_suffix(n: int, standard: int) -> str:
    """How many images, where it is not the usual number.

    Example:
        >>> count_suffix(50_000, 50_000), count_suffix(10_000, 50_000), count_suffix(2500, 10_000)
        ('', '_10k', '_2500')
    """
    if n == standard:
        return ""
    return f"_{n // 1000}k" if n % 1000 == 0 else f"_{n}"


def standard_count(metric: str, extractor: str) -> int:
    """Samples that a metric's protocol asks for; a key without a number means these.

    Args:
        metric: Its short name (``fd``).
        extractor: Name of the extractor.
    """
    if metric in ("modes", "class_kl") and extractor == "stacked_digits":
        return 26_000
    if metric in ("nn_ratio", "authenticity", "mmd"):
        return 2000
    if metric == "w2":
        return 5120
    if metric in OF_ALL_SAMPLES and extractor in ("inception", "dinov2"):
        return 50_000
    return 10_000


def metric_key(metric: str, extractor: Extractor, n: int) -> str:
    """The key of a metric of n samples under an extractor.

    ``fid``, ``is_mean``, ``is_std`` and ``kid`` exist for the verified Inception weights alone, and
    without a number for 50,000 samples alone. Other weights under the same network carry the
    beginning of their hash.

    Args:
        metric: Short name: ``fd``, ``cs``, ``kd``, ``prec``, ...
        extractor: What the features are of.
        n: Samples used.

    Example:
        >>> from genlab.metrics.extractors.pixels import PixelsExtractor
        >>> metric_key("fd", PixelsExtractor(1, 28, 28), 2000)
        'fd_pixels_2k'
    """
    suffix = count_suffix(n, standard_count(metric, extractor.name))
    if extractor.name != "inception":
        return f"{metric}_{extractor.name}{suffix}"
    if extractor.id != INCEPTION.sha256:
        return f"{metric}_inception_{extractor.id[:8]}{suffix}"
    return PUBLISHED.get(metric, f"{metric}_inception") + suffix
