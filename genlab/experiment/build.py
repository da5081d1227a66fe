"""From a checked config to the objects it names."""

import warnings
from typing import Any

import pytorch_lightning as pl
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from genlab.data.from_config import build as assemble
from genlab.data.module import ImageDataModule
from genlab.errors import ConfigError
from genlab.models.base import GenerativeModel
from genlab.rng import seed_global
from genlab.system.terminal import warn
from genlab.training.evaluation import Evaluator
from genlab.training.generative_module import GenerativeModule
from genlab.training.intervals import images_of
from genlab.training.saving.checkpoint_io import AtomicCheckpointIO
from genlab.training.step.compilation import Compilation
from genlab.training.step.ema import EMA
from genlab.types import ImageSpec

__all__ = ["build_data", "build_evaluator", "build_model", "build_module", "build_trainer", "plain"]


def plain(cfg: Any) -> Any:
    """A config as plain dictionaries and lists, interpolations resolved."""
    return OmegaConf.to_container(cfg, resolve=True) if OmegaConf.is_config(cfg) else cfg


def build_data(cfg: DictConfig) -> ImageDataModule:
    """The data module; nothing is read yet."""
    return assemble(plain(cfg.data), instantiate)


def build_model(cfg: DictConfig, spec: ImageSpec) -> GenerativeModel:
    """The model, its initial weights a function of the seed alone."""
    seed_global(cfg.seed, "weights")
    # A partial, since Hydra would turn a dataclass given as a keyword into a DictConfig.
    model = instantiate(cfg.model, _partial_=True)(spec)
    if not isinstance(model, GenerativeModel):
        raise ConfigError(f"model._target_={cfg.model._target_}: is not a GenerativeModel")
    return model


def build_ema(cfg: DictConfig, model: GenerativeModel) -> EMA:
    """The average of the weights; runs of before `every` was there go on with every step."""
    return EMA(model, cfg.halflife, cfg.rampup, cfg.get("every", 1))


def build_module(cfg: DictConfig, model: GenerativeModel, n_train: int) -> GenerativeModule:
    """The Lightning module around a model.

    Args:
        cfg: The whole config.
        model: The model.
        n_train: Images in an epoch.
    """
    t = cfg.trainer
    if t.max_images is not None:
        max_images: int | None = images_of(t.max_images, n_train, "trainer.max_images")
    elif t.epochs is not None:
        max_images = images_of(f"{t.epochs} epochs", n_train, "trainer.epochs")
    else:
        max_images = None
        if t.max_time is None:
            raise ConfigError(
                "trainer: one of max_images, epochs and max_time must say when to stop"
            )
    optimizer = instantiate(cfg.optimizer)
    return GenerativeModule(
        model,
        optimizer,
        instantiate(cfg.scheduler),
        seed=cfg.seed,
        max_images=max_images,
        ema=build_ema(cfg.ema, model) if cfg.ema.enabled else None,
        clip=t.clip,
        accumulate=t.accumulate,
        log_every=t.log_every,
        compilation=Compilation(model, t.compile),
    )


def build_evaluator(cfg: DictConfig, data: ImageDataModule, split: str = "test") -> Evaluator:
    """What measures models of this data; weights of extractors are looked up now, not later.

    Raises:
        ConfigError: An unknown metric or extractor.
        WeightsMissing: Weights that were asked for by name are not here.
    """
    # plain lists: a ListConfig would take a metric apart that is a dataclass
    evaluator = Evaluator(instantiate(cfg.metrics, _convert_="all"), data, split)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        evaluator.extractors()
    for warning in caught:  # in the program's own form: what is not measured, and why
        warn(str(warning.message))
    return evaluator


def build_trainer(
    cfg: DictConfig, data: ImageDataModule, callbacks: list[pl.Callback]
) -> pl.Trainer:
    """The Lightning trainer: an endless stream of chunks, stopped by the images seen or time.

    There is one endless epoch, so that no checkpoint ever lies on Lightning's epoch boundary,
    where a resumed run skips what the boundary does.
    """
    t = cfg.trainer
    every = images_of(t.validate_every, data.n_train, "trainer.validate_every")
    chunks = max(1, round(every / (t.chunk * data.batch_size)))
    strategy = t.strategy
    if strategy == "ddp":
        strategy = "ddp_find_unused_parameters_true"  # a player's turn leaves the others unused
    return pl.Trainer(
        accelerator=t.accelerator,
        devices=t.devices,
        strategy=strategy,
        precision=t.precision,
        max_epochs=-1,
        val_check_interval=chunks,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        deterministic=t.deterministic,
        logger=False,  # set when the run has a directory
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        enable_checkpointing=False,
        enable_progress_bar=t.progress,
        enable_model_summary=False,
        use_distributed_sampler=False,
        profiler=t.profiler,
    )
