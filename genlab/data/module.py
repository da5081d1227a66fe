"""Lightning data module of images: splits, and loaders for training and evaluation."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pytorch_lightning as pl
import torch

from genlab.data.curriculum import Curriculum
from genlab.data.feed.augment import parse_augment
from genlab.data.feed.eval_loader import EvalLoader, resampled, resamples
from genlab.data.feed.residence import fits, materialize, nbytes
from genlab.data.feed.split import VAL_SIZE, divide, limited
from genlab.data.feed.train_loader import TrainLoader
from genlab.data.images import Attributes, ImageData, Split, SplitName
from genlab.data.transforms import Transform
from genlab.errors import ConfigError
from genlab.ranges import NonNegativeFloat, NonNegativeInt, PositiveInt
from genlab.types import ImageSpec, Spec

__all__ = ["ImageDataModule"]


class ImageDataModule(pl.LightningDataModule):
    """Train, validation and test images of a data set, and the loaders of them.

    `train`, `val` and `test` are the images as a model sees them, integers below
    ``spec.levels``; where the data is resampled at each access, one drawing of it, fixed by
    ``split_seed``. The training loader resamples and augments.

    Args:
        source: The data set.
        batch_size: Training images in a batch, over all processes.
        eval_batch_size: Images in a batch for validation and test.
        val_size: Training images set aside for validation: how many, or a share below 1; none
            where the data comes with a validation split.
        split_seed: Decides which ones.
        limit: At most this many images of each split, for a quick run.
        augment: Changes of the training images in their order: names, such as ``[flip, crop]``,
            names with arguments, such as ``{crop: {padding: 2}}``, or `Transform` objects.
        resident: Hold the images in memory, and on the GPU if they are trained on there; "auto"
            does if they take less than half of what is free. Else they are mapped from a file.
        workers: Threads that make training batches in the background; "auto" takes none for
            resident images and 2 for mapped ones.
        seed: Key of the training loader's order, augmentation and resampling.
        chunk: Batches that the training loader yields at a time.
        curriculum: Which training images are shown when; all from the start if None.
    """

    def __init__(
        self,
        source: ImageData,
        *,
        batch_size: PositiveInt = 128,
        eval_batch_size: PositiveInt = 500,
        val_size: NonNegativeFloat = VAL_SIZE,
        split_seed: NonNegativeInt = 0,
        limit: PositiveInt | None = None,
        augment: Sequence[Any] | Mapping[str, Any] = (),
        resident: bool | Literal["auto"] = "auto",
        workers: NonNegativeInt | Literal["auto"] = "auto",
        seed: int = 0,
        chunk: PositiveInt = 1,
        curriculum: Curriculum | None = None,
    ):
        super().__init__()
        self.source = source
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.val_size = val_size
        self.split_seed = split_seed
        self.limit = limit
        self.augment = transforms_of(source, augment)
        self.resident = resident
        self.workers = workers
        self.seed = seed
        self.chunk = chunk
        self.curriculum = curriculum
        self._stored: dict[str, Split] = {}
        self._index: dict[str, torch.Tensor] = {}
        self._seen: dict[str, Split] = {}
        self._on_device: dict[torch.device, Split] = {}
        self._held = False

    @property
    def spec(self) -> ImageSpec:
        """Shape, levels and classes of the images; known before anything is downloaded."""
        return self.source.spec

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in the order of the labels; empty where they have none."""
        return self.source.class_names

    @property
    def fingerprint(self) -> str:
        """SHA-256 in hex of the data set, and of the choice among its images with a limit."""
        whole = self.source.fingerprint()
        if self.limit is None:
            return whole
        chosen = f"{whole}/{self.limit}/{self.split_seed}"
        return hashlib.sha256(chosen.encode()).hexdigest()

    def prepare_data(self) -> None:
        """Gets and verifies the data, on one process of each machine."""
        self.source.prepare()

    def setup(self, stage: str | None = None) -> None:
        """Reads the data; done once, whatever the stage."""
        if self._stored:
            return
        whole, test = self.source.load("train"), self.source.load("test")
        val = self.source.load("val") if self.source.own_val else whole
        for name, split in (("train", whole), ("val", val), ("test", test)):
            self.source.check(split, f"{self.source.name}/{name}")
        counts = (len(whole.x), len(val.x) if self.source.own_val else None, len(test.x))
        groups = None if self.source.own_val else self.source.groups()
        index = divide(*counts, self.val_size, self.split_seed, self.limit, groups)
        self._index = index
        self._held = fits(self.resident, nbytes(whole) + nbytes(test))
        key = f"split-{self.fingerprint[:16]}-{shortest(self.val_size)}-{self.split_seed}"
        for name, split in (("train", whole), ("val", val), ("test", test)):
            # What is few is held all the same: a file of it would only be in the way.
            held = self._held or (name != "train" and len(index[name]) <= 10_000)
            self._stored[name] = materialize(split, index[name], held, f"{key}-{name}")

    @property
    def train(self) -> Split:
        """The training images as a model sees them, in the order of the data set."""
        return self._images("train")

    @property
    def val(self) -> Split:
        """The validation images."""
        return self._images("val")

    @property
    def test(self) -> Split:
        """The test images."""
        return self._images("test")

    def further(self, split: SplitName) -> Split:
        """Images of a split beside the three, such as ``test_unseen``; a `ConfigError` if it has
        none."""
        if split not in (there := self.source.splits_there()):
            raise ConfigError(f"{self.source.name} has no split {split}: {', '.join(there)}")
        self.setup()
        if split not in self._stored:
            loaded = self.source.load(split)
            self._index[split] = limited(len(loaded.x), self.split_seed, self.limit)
            self._stored[split] = loaded.take(self._index[split])
        return self._images(split)

    def attributes(self, split: SplitName) -> Attributes | None:
        """What the data set knows of the images of a split beside their labels, in their order."""
        self.setup()
        if split not in self._index:
            self.further(split)
        origin: SplitName = "train" if split == "val" and not self.source.own_val else split
        known = self.source.attributes(origin)
        return None if known is None else known.take(self._index[split])

    @property
    def n_train(self) -> int:
        """Number of training images."""
        self.setup()
        return len(self._stored["train"].x)

    @property
    def held(self) -> bool:
        """True where the training images are held in memory."""
        self.setup()
        return self._held

    def summary(self) -> str:
        """How many images of what kind, how they were divided, and where they lie; below that
        line the source's notes, if it has any."""
        spec, train = self.spec, self._split("train")
        noun = "images" if isinstance(spec, ImageSpec) else f"{spec.kind()}s"
        divided = "its own" if self.source.own_val else f"split_seed {self.split_seed}"
        summary = (
            f"{self.source.name}: {len(train.x):,} train, {len(self._split('val').x):,} validation "
            f"({divided}), {len(self._split('test').x):,} test {noun}, "
            f"{geometry(spec)}, {nbytes(train) / 1e6:.0f} MB "
            f"{'in memory' if self._held else 'mapped from disk'}"
        )
        return "\n       ".join([summary, *self.source.notes()])

    def train_loader(
        self,
        *,
        position: int = 0,
        rank: int = 0,
        world: int = 1,
        device: torch.device | str = "cpu",
    ) -> TrainLoader:
        """The endless loader of training batches; see `TrainLoader`.

        Args:
            position: Images seen before its first batch.
            rank: This process among those that share each batch.
            world: Number of processes.
            device: Where the batches go; the images themselves do, if they fit.

        Raises:
            ConfigError: Fewer images than a batch, or another misfit.
        """
        images = self._on(torch.device(device))
        workers = self.workers
        if workers == "auto":
            workers = 0 if self._held else 2
        return TrainLoader(
            images,
            batch_size=self.batch_size,
            chunk=self.chunk,
            seed=self.seed,
            position=position,
            rank=rank,
            world=world,
            augment=self.augment,
            resample=self.source.resample if resamples(self.source) else None,
            curriculum=self.curriculum,
            device=device,
            workers=workers,
        )

    def train_dataloader(self) -> TrainLoader:
        """The training loader from where the trainer's module stands, on its device and rank."""
        trainer = self.trainer
        if trainer is None:
            return self.train_loader()
        return self.train_loader(
            position=int(getattr(trainer.lightning_module, "images_seen", 0)),
            rank=trainer.global_rank,
            world=trainer.world_size,
            device=trainer.strategy.root_device,
        )

    def val_dataloader(self) -> EvalLoader:
        """The validation images in order."""
        return EvalLoader(self.val, self.eval_batch_size)

    def test_dataloader(self) -> EvalLoader:
        """The test images in order."""
        return EvalLoader(self.test, self.eval_batch_size)

    def _split(self, name: str) -> Split:
        self.setup()
        return self._stored[name]

    def _images(self, name: str) -> Split:
        if name not in self._seen:
            self._seen[name] = resampled(self.source, self._split(name), self.split_seed, name)
        return self._seen[name]

    def _on(self, device: torch.device) -> Split:
        """The stored training images on a device if they are held and fit there."""
        train = self._split("train")
        if len(train.x) < self.batch_size:
            keys = f"data.limit={self.limit}" if self.limit else f"data.val_size={self.val_size:g}"
            raise ConfigError(
                f"data.batch_size={self.batch_size}: there are only {len(train.x)} training images "
                f"({keys})"
            )
        if device.type == "cpu" or not self._held:
            return train
        if device not in self._on_device:
            if not fits(self.resident, nbytes(train), device):
                return train
            moved = [None if t is None else t.to(device) for t in train]
            assert moved[0] is not None
            self._on_device = {device: Split(moved[0], moved[1])}
        return self._on_device[device]


def geometry(spec: Spec) -> str:
    """Shape, levels and classes of an example, for a person.

    Example:
        >>> from genlab.types import SequenceSpec
        >>> geometry(ImageSpec(1, 28, 28)), geometry(SequenceSpec(8, 65, unit="character"))
        ('1x28x28, 256 levels, no classes', '8 characters of 65')
    """
    if not isinstance(spec, ImageSpec):
        return f"{'x'.join(map(str, spec.shape))} {spec.unit}s of {spec.levels}"
    shape = "x".join(map(str, spec.shape))
    return f"{shape}, {spec.levels} levels, {spec.num_classes or 'no'} classes"


def shortest(number: float) -> str:
    """A number in as few digits as it has.

    Example:
        >>> shortest(5000.0), shortest(0.1), shortest(1234567.0)
        ('5000', '0.1', '1234567.0')
    """
    return f"{number:g}" if float(f"{number:g}") == number else str(number)


def transforms_of(
    source: ImageData, augment: Sequence[Any] | Mapping[str, Any]
) -> tuple[Transform, ...]:
    """The changes of training images that `augment` names; refused where there are no images."""
    found = parse_augment(augment, refuse)
    if found and not issubclass(source.provides, ImageSpec):
        raise ConfigError(f"data.augment: changes images, and {source.name} has none")
    return found


def refuse(config: Any) -> Any:
    """Refuses the config of a transform: `genlab.data.from_config.build` makes objects of those."""
    raise ConfigError(f"data.augment={config}: needs a Transform here, not a config of one")
