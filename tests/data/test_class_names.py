"""Names of the classes of published data sets: torchvision's where it has them, and shown."""

import pytest
from torchvision import datasets

from genlab.data.celeba import CelebA
from genlab.data.cifar10 import Cifar10
from genlab.data.emnist import SETS, Emnist
from genlab.data.fashion_mnist import FashionMnist
from genlab.data.feed.identity import changes
from genlab.data.kmnist import Kmnist
from genlab.data.mnist import Mnist
from genlab.data.mnist_dyn import BinarizedMnist
from genlab.data.stacked_mnist import StackedMnist
from genlab.data.storage.manifests import MANIFESTS
from genlab.data.svhn import Svhn


def test_the_names_are_torchvisions():
    assert list(FashionMnist().class_names) == datasets.FashionMNIST.classes
    assert list(Kmnist().class_names) == datasets.KMNIST.classes
    digits = [name.partition(" - ")[0] for name in datasets.MNIST.classes]
    for source in (Mnist(), BinarizedMnist(), Svhn()):
        assert list(source.class_names) == digits


@pytest.mark.parametrize("subset", SETS)
def test_emnist_names_letters_as_its_mapping_does(subset):
    names = [name for name in datasets.EMNIST.classes_split_dict[subset] if name != "N/A"]
    assert list(Emnist(subset).class_names) == names


def test_cifar10_names_what_its_batches_meta_names():
    assert Cifar10().class_names == (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    )  # fmt: skip


def test_an_attribute_of_celeba_names_its_two_classes():
    assert CelebA(attribute="Smiling").class_names == ("not Smiling", "Smiling")
    assert CelebA().class_names == ()


@pytest.mark.parametrize("manifest", MANIFESTS.values(), ids=list(MANIFESTS))
def test_there_are_as_many_names_as_classes(manifest):
    assert len(manifest.class_names) in (0, manifest.classes)
    assert len(set(manifest.class_names)) == len(manifest.class_names)
    without = {name for name, m in MANIFESTS.items() if m.classes and not m.class_names}
    assert without == {"stacked_mnist"}  # of which a label says the three digits
    assert StackedMnist().class_names == ()


def test_a_run_of_before_the_names_goes_on():
    now = {"fingerprint": "a", "classes": ["Bag"]}
    assert changes({"fingerprint": "a", "classes": []}, now) == []
    assert changes({"fingerprint": "a", "classes": ["Coat"]}, now) != []
