"""MNIST, in the package: it loads offline, in CI and on machines without a network.

The archive holds the four original idx files; see mnist.LICENCE.md beside it.
Reference: LeCun, Bottou, Bengio and Haffner (1998), Gradient-based learning applied to document
recognition.
"""

from genlab.data.images import CachedImages, check_split, split_of
from genlab.data.storage.archive import put_idx
from genlab.data.storage.bundled import ARCHIVE, read_archive
from genlab.data.storage.cache import Writer
from genlab.data.storage.idx import idx_dims, parse_idx
from genlab.data.storage.manifests import MANIFESTS
from genlab.types import ImageSpec

__all__ = ["Mnist"]


class Mnist(CachedImages):
    """60,000 + 10,000 handwritten digits, 1x28x28, 10 classes; bundled with genlab."""

    name = "mnist"

    @property
    def spec(self) -> ImageSpec:
        return ImageSpec(1, 28, 28, 256, 10)

    @property
    def class_names(self) -> tuple[str, ...]:
        return MANIFESTS["mnist"].class_names

    def key(self) -> str:
        return MANIFESTS["mnist"].key

    def build(self, writer: Writer) -> None:
        manifest = MANIFESTS["mnist"]
        for name, data in read_archive().items():
            put_idx(writer, name, parse_idx(data, f"{ARCHIVE}:{name}", idx_dims(name)))
        for split, n in (("train", manifest.train), ("test", manifest.test)):
            check_split(split_of(writer.arrays, split), self.spec, f"mnist/{split}", n)
