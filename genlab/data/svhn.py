"""Street View House Numbers, cropped digits.

Reference: Netzer, Wang, Coates, Bissacco, Wu and Ng (2011), Reading digits in natural images with
unsupervised feature learning.
"""

from pathlib import Path

import numpy as np

from genlab.data.storage.archive import FileImages
from genlab.data.storage.cache import Writer
from genlab.data.storage.damage import expecting

__all__ = ["Svhn"]


class Svhn(FileImages):
    """73,257 + 26,032 house numbers' digits, 3x32x32, 10 classes (the label of a 0 is 0).

    Args:
        root: Folder to look in first and to download to; the cache if None.
    """

    name = "svhn"

    def decode(self, paths: dict[str, Path], writer: Writer) -> None:
        from scipy.io import loadmat

        for split in ("train", "test"):
            path = paths[f"{split}_32x32.mat"]
            # On damaged files, SciPy's reader raises whatever it likes.
            with expecting("a MATLAB file with X and y", path, (Exception,)):
                content = loadmat(str(path), variable_names=["X", "y"])
                x = np.asarray(content["X"], np.uint8).transpose(3, 2, 0, 1)
                y = np.asarray(content["y"], np.int64).reshape(-1)
            writer.put(f"{split}_x", x)
            writer.put(f"{split}_y", y % 10)
