"""The manifests of the data sets that genlab knows; nothing here imports torch.

The MD5 hashes are those that torchvision's own data set classes pin; a test compares them with the
installed version.
"""

from genlab.data.storage.class_names import CIFAR10, DIGITS, FASHION, KUZUSHIJI
from genlab.data.storage.drawn import EARTH, EMOJI, FACES
from genlab.data.storage.manifest import DataFile, Manifest

__all__ = ["MANIFESTS", "MNIST_FILES"]

DIGIT = (1, 28, 28)


def _idx(
    known: dict[str, tuple[str, int] | tuple[str, int, str]], *mirrors: str
) -> tuple[DataFile, ...]:
    """Idx files known by SHA-256 and size of their content, and SHA-256 of the mirrors' gzip."""
    return tuple(
        DataFile(
            name, hash, "sha256", "content", size, tuple(f"{m}{name}.gz" for m in mirrors), *gz
        )
        for name, (hash, size, *gz) in known.items()
    )


def _md5(known: dict[str, str], folder: str) -> tuple[DataFile, ...]:
    """Files known by their MD5, in a folder of the web."""
    return tuple(DataFile(n, md5, "md5", urls=(f"{folder}{n}",)) for n, md5 in known.items())


def _drive(known: dict[str, tuple[str, str]]) -> tuple[DataFile, ...]:
    """Files on Google Drive known by their MD5."""
    return tuple(DataFile(n, md5, "md5", urls=(f"gdrive:{i}",)) for n, (md5, i) in known.items())


def _bundled(
    name: str, shape: tuple[int, int, int], train: int, test: int, classes: int, levels: int = 256
) -> Manifest:
    """A data set made of the bundled MNIST."""
    return Manifest(
        name,
        shape,
        train,
        test,
        classes,
        levels,
        MNIST_FILES,
        origin="bundled",
        licence="CC BY-SA 3.0",
        attribution="MNIST by Yann LeCun and Corinna Cortes",
        notice="mnist.LICENCE.md",
        class_names=DIGITS if classes == 10 else (),
    )


MNIST_FILES = _idx(
    {
        "train-images-idx3-ubyte": (
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            47_040_016,
        ),
        "train-labels-idx1-ubyte": (
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            60_008,
        ),
        "t10k-images-idx3-ubyte": (
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            7_840_016,
        ),
        "t10k-labels-idx1-ubyte": (
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            10_008,
        ),
    }
)
"""The members of the bundled archive."""

MANIFESTS: dict[str, Manifest] = {
    manifest.name: manifest
    for manifest in (
        _bundled("mnist", DIGIT, 60_000, 10_000, 10),
        _bundled("mnist_dyn", DIGIT, 60_000, 10_000, 10, levels=2),
        _bundled("stacked_mnist", (3, 28, 28), 128_000, 26_000, 1000),
        Manifest(
            "fashion_mnist",
            DIGIT,
            60_000,
            10_000,
            10,
            files=_idx(
                {
                    "train-images-idx3-ubyte": (
                        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                        47_040_016,
                        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                    ),
                    "train-labels-idx1-ubyte": (
                        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                        60_008,
                        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                    ),
                    "t10k-images-idx3-ubyte": (
                        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                        7_840_016,
                        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                    ),
                    "t10k-labels-idx1-ubyte": (
                        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
                        10_008,
                        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                    ),
                },
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            ),
            folders=("fashion_mnist", "fashion-mnist", "FashionMNIST/raw"),
            system=("/usr/share/datasets/fashion-mnist",),
            origin="download",
            licence="MIT",
            megabytes=31,
            class_names=FASHION,
        ),
        Manifest(
            "kmnist",
            DIGIT,
            60_000,
            10_000,
            10,
            files=_md5(
                {
                    "train-images-idx3-ubyte.gz": "bdb82020997e1d708af4cf47b453dcf7",
                    "train-labels-idx1-ubyte.gz": "e144d726b3acfaa3e44228e80efcd344",
                    "t10k-images-idx3-ubyte.gz": "5c965bf0a639b31b8f53240b1b52f4d7",
                    "t10k-labels-idx1-ubyte.gz": "7320c461ea6c1c855c0b718fb2a4b134",
                },
                "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
            ),
            folders=("kmnist", "KMNIST/raw"),
            origin="download",
            licence="CC BY-SA 4.0",
            megabytes=21,
            class_names=KUZUSHIJI,
        ),
        Manifest(
            "emnist",
            DIGIT,
            None,
            None,
            files=_md5(
                {"gzip.zip": "58c8d27c78d21e728a6bc7b3cc06412e"},
                "https://biometrics.nist.gov/cs_links/EMNIST/",
            ),
            folders=("emnist", "EMNIST/raw"),
            origin="download",
            licence="no licence stated; cite Cohen et al. (2017)",
            megabytes=562,
        ),
        Manifest(
            "cifar10",
            (3, 32, 32),
            50_000,
            10_000,
            10,
            files=_md5(
                {"cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a"},
                "https://www.cs.toronto.edu/~kriz/",
            ),
            folders=("cifar10",),
            origin="download",
            licence="no licence stated; cite Krizhevsky (2009)",
            megabytes=171,
            class_names=CIFAR10,
        ),
        Manifest(
            "svhn",
            (3, 32, 32),
            73_257,
            26_032,
            10,
            files=_md5(
                {
                    "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
                    "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
                },
                "http://ufldl.stanford.edu/housenumbers/",
            ),
            folders=("svhn",),
            origin="download",
            licence="non-commercial use only",
            megabytes=246,
            class_names=DIGITS,
        ),
        Manifest(
            "celeba",
            None,
            162_770,
            19_962,
            files=_drive(
                {
                    "img_align_celeba.zip": (
                        "00d2c5bc6d35e252742224ab0c1e8fcb",
                        "0B7EVK8r0v71pZjFTYXZWM3FlRnM",
                    ),
                    "list_attr_celeba.txt": (
                        "75e246fa4810816ffd6ee81facbd244c",
                        "0B7EVK8r0v71pblRyaVFSWGxPY0U",
                    ),
                    "list_eval_partition.txt": (
                        "d32c9cbf5e040fd4025c592c306e6668",
                        "0B7EVK8r0v71pY0NSMzRuSXJEVkk",
                    ),
                }
            ),
            folders=("celeba",),
            origin="download",
            licence="non-commercial research only",
            megabytes=1_400,
        ),
        FACES,
        EMOJI,
        EARTH,
        Manifest(
            "shakespeare",
            None,
            None,
            None,
            files=(
                DataFile(
                    "plays-and-poems.tar.xz",
                    "074d2ab1bede329576db6c4e66429a9f6368191e5e4b96d64188d98c17a24613",
                    size=1_577_332,
                ),
            ),
            origin="bundled",
            licence="public domain",
            attribution="William Shakespeare; texts of Project Gutenberg by the Python package "
            "shakespeare 0.6 (MIT), blanks and line ends tidied",
            notice="shakespeare/LICENCE.md",
        ),
        Manifest("folder", None, None, None, origin="yours"),
        Manifest("text", None, None, None, origin="yours"),
        Manifest("hf", None, None, None, origin="yours"),
        Manifest("gaussians", None, None, None),
        Manifest("synthetic", None, None, None),
    )
}
"""By the name of the data set."""
