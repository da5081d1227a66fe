"""The parts of a training run, built before anything is written."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pytorch_lightning as pl
from torch import nn

from genlab.config.schema import Train
from genlab.data.module import ImageDataModule
from genlab.experiment.borrowing import borrow
from genlab.experiment.build import (
    build_data,
    build_evaluator,
    build_modality,
    build_model,
    build_module,
    check_trainer,
    make,
)
from genlab.experiment.exported import import_model, is_export
from genlab.experiment.monitored import check_monitor
from genlab.experiment.sample_counts import check_counts
from genlab.experiment.trained import load_run
from genlab.experiment.watched import check_watched, idle_guard
from genlab.modalities.base import Modality
from genlab.models.base import GenerativeModel
from genlab.runs.directory import JOB_DIRECTORY, Run, find_run
from genlab.training.budget import Budget
from genlab.training.checkpoints import Checkpoints
from genlab.training.ema_snapshots import EmaSnapshots
from genlab.training.evaluator import Evaluator
from genlab.training.generative_module import GenerativeModule
from genlab.training.guard import Guard
from genlab.training.interrupt import GracefulStop
from genlab.training.intervals import images_of
from genlab.training.periodic import PeriodicCallback
from genlab.training.progress_bar import Progress
from genlab.training.saving.disk_space import check_room, checkpoint_bytes, snapshot_bytes
from genlab.training.transfer import freeze, load_what_fits

__all__ = ["Parts", "build_parts"]


@dataclass(frozen=True)
class Parts:
    """Parts of a training run, as its config describes them.

    Args:
        config: The config, with the models of other runs that were found recorded in it.
        data: The data.
        module: The Lightning module around the model.
        evaluator: What measures the model.
        modality: The kind of the data.
        callbacks: The callbacks, in the order in which they act.
        checkpoints: The one of them that keeps the run's state.
        guard: The one that watches for collapse.
        stop: The one that ends the run at a signal.
        notes: What became of another run's weights, in lines.
    """

    config: Train
    data: ImageDataModule
    module: GenerativeModule
    evaluator: Evaluator
    modality: Modality
    callbacks: list[pl.Callback]
    checkpoints: Checkpoints
    guard: Guard
    stop: GracefulStop
    notes: list[str]


def build_parts(config: Train, resumed: Run | None, first: bool) -> Parts:
    """Builds the parts; whatever the user can have got wrong is found here.

    Args:
        config: The run's config.
        resumed: The run that goes on, if one does.
        first: Whether this is the first of the processes that train together.

    Raises:
        GenlabError: Something the user can mend.
    """
    # Data
    data = build_data(
        config.data,
        seed=config.seed,
        chunk=config.trainer.chunk * config.trainer.accumulate,
        curriculum=make(config.curriculum) if config.curriculum else None,
    )
    if first:
        data.prepare_data()
    data.setup()
    data.train_loader()
    # Model
    config, pretrained = borrow(config, data.spec)
    model = build_model(config.model, data.spec, config.seed, pretrained)
    notes = [
        f"{name}: {type(part).__name__} of {record['run']}, its {record['checkpoint']} checkpoint "
        f"at {record['images_seen']:,} images, frozen"
        for (name, part), record in zip(
            pretrained.items(), (config.parts or {}).values(), strict=True
        )
    ]
    notes += transfer(config, model, pretrained.values())
    module = build_module(config, model, data.n_train)
    # Evaluation and callbacks
    evaluator = build_evaluator(config.metrics, data)
    chosen = build_callbacks(config, data.n_train)
    checkpoints = next((c for c in chosen if isinstance(c, Checkpoints)), None) or Checkpoints()
    stop, guard = GracefulStop(checkpoints), Guard(**vars(config.guard))
    callbacks = [c for c in chosen if c is not checkpoints]
    callbacks.append(guard)
    if module.max_seconds is not None:
        callbacks.append(Budget(module.max_seconds))
    if config.trainer.progress:
        callbacks.append(Progress())
    # The checkpoint comes last: it holds what the others came to.
    callbacks += [stop, checkpoints]
    modality = build_modality(config.modality, data.spec)
    # What Lightning or the disk would refuse in the middle of it
    check_trainer(config, data)
    if first:
        if resumed is None:  # which goes on with the metric that it has
            check_monitor(checkpoints, module, evaluator, callbacks)
        check_watched(config, module, evaluator, callbacks, resumed is not None)
        check_counts(config, evaluator, callbacks)
        notes += idle_guard(config, evaluator, callbacks)
        check_disk(config, module, resumed, callbacks, data.n_train)
    return Parts(
        config, data, module, evaluator, modality, callbacks, checkpoints, guard, stop, notes
    )


def build_callbacks(config: Train, n_train: int) -> list[pl.Callback]:
    """The callbacks that the config names.

    Raises:
        ConfigError: An interval cannot be read.
    """
    named = {k: make(c) for k, c in (config.callbacks or {}).items() if c is not None}
    for name, callback in named.items():
        if isinstance(callback, PeriodicCallback):
            images_of(callback.every, n_train, f"callbacks.{name}.every")
    return list(named.values())


def transfer(
    config: Train, model: GenerativeModel, pretrained: Collection[nn.Module] = ()
) -> list[str]:
    """Takes over another run's weights and freezes what is to stay; says what became of them.

    Pretrained parts stay those of the runs that they are of.
    """
    notes = []
    if config.init_from:
        if is_export(Path(config.init_from)):
            name, source = config.init_from, import_model(Path(config.init_from))
        else:
            loaded = load_run(find_run(config.init_from, Path(config.root), "init_from"))
            name, source = loaded.run.name, loaded.model
        kept = {module for part in pretrained for module in part.modules()}
        theirs = tuple(f"{n}." for n, module in model.named_modules() if module in kept)
        state = {n: t for n, t in source.state_dict().items() if not n.startswith(theirs)}
        notes.append(f"init_from {name}: {load_what_fits(model, state)}")
    if config.freeze:
        frozen = freeze(model, config.freeze)
        notes.append(f"frozen: {len(frozen)} parameters ({', '.join(frozen[:4])} ...)")
    return notes


def check_disk(
    config: Train,
    module: GenerativeModule,
    resumed: Run | None,
    callbacks: list[pl.Callback],
    n_train: int,
) -> None:
    """Refuses a run for whose checkpoints, and snapshots of averages, there is no room.

    Raises:
        ConfigError: There is not, or the directory cannot be written to.
    """
    if resumed is not None:
        where, key = resumed.path, f"run={resumed.shown()}"
    else:
        where, key = Path(os.environ.get(JOB_DIRECTORY, config.root)), f"root={config.root}"
    averages, snapshots = 0, 0
    for callback in callbacks:
        if isinstance(callback, EmaSnapshots):
            averages = len(callback.averages.powers)
            interval = images_of(callback.every, n_train)
            snapshots = snapshot_bytes(module, averages, interval)
    check_room(where, checkpoint_bytes(module, averages), key, snapshots)
