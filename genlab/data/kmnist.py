"""Kuzushiji-MNIST: handwritten Japanese characters in the format of MNIST.

Reference: Clanuwat, Bober-Irizar, Kitamoto, Lamb, Yamamoto and Ha (2018), arXiv 1812.01718.
"""

from genlab.data.storage.archive import IdxImages

__all__ = ["Kmnist"]


class Kmnist(IdxImages):
    """60,000 + 10,000 handwritten Japanese characters, 1x28x28, 10 classes.

    Args:
        root: Folder to look in first and to download to; the cache if None.
    """

    name = "kmnist"
