"""genlab train: from a config to a run directory with a trained model and what it is worth."""

import os
from pathlib import Path

import torch
from omegaconf import DictConfig

from genlab.commands.build import (
    build_data,
    build_model,
    build_module,
)
from genlab.commands.display import say
from genlab.config import check
from genlab.runs import find_run
from genlab.training.checkpoints import read_checkpoint
from genlab.training.evaluation import Evaluator
from genlab.training.loggers import quiet_lightning

__all__ = ["run"]

RUN_DIRECTORY = "GENLAB_RUN_DIRECTORY"
"""Tells the other processes of a distributed run the directory that the first one made."""

RESUMABLE = ("trainer.", "callbacks.", "notes", "tags", "root", "trust")
"""Keys that may change when a run is resumed; any other would make it another run."""


def run(cfg: DictConfig) -> float | None:
    """Trains a model, measures it, and says what to do next.

    Returns:
        The value of the metric that makes the best checkpoint, for a sweeper to optimize.

    Raises:
        GenlabError: Something the user can mend.
    """
    resumed = find_run(cfg.run, Path(cfg.root)) if cfg.run else None
    if resumed is not None:
        cfg = resumed_config(cfg, resumed)
    check(cfg)
    quiet_lightning()
    first = "LOCAL_RANK" not in os.environ
    if cfg.trainer.threads:
        torch.set_num_threads(cfg.trainer.threads)

    data = build_data(cfg)
    data.prepare_data()
    data.setup("fit")
    model = build_model(cfg, data.spec)
    notes = transfer(cfg, model)
    module = build_module(cfg, model, data.n_train)
    evaluator = Evaluator(cfg.metrics, data, seed=cfg.seed)
    place = resumed or own_directory(cfg, first)
    trainer = assemble(cfg, place, data, module, evaluator)
    if first:
        announce(cfg, place, data, model, notes, resumed)

    start = resumed.checkpoint("last") if resumed else None
    if start is not None:
        seen = read_checkpoint(start)["genlab"]["images_seen"]
        if module.max_images is not None and seen >= module.max_images:
            say(f"{place.shown()} is complete: {seen:,} images seen. Train on with trainer.epochs=")
            return finish(cfg, place, evaluator) if first else None
    place.update("run.json", status="running") if first else None
    status = "failed"
    try:
        trainer.fit(module, datamodule=data, ckpt_path=start, weights_only=True)
        status = "interrupted" if trainer.interrupted else "trained"
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    finally:
        if trainer.is_global_zero:
            place.update("run.json", status=status, images_seen=module.images_seen)
            for logger in trainer.loggers:
                logger.finalize("success" if status == "trained" else status)
    if status == "interrupted":
        raise KeyboardInterrupt
    return finish(cfg, place, evaluator) if trainer.is_global_zero else None


def resumed_config(cfg: DictConfig, place: Run) -> DictConfig:
    """The config of the run to resume, with what may change of it changed.

    Raises:
        ConfigError: Something else was to be changed.
    """
    saved = load_config(place.config_file)
    given = HydraConfig.get().overrides.task
    for override in given:
        key = override.split("=", 1)[0].lstrip("+~")
        if key in ("run", "logger"):
            continue
        if not key.startswith(RESUMABLE):
            raise ConfigError(
                f"{key}: a resumed run keeps its {key.split('.')[0]}; trainer.*, callbacks.* and "
                f"logger may change. A new run from these weights: init_from={place.shown()}"
            )
        OmegaConf.update(saved, key, OmegaConf.select(cfg, key))
    if any(override.startswith("logger=") for override in given):
        saved.logger = cfg.logger
    saved.run = str(place.path)
    saved.root = cfg.root
    return saved


def own_directory(cfg: DictConfig, first: bool) -> Run:
    """The new run's directory; the other processes of a distributed run take the first one's."""
    if not first:
        return Run(Path(os.environ[RUN_DIRECTORY]))
    choices = HydraConfig.get().runtime.choices
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        place = mark_run(
            Path(HydraConfig.get().runtime.output_dir),
            model=choices["model"],
            data=choices["data"],
            seed=cfg.seed,
        )
    else:
        place = create_run(
            Path(cfg.root), cfg.name, str(choices["model"]), str(choices["data"]), cfg.seed
        )
    os.environ[RUN_DIRECTORY] = str(place.path)
    save_config(cfg, place.config_file)
    write_json(place.path / "environment.json", environment())
    return place


def transfer(cfg: DictConfig, model: GenerativeModel) -> list[str]:
    """Takes over another run's weights and freezes what is to stay; says what became of them."""
    notes = []
    if cfg.init_from:
        source = load_run(find_run(cfg.init_from, Path(cfg.root)), check=check)
        notes.append(
            f"init_from {source.run.name}: {load_what_fits(model, source.model.state_dict())}"
        )
    if cfg.freeze:
        frozen = freeze(model, cfg.freeze)
        notes.append(f"frozen: {len(frozen)} parameters ({', '.join(frozen[:4])} ...)")
    return notes


def assemble(
    cfg: DictConfig,
    place: Run,
    data: ImageDataModule,
    module: GenerativeModule,
    evaluator: Evaluator,
) -> pl.Trainer:
    """The trainer with its loggers and callbacks, all of them tied to the run directory."""
    chosen = {k: instantiate(c) for k, c in (cfg.callbacks or {}).items() if c is not None}
    checkpoints = next((c for c in chosen.values() if isinstance(c, Checkpoints)), Checkpoints())
    checkpoints.directory = place.checkpoint().parent
    callbacks = [c for c in chosen.values() if c is not checkpoints]
    for callback in callbacks:
        if isinstance(callback, QuickMetrics):
            callback.evaluator = evaluator
    limit = time_limit(cfg)
    if limit is not None:
        callbacks.append(Budget(limit))
    if cfg.trainer.progress:
        callbacks.append(Progress())
    # The checkpoint comes last: it holds what the others came to.
    callbacks += [GracefulStop(checkpoints), checkpoints]
    data.chunk, data.seed = cfg.trainer.chunk * cfg.trainer.accumulate, cfg.seed
    loggers = build_loggers(plain(cfg.logger), place, plain(cfg))
    return build_trainer(cfg, data, loggers, callbacks)


def announce(
    cfg: DictConfig,
    place: Run,
    data: ImageDataModule,
    model: GenerativeModel,
    notes: list[str],
    resumed: Run | None,
) -> None:
    """Says what is about to happen, before it does."""
    spec = data.spec
    say(
        f"data   {data.source.name}: {data.n_train:,} train, {len(data.val.x):,} validation, "
        f"{len(data.test.x):,} test images, {spec.channels}x{spec.height}x{spec.width}, "
        f"{spec.levels} levels (split seed {data.split_seed})"
    )
    parameters = sum(p.numel() for p in model.parameters())
    say(
        f"model  {type(model).__name__}: {parameters:,} parameters, likelihood {model.likelihood}"
    )
    for note in notes:
        say(f"       {note}")
    say(f"{'resume' if resumed else 'run'}    {place.shown()}")
