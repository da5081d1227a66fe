"""A trained run, rebuilt from its directory alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch

from genlab.config.check import check
from genlab.config.saved import load_config
from genlab.config.schema import Train
from genlab.data.module import ImageDataModule
from genlab.errors import ConfigError, DataError
from genlab.experiment.build import build_data, build_modality, build_model
from genlab.experiment.chosen_weights import chosen_weights, width_asked
from genlab.experiment.pretrained import rebuild
from genlab.experiment.relocation import relocated
from genlab.experiment.spec_record import recorded_spec
from genlab.modalities.base import Modality
from genlab.models.base import GenerativeModel
from genlab.runs.directory import Run, find_run
from genlab.system.terminal import warn
from genlab.training.saving.checkpoint_io import newest, read_checkpoint

__all__ = ["Loaded", "load_asked", "load_run", "use_device"]


@dataclass(frozen=True)
class Loaded:
    """A trained model with all that it came from.

    Args:
        run: Its run directory.
        config: The run's config.
        data: The run's data, prepared but not read.
        modality: Their kind.
        model: The model, in evaluation mode.
        images_seen: Of the checkpoint.
        weights: ``ema``, ``raw`` or ``ema:WIDTH``.
        checkpoint: The file.
    """

    run: Run
    config: Train
    data: ImageDataModule
    modality: Modality
    model: GenerativeModel
    images_seen: int
    weights: str
    checkpoint: Path


def load_run(
    run: Run,
    which: str = "best",
    weights: str = "auto",
    device: torch.device | str = "cpu",
    inspect: Callable[[Train], None] | None = None,
    places: Mapping[str, str] | None = None,
) -> Loaded:
    """Rebuilds a run's model from its directory alone.

    The run's config is checked before anything that it names is built.

    Args:
        run: The run.
        which: ``best`` or ``last``.
        weights: ``ema``, ``raw``, ``ema:WIDTH`` made of snapshots, or ``auto``: the average where
            it was kept.
        device: Where to.
        inspect: Called with the run's config before anything is read or built.
        places: Where its data lie now, by the keys of its section ``data``.

    Raises:
        ConfigError: The run has no such weights, or its config is wrong.
        DataError: The checkpoint is missing or damaged.
    """
    if which not in ("best", "last"):
        raise ConfigError(f"checkpoint={which}: best and last are allowed")
    width_asked(weights)
    config = check(load_config(run.config_file), "train")
    if inspect is not None:
        inspect(config)
    data = build_data(relocated(config.data, run, places))
    spec = recorded_spec(run.read("run.json").get("spec")) or data.spec
    # The checkpoint, and the weights of it that are wanted
    path, checkpoint = usable_checkpoint(run, which)
    state = checkpoint["genlab"]
    tensors, weights = chosen_weights(run, checkpoint, weights)
    # The model
    model = build_model(config.model, spec, config.seed, rebuild(config))
    try:
        model.load_state_dict(tensors)
    except RuntimeError:
        raise DataError(f"{path} is the checkpoint of another model than config.yaml's") from None
    model.begin_step(state["images_seen"], state.get("steps", 0))  # only training asks for steps
    return Loaded(
        run=run,
        config=config,
        data=data,
        modality=build_modality(config.modality, spec),
        model=model.eval().requires_grad_(False).to(device),
        images_seen=state["images_seen"],
        weights=weights,
        checkpoint=path,
    )


class AsksForRun(Protocol):
    """A command's config that names one run and how it is to be loaded."""

    run: str
    root: str
    checkpoint: Literal["best", "last"]
    weights: str
    device: Literal["auto", "cpu", "gpu", "mps"]
    places: dict[str, str]


def load_asked(config: AsksForRun, device: str | None = None) -> Loaded:
    """The run that a command's config names.

    Args:
        config: The config.
        device: Where to, if not where the config says.

    Raises:
        ConfigError, DataError: As `load_run`, or there is no such run.
    """
    return load_run(
        find_run(str(config.run), Path(config.root)),
        config.checkpoint,
        config.weights,
        use_device(device or config.device),
        places=config.places,
    )


def usable_checkpoint(run: Run, which: str) -> tuple[Path, dict[str, Any]]:
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
