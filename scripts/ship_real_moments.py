"""Works out what genlab/metrics/real_moments holds: moments and floors of the bundled data sets.

    python scripts/ship_real_moments.py --fashion-root FOLDER

To be run again when an extractor, a data set or a metric's protocol changes (a test finds out);
what no longer matches any key is never read, and may be deleted.
"""

import argparse
import os
import tempfile

import torch

from genlab.data.fashion_mnist import FashionMnist
from genlab.data.images import ImageData
from genlab.data.mnist import Mnist
from genlab.data.mnist_dyn import BinarizedMnist
from genlab.data.module import ImageDataModule
from genlab.metrics.builtin import BUILT_IN
from genlab.metrics.extractors.selection import choose
from genlab.metrics.measure import measure
from genlab.metrics.real import RealFeatures
from genlab.metrics.shipped import FOLDER, ship
from genlab.training.evaluator import reference_of

COUNTS = (2_000, 10_000)
"""Samples of the metrics along the way, and of those at the end."""


def work_out(source: ImageData) -> None:
    """Moments, class shares and floors under the data set's own extractor."""
    reference = reference_of(ImageDataModule(source, batch_size=100))
    (extractor,) = choose("auto", source.name, reference.shape)
    real = RealFeatures(reference, extractor)
    floors = {}
    for n in COUNTS:
        test = real.subset("test", n, 0)
        for name, metric in BUILT_IN.items():
            measure(metric, [test], real)
            key = f"{name}/{n}/0"
            floors[real.floor_key(key)] = real.floor(key, dict)  # it is in the cache by now
    for path in ship(real.key("train"), real.moments, real.shares, floors):
        print(f"{source.name}: {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fashion-root", help="folder of Fashion-MNIST, if not in the cache")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for path in FOLDER.glob("*"):
        path.unlink()
    with tempfile.TemporaryDirectory() as cache:
        sources = [Mnist(), BinarizedMnist(), FashionMnist(args.fashion_root)]
        for source in sources:
            source.prepare()
        os.environ["GENLAB_CACHE"] = cache
        for source in sources:
            work_out(source)


if __name__ == "__main__":
    main()
