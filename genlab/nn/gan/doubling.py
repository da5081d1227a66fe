"""Map sizes of a generator that doubles them."""

from genlab.errors import ConfigError

__all__ = ["doublings"]


def doublings(height: int, width: int, *, network: str) -> list[tuple[int, int]]:
    """Sizes from the smallest map up, each exactly twice the one before; its short side is 4 to 7.

    Args:
        height: Of the image.
        width: Of the image.
        network: What asks, for the error.

    Raises:
        ConfigError: No such sizes lead to the image's.

    Example:
        >>> doublings(28, 28, network="dcgan")
        [(7, 7), (14, 14), (28, 28)]
        >>> doublings(64, 32, network="dcgan")
        [(8, 4), (16, 8), (32, 16), (64, 32)]
    """
    sizes = [(height, width)]
    while min(sizes[0]) > 7 and sizes[0][0] % 2 == sizes[0][1] % 2 == 0:
        sizes.insert(0, (sizes[0][0] // 2, sizes[0][1] // 2))
    if not 4 <= min(sizes[0]) <= 7:
        raise ConfigError(
            f"model.network={network} doubles maps of 4 to 7 pixels, so it makes sides of 8, 10, "
            f"12, 14, 16, 20, 24, 28, 32, ... pixels; this data is {height}x{width}; "
            "model=gan takes any size"
        )
    return sizes
