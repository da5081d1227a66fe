"""What a number is called. Names never lie: the key carries extractor and sample count."""

from genlab.metrics.base import Number
from genlab.metrics.extractors.base import Extractor
from genlab.metrics.extractors.inception import INCEPTION

__all__ = ["count_suffix", "metric_key"]


def count_suffix(n: int, standard: int) -> str:
    """How many images, where it is not the usual number.

    Example:
        >>> count_suffix(50_000, 50_000), count_suffix(10_000, 50_000), count_suffix(2500, 10_000)
        ('', '_10k', '_2500')
    """
    if n == standard:
        return ""
    return f"_{n // 1000}k" if n % 1000 == 0 else f"_{n}"


def metric_key(number: Number, extractor: Extractor | None, n: int, standard: int) -> str:
    """The key of a number of n samples under an extractor.

    ``fid``, ``is_mean``, ``is_std`` and ``kid`` exist for the verified Inception weights alone, and
    without a number for 50,000 samples alone. Other weights under the same network carry the
    beginning of their hash.

    Args:
        number: The number.
        extractor: What the features are of; None for a number of the samples themselves.
        n: Samples used.
        standard: Samples that the metric's protocol asks for.

    Example:
        >>> from genlab.metrics.extractors.pixels import PixelsExtractor
        >>> metric_key(Number("fd", published="fid"), PixelsExtractor(1, 28, 28), 2000, 10_000)
        'fd_pixels_2k'
    """
    suffix = count_suffix(n, standard)
    if extractor is None:
        return f"{number.name}{suffix}"
    if extractor.name != "inception":
        return f"{number.name}_{extractor.name}{suffix}"
    if extractor.id != INCEPTION.sha256:
        return f"{number.name}_inception_{extractor.id[:8]}{suffix}"
    return (number.published or f"{number.name}_inception") + suffix
