"""The manifests against torchvision's own pins, and against the configs."""

import pytest
from torchvision import datasets

from genlab.config.folders import config_dir
from genlab.data.storage.manifest import DataFile
from genlab.data.storage.manifests import MANIFESTS


def pins(name):
    """File name and MD5 as torchvision has them."""
    if name == "kmnist":
        return dict(datasets.KMNIST.resources)
    if name == "emnist":
        return {datasets.EMNIST.url.rsplit("/", 1)[1]: datasets.EMNIST.md5}
    if name == "cifar10":
        return {datasets.CIFAR10.filename: datasets.CIFAR10.tgz_md5}
    if name == "svhn":
        return {f: md5 for s, (_, f, md5) in datasets.SVHN.split_list.items() if s != "extra"}
    wanted = {"img_align_celeba.zip", "list_attr_celeba.txt", "list_eval_partition.txt"}
    return {f: md5 for _, md5, f in datasets.CelebA.file_list if f in wanted}


@pytest.mark.parametrize("name", ["kmnist", "emnist", "cifar10", "svhn", "celeba"])
def test_hashes_are_those_that_torchvision_pins(name):
    assert {f.name: f.hash for f in MANIFESTS[name].files} == pins(name)
    assert {f.algorithm for f in MANIFESTS[name].files} == {"md5"}


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        ("fashion_mnist", datasets.FashionMNIST.mirrors),
        ("kmnist", datasets.KMNIST.mirrors),
        ("emnist", [datasets.EMNIST.url]),
        ("cifar10", [datasets.CIFAR10.url]),
        ("svhn", ["http://ufldl.stanford.edu/housenumbers/"]),
    ],
)
def test_mirrors_are_those_of_torchvision(name, addresses):
    for file in MANIFESTS[name].files:
        assert any(file.urls[0].startswith(address) for address in addresses)


def test_each_config_has_a_manifest_of_its_name():
    configs = {path.stem for path in (config_dir() / "data").glob("*.yaml")}
    assert configs == set(MANIFESTS)


def test_digest_kinds():
    for manifest in MANIFESTS.values():
        for file in manifest.files:
            assert isinstance(file, DataFile)
            assert len(file.hash) == {"sha256": 64, "md5": 32}[file.algorithm]
