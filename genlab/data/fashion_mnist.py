"""Fashion-MNIST: pictures of clothes in the format of MNIST.

Reference: Xiao, Rasul and Vollgraf (2017), arXiv 1708.07747.
"""

from genlab.data.storage.archive import IdxImages

__all__ = ["FashionMnist"]


class FashionMnist(IdxImages):
    """60,000 + 10,000 pictures of clothes, 1x28x28, 10 classes.

    It is looked for under ``root``, then in /usr/share/datasets/fashion-mnist (the Debian package
    dataset-fashion-mnist), then downloaded.

    Args:
        root: Folder to look in first and to download to; the cache if None.
    """

    name = "fashion_mnist"
