"""From a checked config to the objects it names."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from genlab.commands.display import warn
from genlab.config import load_config
from genlab.data.build import build as assemble
from genlab.data.module import ImageDataModule
from genlab.errors import ConfigError, DataError
from genlab.models.base import GenerativeModel
from genlab.rng import seed_global
from genlab.runs import Run
from genlab.training.cadence import images_of
from genlab.training.checkpoints import AtomicCheckpointIO, newest, read_checkpoint
from genlab.training.compilation import Compilation
from genlab.training.ema import EMA
from genlab.training.evaluation import Evaluator
from genlab.training.module import GenerativeModule
from genlab.types import ImageSpec

__all__ = [
    "Loaded",
    "build_data",
    "build_evaluator",
    "build_model",
    "build_module",
    "build_trainer",
    "load_run",
    "plain",
    "use_device",
]


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
    evaluator = Evaluator(instantiate(cfg.metrics), data, split)
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


@dataclass(frozen=True)
class Loaded:
    """A trained model with all that it came from.

    Args:
        run: Its run directory.
        cfg: The run's config.
        data: The run's data, prepared but not read.
        model: The model, in evaluation mode.
        images_seen: Of the checkpoint.
        weights: ``ema`` or ``raw``.
        checkpoint: The file.
    """

    run: Run
    cfg: DictConfig
    data: ImageDataModule
    model: GenerativeModel
    images_seen: int
    weights: Literal["ema", "raw"]
    checkpoint: Path


def load_run(
    run: Run,
    which: str = "best",
    weights: str = "auto",
    device: torch.device | str = "cpu",
    check: Callable[[DictConfig], None] | None = None,
) -> Loaded:
    """Rebuilds a run's model from its directory alone.

    Args:
        run: The run.
        which: ``best`` or ``last``.
        weights: ``ema``, ``raw``, or ``auto``: the average where it was kept.
        device: Where to.
        check: Called with the run's config before anything that it names is built.

    Raises:
        ConfigError: The run has no such weights.
        DataError: The checkpoint is missing or damaged.
    """
    if which not in ("best", "last"):
        raise ConfigError(f"checkpoint={which}: best and last are allowed")
    cfg = load_config(run.config_file)
    if check is not None:
        check(cfg)
    data = build_data(cfg)
    path, checkpoint = wanted(run, which)
    state = checkpoint["genlab"]
    if weights == "auto":
        weights = "raw" if state["ema"] is None else "ema"
    if weights == "ema" and state["ema"] is None:
        raise ConfigError(f"weights=ema: {run.shown()} was trained with ema.enabled=false")
    if weights not in ("ema", "raw"):
        raise ConfigError(f"weights={weights}: auto, ema and raw are allowed")
    model = build_model(cfg, data.spec)
    try:
        model.load_state_dict(state["ema"] if weights == "ema" else model_part(checkpoint))
    except RuntimeError:
        raise DataError(f"{path} is the checkpoint of another model than config.yaml's") from None
    model.images_seen = state["images_seen"]
    return Loaded(
        run=run,
        cfg=cfg,
        data=data,
        model=model.eval().requires_grad_(False).to(device),
        images_seen=state["images_seen"],
        weights="ema" if weights == "ema" else "raw",
        checkpoint=path,
    )


def wanted(run: Run, which: str) -> tuple[Path, dict[str, Any]]:
    """A run's checkpoint. For a ``last`` one that is damaged, the one before is as good; for the
    best there is no other, so the user is told what there is.

    Raises:
        DataError: It is missing or damaged.
    """
    path = run.checkpoint(which)
    try:
        return path, read_checkpoint(path)
    except DataError as error:
        found = newest(path.parent) if path.is_file() else None
        if found is None:
            raise
        other, checkpoint, _ = found
        whole = f"{other.name}, of {checkpoint['genlab']['images_seen']:,} images, is whole"
        if which == "best":
            raise DataError(f"{error}; {whole}: checkpoint=last takes it") from None
        warn(f"{error}; {whole} and is taken")
        return other, checkpoint


def model_part(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """The model's own tensors in the Lightning module's state."""
    prefix = "model."
    return {
        name[len(prefix) :]: tensor
        for name, tensor in checkpoint["state_dict"].items()
        if name.startswith(prefix)
    }


def use_device(name: str) -> torch.device:
    """The device that ``auto``, ``cpu``, ``gpu`` or ``mps`` means here.

    Raises:
        ConfigError: There is none.
    """
    if name == "auto":
        name = "gpu" if torch.cuda.is_available() else "cpu"
    if name == "gpu" and not torch.cuda.is_available():
        raise ConfigError("device=gpu: no CUDA device was found; device=cpu works everywhere")
    if name == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("device=mps: there is none; device=cpu works everywhere")
    if name not in ("cpu", "gpu", "mps"):
        raise ConfigError(f"device={name}: auto, cpu, gpu and mps are allowed")
    return torch.device("cuda" if name == "gpu" else name)
