"""Tasks performed with a trained run."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from genlab.config.sampling import build_options
from genlab.errors import ConfigError, nearest
from genlab.experiment.trained import Loaded
from genlab.modalities.provenance import Kind, marked
from genlab.system.progress import Progress, quiet
from genlab.tasks.base import Outcome, Request, Task
from genlab.tasks.drawing import conditions_for

__all__ = ["origin", "perform"]


def perform(
    loaded: Loaded,
    task: Task,
    n: int,
    *,
    seed: int = 0,
    label: int | str | Sequence[int | str] | None = None,
    sampling: Mapping[str, Any] | None = None,
    batch: int = 500,
    progress: Progress = quiet,
) -> Outcome:
    """Performs a task.

    Args:
        loaded: The run.
        task: The task.
        n: Examples wanted.
        seed: Key of all random streams.
        label: Of a conditional model: number or name of a class, or several in turn; None takes all
            in turn.
        sampling: Options of the family's sampling by their names.
        batch: Examples at a time.
        progress: Told how far it is.

    Raises:
        ConfigError: An option or a label that the model does not have.
        Unsupported: The model cannot do what the task needs.
    """
    task.check(loaded.model)
    options = build_options(loaded.model.usual_sampling, dict(sampling or {}))
    request = Request(n, seed, conditions(loaded, label, n), options, batch)
    return task.run(loaded, request, progress)


def origin(
    loaded: Loaded,
    *,
    seed: int,
    sampling: Mapping[str, Any] | None = None,
    kinds: Sequence[Kind] = ("synthetic",),
) -> dict[str, Any]:
    """Origin of what a run makes, for the note in a file.

    Args:
        loaded: The run.
        seed: Key of the random streams.
        sampling: Options of the family's sampling by their names.
        kinds: What the examples are, in turn; see `Outcome`.
    """
    options = build_options(loaded.model.usual_sampling, dict(sampling or {}))
    note = {
        "run": loaded.run.name,
        "checkpoint": loaded.checkpoint.stem,
        "weights": loaded.weights,
        "images_seen": loaded.images_seen,
        "seed": seed,
        "sampling": asdict(options),
    }
    return marked(note, kinds)


def conditions(
    loaded: Loaded, label: int | str | Sequence[int | str] | None, n: int
) -> Tensor | None:
    """The conditions to draw with: one label or some in turn; without, all, or the test split's.

    Raises:
        ConfigError: The model is not conditioned on labels, or has no such class.
    """
    model = loaded.model
    if label is None:
        given = None
        if model.conditional and not model.num_classes:
            loaded.data.prepare_data()
            given = loaded.data.test.y
        return conditions_for(model, n, given)
    if not model.num_classes:
        raise ConfigError(
            f"label={label}: {loaded.run.name} is not conditional on labels; train with "
            "model.conditional=true"
        )
    names = loaded.run.read("run.json").get("classes", [])
    wanted = [
        label_number(one, names, model.num_classes)
        for one in ([label] if isinstance(label, int | str) else label)
    ]
    if not wanted:
        raise ConfigError("label=[]: give at least one label")
    return torch.tensor(wanted).repeat(-(-n // len(wanted)))[:n]


def label_number(label: int | str, names: Sequence[str], num_classes: int) -> int:
    """The number of a class that is given by its number or its name.

    Raises:
        ConfigError: There is no such class.

    Example:
        >>> label_number("dog", ["cat", "dog"], 2), label_number(0, ["cat", "dog"], 2)
        (1, 0)
    """
    if isinstance(label, str):
        if label not in names:
            allowed = (
                f"the classes are {', '.join(names)}" if names else "its classes have no names"
            )
            raise ConfigError(f"label={label}: {allowed}{nearest(label, names)}")
        return names.index(label)
    if not 0 <= label < num_classes:
        raise ConfigError(f"label={label}: 0 to {num_classes - 1} are allowed")
    return label
