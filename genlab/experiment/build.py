"""Builders: from a checked config to the objects that it names."""

import warnings
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
from hydra.utils import instantiate
from pytorch_lightning.loggers.logger import Logger

from genlab.config.schema import Train
from genlab.data.curriculum import Curriculum
from genlab.data.from_config import build as data_from_config
from genlab.data.module import ImageDataModule
from genlab.errors import ConfigError
from genlab.metrics.suite import Suite
from genlab.modalities.base import Modality
from genlab.modalities.by_spec import modality_of
from genlab.models.base import GenerativeModel
from genlab.rng import seed_global
from genlab.system.terminal import warn
from genlab.training.evaluator import Evaluator
from genlab.training.generative_module import GenerativeModule
from genlab.training.intervals import images_of, seconds_of
from genlab.training.run_context import RunContext, RunTrainer
from genlab.training.saving.checkpoint_io import AtomicCheckpointIO
from genlab.training.step.compilation import Compilation
from genlab.training.step.ema import EMA
from genlab.training.step.optimizers import check_optimizer
from genlab.types import Spec

__all__ = [
    "build_data",
    "build_evaluator",
    "build_modality",
    "build_model",
    "build_module",
    "build_trainer",
    "check_trainer",
    "make",
]

Section = Mapping[str, Any]
"""A section of a checked config as plain data, with a ``_target_``."""


def make(section: Any, **arguments: Any) -> Any:
    """The object that a section describes; what it is given are plain lists and dictionaries."""
    return instantiate(section, _convert_="all", **arguments)


def build_data(
    section: Section, *, seed: int = 0, chunk: int = 1, curriculum: Curriculum | None = None
) -> ImageDataModule:
    """The data module; nothing is read yet.

    Args:
        section: The section ``data``.
        seed: Key of the training loader.
        chunk: Batches that it yields at a time.
        curriculum: Which training images it shows when.
    """
    return data_from_config(section, make, seed=seed, chunk=chunk, curriculum=curriculum)


def build_modality(section: Section | None, spec: Spec) -> Modality:
    """The modality of the data: the user's own where the config names one."""
    if section is None:
        return modality_of(spec)
    modality = make(section, _partial_=True)(spec)
    if not isinstance(modality, Modality):
        raise ConfigError(f"modality._target_={section['_target_']}: is not a Modality")
    return modality


def build_model(
    section: Section, spec: Spec, seed: int, parts: Mapping[str, GenerativeModel] | None = None
) -> GenerativeModel:
    """The model, its initial weights a function of the seed alone.

    Args:
        section: The section ``model``.
        spec: Of the data.
        seed: Key of the initial weights.
        parts: Models of other runs in the place of the arguments that name one.

    Raises:
        ConfigError: It is none, or its state lacks a part's, so that it could not be loaded again.
    """
    seed_global(seed, "weights")
    given = dict(parts or {})
    plain = {key: value for key, value in section.items() if key not in given}
    # A partial, since Hydra would turn a dataclass given as a keyword into a DictConfig.
    model = make(plain, _partial_=True)(spec, **given)
    if not isinstance(model, GenerativeModel):
        raise ConfigError(f"model._target_={section['_target_']}: is not a GenerativeModel")
    held = set(model.modules())
    for name, part in given.items():
        if held.isdisjoint(part.modules()):
            raise ConfigError(f"model.{name}: {type(model).__name__} keeps it as no submodule")
    return model


def build_module(config: Train, model: GenerativeModel, n_train: int) -> GenerativeModule:
    """The Lightning module around a model.

    Args:
        config: The whole config.
        model: The model.
        n_train: Images in an epoch.

    Raises:
        ConfigError: Nothing says when to stop, or the schedule must know it.
    """
    t = config.trainer
    if t.max_images is not None:
        max_images: int | None = images_of(t.max_images, n_train, "trainer.max_images")
    elif t.epochs is not None:
        max_images = images_of(f"{t.epochs} epochs", n_train, "trainer.epochs")
    elif t.max_time is not None:
        max_images = None
    else:
        raise ConfigError("trainer: one of max_images, epochs and max_time must say when to stop")
    ema, optimizer = config.ema, make(config.optimizer)
    check_optimizer(model, optimizer, t.clip)
    return GenerativeModule(
        model,
        optimizer,
        make(config.scheduler),
        seed=config.seed,
        max_images=max_images,
        max_seconds=seconds_of(t.max_time) if t.max_time is not None else None,
        ema=EMA(model, ema.halflife, ema.rampup, ema.every) if ema.enabled else None,
        clip=t.clip,
        accumulate=t.accumulate,
        log_every=images_of(t.log_every, n_train, "trainer.log_every"),
        compilation=Compilation(model, t.compile),
    )


def build_evaluator(section: Section, data: ImageDataModule, split: str = "test") -> Evaluator:
    """Evaluator of models of this data; weights of extractors are looked up now, not later.

    Args:
        section: The section ``metrics``.
        data: The data.
        split: The images whose likelihood is measured.

    Raises:
        ConfigError: An unknown metric or extractor.
        WeightsMissing: Weights that were asked for by name are not here.
    """
    suite = make(section)
    if not isinstance(suite, Suite):
        raise ConfigError(f"metrics._target_={section['_target_']}: is not a Suite")
    evaluator = Evaluator(suite, data, split)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        evaluator.extractors()
    for warning in caught:  # in the program's own form: what is not measured, and why
        warn(str(warning.message))
    return evaluator


def build_trainer(
    config: Train,
    data: ImageDataModule,
    context: RunContext,
    callbacks: list[pl.Callback],
    loggers: list[Logger],
) -> RunTrainer:
    """The Lightning trainer: an endless stream of chunks, stopped by the images seen or time.

    There is one endless epoch, so that no checkpoint ever lies on Lightning's epoch boundary,
    where a resumed run skips what the boundary does.

    Args:
        config: The whole config.
        data: The data.
        context: What the callbacks share.
        callbacks: The callbacks, in the order in which they act.
        loggers: Where to write the history.
    """
    t = config.trainer
    return RunTrainer(
        context,
        **where_to_train(config),
        max_epochs=-1,
        val_check_interval=chunks_between_validations(config, data),
        check_val_every_n_epoch=None,
        limit_val_batches=None if len(data.val.x) else 0,
        num_sanity_val_steps=0,
        deterministic=t.deterministic,
        logger=loggers,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        enable_progress_bar=t.progress,
        use_distributed_sampler=False,
        profiler=t.profiler,
    )


def check_trainer(config: Train, data: ImageDataModule) -> None:
    """Finds out whether there will be a trainer: Lightning looks for a device when it makes one.

    Raises:
        ConfigError: An interval cannot be read.
        MisconfigurationException: There is no such device, or it cannot do what is asked for.
    """
    chunks_between_validations(config, data)
    pl.Trainer(**where_to_train(config), enable_progress_bar=False, logger=False)


def where_to_train(config: Train) -> dict[str, Any]:
    """Lightning's arguments that say on what to train; nothing is kept but what callbacks keep."""
    t = config.trainer
    # A player's update leaves the others' weights unused.
    strategy = "ddp_find_unused_parameters_true" if t.strategy == "ddp" else t.strategy
    return {
        "accelerator": t.accelerator,
        "devices": t.devices,
        "strategy": strategy,
        "precision": t.precision,
        "enable_checkpointing": False,
        "enable_model_summary": False,
    }


def chunks_between_validations(config: Train, data: ImageDataModule) -> int:
    """Chunks between two validations, at least one."""
    every = images_of(config.trainer.validate_every, data.n_train, "trainer.validate_every")
    return max(1, round(every / (config.trainer.chunk * data.batch_size)))
