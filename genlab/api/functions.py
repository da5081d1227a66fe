"""The functions of the Python interface: load, train, compare."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genlab.api.results import Comparison
from genlab.api.trained_model import TrainedModel
from genlab.errors import ConfigError

if TYPE_CHECKING:
    from genlab.config.schema import Train

__all__ = ["compare", "load", "train"]


def load(
    run: str | Path = "last",
    *,
    root: str | Path = "runs",
    checkpoint: str = "best",
    weights: str = "auto",
    device: str = "auto",
    inspect: "Callable[[Train], None] | None" = None,
    places: "Mapping[str, str] | None" = None,
) -> TrainedModel:
    """The model of a run, rebuilt from its directory alone.

    Args:
        run: A run directory, its name below root, or ``last``.
        root: Where the runs lie. ``runs/last`` is the newest below ``runs``.
        checkpoint: ``best`` or ``last``.
        weights: ``ema``, ``raw``, ``ema:0.1`` (the average of another relative width, where
            snapshots were kept), or ``auto``: the average where it was kept.
        device: ``auto``, ``cpu``, ``gpu`` or ``mps``.
        inspect: Called with the run's config before anything else of it is read.
        places: Where its data lie now, if they have moved: ``{"path": "new/place"}``.

    Raises:
        ConfigError: There is no such run, weights or device.
        DataError: The run is damaged.
    """
    from genlab.experiment.trained import load_run, use_device
    from genlab.runs.directory import LATEST, find_run

    place = Path(run).expanduser()
    if place.name in LATEST and place.parent != Path():
        root, run = place.parent, place.name
    found = find_run(str(run), Path(root).expanduser())
    return TrainedModel(load_run(found, checkpoint, weights, use_device(device), inspect, places))


def train(*overrides: str, config_dir: str | Path | None = None) -> TrainedModel:
    """Trains a model as ``genlab train`` does, and returns its best checkpoint.

    Args:
        overrides: What would be typed: ``"model=vae"``, ``"optimizer.lr=1e-3"``.
        config_dir: A folder of your own configs; modules named by ``trust=[...]`` are looked for
            beside it.

    Raises:
        ConfigError: Something in the config is wrong.
        GenlabError: Training could not be finished.
    """
    from genlab.config.check import check
    from genlab.experiment.train_run import train_run
    from genlab.experiment.trained import load_run
    from genlab.launch.compose import compose

    cfg, invocation = compose(
        "train", overrides, Path(config_dir).expanduser() if config_dir else None
    )
    if cfg.run:
        raise ConfigError(f"run={cfg.run}: genlab train run={cfg.run} resumes a run")
    trained = train_run(check(cfg, "train"), invocation, None)
    return TrainedModel(load_run(trained.run))


def compare(
    *places: str | Path, sort: str | None = None, where: Sequence[str] = (), runs: bool = False
) -> Comparison:
    """The leaderboard of runs, which ranks together only what can be compared.

    Args:
        places: Runs, sweeps or folders of them; ``runs`` if none is named.
        sort: The metric to rank by.
        where: Only runs with these, ``model=vae`` or ``model.latent=16,32``.
        runs: Each run, not the mean over the seeds of a setting.

    Raises:
        ConfigError: There are no runs, or none has the metric or the key.
    """
    from genlab.comparison.ranking import blocks, choose_key
    from genlab.comparison.reading import drop_unreadable, read_leaderboard
    from genlab.comparison.seeds import named, over_seeds
    from genlab.comparison.settings import where as meeting

    board = drop_unreadable(
        read_leaderboard([Path(place).expanduser() for place in places or ("runs",)])
    )
    board = meeting(board, where)
    board = named(board if runs else over_seeds(board))
    key = choose_key(board, sort)
    return Comparison(board, blocks(board, key), key)
