"""The data module: fixed splits, the same batches wherever the images lie, and its config."""

import dataclasses

import pytest
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from genlab.config.check import check_component
from genlab.config.folders import config_dir
from genlab.data.curriculum import ClassOrder, Resolution
from genlab.data.feed.residence import fits, in_group, materialize
from genlab.data.feed.split import hold_out, limited
from genlab.data.from_config import build, module_keys
from genlab.data.images import ImageData, Split
from genlab.data.mnist_dyn import BinarizedMnist
from genlab.data.module import ImageDataModule
from genlab.data.storage.manifests import MANIFESTS
from genlab.data.synthetic import Synthetic
from genlab.data.transforms import Flip, PadCrop
from genlab.errors import ConfigError, DataError
from genlab.system.paths import cache_dir
from genlab.types import Batch, ImageSpec, SequenceSpec

SMALL = {"batch_size": 16, "val_size": 0.25, "eval_batch_size": 30}


class Grey(ImageData):
    """Numbered images that are resampled as bits."""

    name = "grey"

    def __init__(self, n=100):
        self.n = n

    @property
    def spec(self):
        return ImageSpec(1, 4, 4, 2, 4)

    def load(self, split):
        n = self.n if split == "train" else 40
        x = torch.arange(n * 16).view(n, 1, 4, 4).remainder(256).to(torch.uint8)
        return Split(x, torch.arange(n) % 4)

    def resample(self, x, generator=None):
        return BinarizedMnist.resample(self, x, generator)


# ----------------------------------------------------------------------------------------------
# Splits


def test_the_split_is_fixed_by_its_seed():
    train, val = hold_out(100, 20, seed=0)
    assert sorted([*train.tolist(), *val.tolist()]) == list(range(100))
    assert len(val) == 20
    again = hold_out(100, 0.2, seed=0)
    torch.testing.assert_close(again, (train, val))
    assert not torch.equal(hold_out(100, 20, seed=1)[1], val)
    assert torch.equal(hold_out(100, 0, seed=0)[0], torch.arange(100))


def test_a_limit_takes_a_subset():
    train, val = hold_out(100, 20, seed=0)
    few, few_val = hold_out(100, 20, seed=0, limit=7)
    fewer, _ = hold_out(100, 20, seed=0, limit=3)
    assert (len(few), len(few_val)) == (7, 7)
    assert set(fewer.tolist()) < set(few.tolist()) < set(train.tolist())
    assert set(few_val.tolist()) < set(val.tolist())
    assert len(limited(50, 0, 5)) == 5
    assert torch.equal(limited(50, 0, None), torch.arange(50))
    assert torch.equal(limited(50, 0, 60), torch.arange(50))


@pytest.mark.parametrize("val_size", [100, 1000, 1.5, 0.999])
def test_nothing_left_to_train_on_is_a_line(val_size):
    with pytest.raises(ConfigError, match=r"data.val_size="):
        hold_out(100, val_size, seed=0)


def test_mnist_has_its_usual_split(mnist):
    module = ImageDataModule(mnist)
    assert (len(module.train.x), len(module.val.x), len(module.test.x)) == (55_000, 5_000, 10_000)
    assert module.n_train == 55_000
    assert "55,000 train, 5,000 validation (split_seed 0), 10,000 test" in module.summary()
    torch.testing.assert_close(module.test.x, mnist.load("test").x)


def test_splits_are_images_of_the_source():
    source = Synthetic(n_train=64, n_test=16)
    module = ImageDataModule(source, **SMALL)
    train, val = hold_out(64, 0.25, 0)
    whole = source.load("train")
    torch.testing.assert_close(module.train, whole.take(train))
    torch.testing.assert_close(module.val, whole.take(val))
    torch.testing.assert_close(module.test, source.load("test"))


# ----------------------------------------------------------------------------------------------
# Where the images lie


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("source", [Synthetic(n_train=200), Grey(200)], ids=["plain", "resampled"])
def test_mapped_images_give_the_batches_of_resident_ones(source, workers):
    options = {"augment": ["crop"], "seed": 5, "chunk": 3, **SMALL}
    resident = ImageDataModule(source, resident=True, **options)
    mapped = ImageDataModule(source, resident=False, workers=workers, **options)
    assert resident.held
    assert not mapped.held
    loaders = [m.train_loader(position=32) for m in (resident, mapped)]
    for _ in range(8):
        ours, theirs = (next(loader) for loader in loaders)
        torch.testing.assert_close(ours, theirs)
    assert loaders[1].workers == workers
    loaders[1].close()
    torch.testing.assert_close(resident.train, mapped.train)
    torch.testing.assert_close(list(resident.val_dataloader()), list(mapped.val_dataloader()))
    assert list((cache_dir() / "arrays").glob("split-*-train/x.npy"))


def test_mapping_is_chosen_when_memory_is_short(monkeypatch):
    monkeypatch.setattr("genlab.data.feed.residence.free_memory", lambda device=None: 10_000)
    module = ImageDataModule(Synthetic(n_train=200), **SMALL)
    assert not module.held
    assert module.train_loader().workers == 2
    module.train_loader().close()
    monkeypatch.setattr("genlab.data.feed.residence.free_memory", lambda device=None: 10**9)
    module = ImageDataModule(Synthetic(n_train=200), **SMALL)
    assert module.held
    assert module.train_loader().workers == 0
    assert "in memory" in module.summary()


def test_half_of_the_free_memory_may_be_taken(monkeypatch):
    monkeypatch.setattr("genlab.data.feed.residence.free_memory", lambda device=None: 1000)
    assert fits("auto", 500)
    assert not fits("auto", 501)
    assert fits(True, 10**15)
    assert not fits(False, 1)


def test_free_memory_knows_control_groups(tmp_path):
    assert in_group(tmp_path / "none") > 1 << 60
    (tmp_path / "memory.current").write_text("300\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert in_group(tmp_path) > 1 << 60
    (tmp_path / "memory.max").write_text("1000\n")
    assert in_group(tmp_path) == 700


def test_a_materialized_split_does_not_share_memory():
    split = Synthetic(n_train=20).load("train")
    materialized = materialize(split, torch.arange(20), True, "key")
    split.x.zero_()
    assert materialized.x.max() > 0


# ----------------------------------------------------------------------------------------------
# Loaders


def test_each_image_once_and_in_order():
    module = ImageDataModule(Synthetic(n_train=64, n_test=70), **SMALL)
    loader = module.test_dataloader()
    got = list(loader)
    assert [len(batch.x) for batch in got] == [30, 30, 10]
    assert len(loader) == 3
    assert all(isinstance(batch, Batch) for batch in got)
    torch.testing.assert_close(torch.cat([b.x for b in got]), module.test.x)
    torch.testing.assert_close(torch.cat([b.y for b in got]), module.test.y)


def test_what_is_resampled_is_drawn_once_for_validation_and_test():
    """Whatever the size and order of the batches, and without the global random state."""
    before = torch.get_rng_state()
    one = ImageDataModule(Grey(), **SMALL)
    other = ImageDataModule(Grey(), **SMALL | {"eval_batch_size": 7})
    test = torch.cat([batch.x for batch in one.test_dataloader()])
    assert set(test.unique().tolist()) == {0, 1}
    list(other.val_dataloader())
    torch.testing.assert_close(torch.cat([b.x for b in other.test_dataloader()]), test)
    torch.testing.assert_close(torch.cat([b.x for b in one.test_dataloader()]), test)
    assert not torch.equal(one.val.x[:15], test[:15])
    assert one.train.x.max() == 1
    assert torch.equal(torch.get_rng_state(), before)
    elsewhere = ImageDataModule(Grey(), **SMALL, split_seed=1)
    assert not torch.equal(elsewhere.test.x, test)


def test_no_two_images_are_drawn_alike(monkeypatch):
    monkeypatch.setattr("genlab.data.feed.eval_loader.BLOCK", 10)

    class Even(Grey):
        def load(self, split):
            x, y = super().load(split)
            return Split(torch.full_like(x, 128), y)

    module = ImageDataModule(Even(), **SMALL)
    drawn = torch.cat([module.train.x, module.val.x, module.test.x]).flatten(1)
    # Of 140 drawings of 16 fair bits, a few may well agree; whole blocks may not.
    assert len(drawn.unique(dim=0)) > 130


def test_the_loader_resamples_what_is_stored():
    module = ImageDataModule(Grey(), **SMALL)
    source = module.train_loader()
    epochs = [
        torch.cat([next(source).x[0] for _ in range(source.order.images_per_epoch // 16)])
        for _ in range(2)
    ]
    assert epochs[0].max() == 1
    assert not torch.equal(epochs[0], epochs[1])


class Fitted(pl.LightningModule):
    """Counts images as the training module does, and keeps what it was given."""

    def __init__(self, images_seen=0):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.automatic_optimization = False
        self.images_seen = images_seen
        self.given, self.validated = [], []

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)

    def training_step(self, batch, index):
        self.given.append(batch)
        self.images_seen += batch.x.shape[:2].numel()
        self.optimizers().step()

    def validation_step(self, batch, index):
        self.validated.append(batch)


def fit(data, module, steps):
    trainer = pl.Trainer(
        max_steps=steps, max_epochs=-1, accelerator="cpu", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        val_check_interval=2, check_val_every_n_epoch=None, num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    return module


def test_lightning_trains_on_the_loader():
    source = Synthetic(n_train=200, n_test=40)
    data = ImageDataModule(source, augment=["flip"], seed=7, chunk=2, **SMALL)
    whole = fit(data, Fitted(), 6)
    want = data.train_loader()
    for chunk in whole.given:
        assert isinstance(chunk, Batch)
        torch.testing.assert_close(chunk, next(want))
    assert len(whole.given) == 6
    assert sum(len(batch.x) for batch in whole.validated) == 3 * len(data.val.x)
    later = fit(data, Fitted(images_seen=64), 4)
    torch.testing.assert_close(later.given, whole.given[2:6])


def test_without_a_trainer_the_loader_starts_at_the_beginning():
    options = {"chunk": 3, "seed": 1, "curriculum": ClassOrder()}
    data = ImageDataModule(Synthetic(n_train=200), **options, **SMALL)
    source = data.train_dataloader()
    assert (source.position, source.chunk, source.seed) == (0, 3, 1)
    assert source.order.curriculum is data.curriculum


# ----------------------------------------------------------------------------------------------
# Misfits and identity


def test_too_large_a_batch_names_both_keys():
    data = ImageDataModule(Synthetic(n_train=200), batch_size=64, val_size=0.25, limit=32)
    with pytest.raises(ConfigError, match=r"data.batch_size=64: .* 32 .*\(data.limit=32\)"):
        data.train_loader()
    data = ImageDataModule(Synthetic(n_train=100), batch_size=64, val_size=50)
    with pytest.raises(ConfigError, match=r"data.batch_size=64: .* 50 .*\(data.val_size=50\)"):
        data.train_loader()


def test_a_source_that_does_not_fit_its_spec_is_named():
    class Wrong(Grey):
        def load(self, split):
            x, y = super().load(split)
            return Split(x, y[:-1])

    with pytest.raises(DataError, match="grey/train: expected 100 labels for 100 images, found 99"):
        ImageDataModule(Wrong(), **SMALL).setup()


def test_the_fingerprint_tells_data_apart():
    def of(source, **options):
        return ImageDataModule(source, **SMALL, **options).fingerprint

    assert of(Synthetic()) == of(Synthetic()) == Synthetic().fingerprint()
    different = [
        of(Synthetic()),
        of(Synthetic(seed=1)),
        of(Synthetic(n_test=128)),
        of(Synthetic(), limit=50),
        of(Synthetic(), limit=60),
        of(Synthetic(), limit=50, split_seed=1),
        of(Grey()),
    ]
    assert len(set(different)) == len(different)


def test_the_fingerprint_covers_the_geometry():
    class Other(Grey):
        @property
        def spec(self):
            return dataclasses.replace(super().spec, levels=256)

    assert Other().fingerprint() != Grey().fingerprint()


# ----------------------------------------------------------------------------------------------
# Configs

NEEDS = {"folder": {"path": "pictures"}, "hf": {"path": "who/what"}, "text": {"path": "mine"}}


def composed(name, *overrides):
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        cfg = compose(f"data/{name}", overrides=list(overrides))
    for key, value in NEEDS.get(name, {}).items():
        cfg.data[key] = value
    return OmegaConf.to_container(cfg.data, resolve=True)


OF_IMAGES = {"augment", "split_seed", "val_size"}
"""Keys that texts do not have: they come with a validation split, and nothing changes them."""


@pytest.mark.parametrize("name", sorted(MANIFESTS))
def test_every_config_builds(name):
    section = composed(name)
    assert list(check_component("data", section, ())) == []
    module = build(section, instantiate)
    assert module.source.name == name
    settled = OF_IMAGES if module.source.provides is SequenceSpec else set()
    assert set(module_keys()) - settled <= set(section), "a key that cannot be overridden"
    if name not in NEEDS:
        assert module.spec.dims > 0
        manifest = MANIFESTS[name]
        if manifest.shape is not None:
            assert module.spec.shape == manifest.shape
            assert module.spec.levels == manifest.levels
        if manifest.classes:
            assert module.spec.num_classes == manifest.classes
    assert not cache_dir().exists(), "building touches no file"


@pytest.mark.parametrize("name", sorted(MANIFESTS))
def test_every_config_says_what_the_classes_default_to(name):
    section = composed(name)
    plain = build({k: v for k, v in section.items() if k not in module_keys()}, instantiate)
    target = {k: v for k, v in section.items() if k == "_target_" or k in NEEDS.get(name, {})}
    bare = build(target, instantiate)
    ours, theirs = (vars(m.source) for m in (plain, bare))
    for private in ("_grey", "_digits"):
        ours.pop(private, None), theirs.pop(private, None)
    assert ours == theirs


def test_build_divides_the_keys():
    section = composed("synthetic", "data.size=12", "data.batch_size=9", "data.augment=[flip,crop]")
    module = build(section, instantiate, seed=4, chunk=8, curriculum=Resolution([3], [10]))
    assert (module.source.size, module.batch_size) == (12, 9)
    assert [type(t) for t in module.augment] == [Flip, PadCrop]
    assert (module.seed, module.chunk) == (4, 8)
    assert module.curriculum.sizes == (3,)
    with pytest.raises(ConfigError, match="must be a data set"):
        build({"_target_": "genlab.data.transforms.Flip"}, instantiate)
    with pytest.raises(ConfigError, match="needs a Transform here"):
        ImageDataModule(Synthetic(), augment=[{"_target_": "x"}])


@pytest.mark.parametrize("name", ["none", "resolution", "classes"])
def test_curricula_are_chosen_by_name(name):
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        cfg = compose("train", overrides=[f"curriculum={name}"])
    if name == "none":
        assert cfg.curriculum is None
        return
    made = instantiate(cfg.curriculum)
    assert type(made) is {"resolution": Resolution, "classes": ClassOrder}[name]
    source = Synthetic(n_train=200, classes=4)
    module = ImageDataModule(source, chunk=2, curriculum=made, **SMALL)
    x = next(module.train_loader()).x
    assert x.shape == (2, 16, 1, 8, 8)


def test_groups_stay_whole():
    groups = torch.arange(100) // 7
    train, val = hold_out(100, 20, seed=0, groups=groups)
    assert not set(groups[train].tolist()) & set(groups[val].tolist())
    assert torch.equal(torch.cat([train, val]).sort().values, torch.arange(100))
    assert 14 <= len(val) <= 20
    few, few_val = hold_out(100, 20, seed=0, limit=5, groups=groups)
    assert set(few.tolist()) <= set(train.tolist())
    assert set(few_val.tolist()) <= set(val.tolist())
    # Where each image is a group, nothing changes.
    alone = hold_out(100, 20, seed=0, groups=torch.arange(100))
    assert all(map(torch.equal, alone, hold_out(100, 20, seed=0)))
