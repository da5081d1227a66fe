"""Training loops to compare: `genlab train` as a user types it, and the barest loop there is."""

import contextlib
import io
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import Tensor

from benches.timing import Spent, cpu_seconds, settled
from genlab.cli.entry import main as genlab
from genlab.config.folders import config_dir
from genlab.models.base import GenerativeModel
from genlab.training.generative_module import GenerativeModule
from genlab.training.step.player_toggle import PlayerToggle
from genlab.types import Batch, ImageSpec

__all__ = ["build", "noted", "quiet", "raw_loop", "through_cli"]


def through_cli(*words: str, steps: int, batch: int = 128) -> Callable[[], Spent]:
    """`genlab train` in this process, with its loggers, progress bar and averages on.

    Counted are the training steps and what happens between them (logging, progress, the feed),
    from the end of the first chunk to the end of the last: not the start, which every program
    has, nor the evaluation at the end.

    Args:
        words: Overrides.
        steps: Optimizer steps to take.
        batch: Images of a step.
    """
    arguments = [
        "train",
        *words,
        f"data.batch_size={batch}",
        f"trainer.max_images={steps * batch}",
        f"trainer.validate_every={2 * steps * batch}",
        f"trainer.threads={torch.get_num_threads()}",
        "closing.n_samples=64",
        "closing.likelihood_images=64",
        "callbacks.samples=null",
        "metrics=none",
    ]

    def run() -> Spent:
        marks: list[tuple[float, float, int]] = []
        with tempfile.TemporaryDirectory() as folder, noted(marks), contextlib.chdir(folder):
            quiet(*arguments)
        (cpu, wall, seen), (cpu_end, wall_end, all_seen) = marks[0], marks[-1]
        return Spent(cpu_end - cpu, wall_end - wall, all_seen - seen)

    return run


def quiet(*arguments: str) -> None:
    """Runs a command of genlab in this process, and shows only what went wrong."""
    err = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(err):
        code = genlab(list(arguments))
    if code != 0:
        raise RuntimeError(f"genlab {' '.join(arguments)}: exit {code}\n{err.getvalue()}")


@contextlib.contextmanager
def noted(marks: list[tuple[float, float, int]]) -> Iterator[None]:
    """Inside, the clocks are read at the end of each chunk."""
    step = GenerativeModule.training_step

    def timed(self: GenerativeModule, chunk: Batch, index: int) -> None:
        step(self, chunk, index)
        settled()
        marks.append((cpu_seconds(), time.perf_counter(), self.images_seen))

    GenerativeModule.training_step = timed  # type: ignore[method-assign]
    try:
        yield
    finally:
        GenerativeModule.training_step = step  # type: ignore[method-assign]


def build(spec: ImageSpec, *words: str) -> tuple[GenerativeModel, Any]:
    """The model and the optimizer that these overrides mean."""
    with initialize_config_dir(str(Path(config_dir()).resolve()), version_base="1.3"):
        cfg = compose("train", list(words))
    torch.manual_seed(0)
    return instantiate(cfg.model, _partial_=True)(spec), instantiate(cfg.optimizer)


def raw_loop(
    model: GenerativeModel, optimizer: Any, x: Tensor, *, steps: int, batch: int = 128
) -> Callable[[], Spent]:
    """The same module, data in memory, the same fused optimizer, and nothing else.

    Args:
        model: The model.
        optimizer: Makes an optimizer of parameters.
        x: Images, uint8 ``(N, C, H, W)``.
        steps: Steps to take.
        batch: Images of a step.
    """
    optimizers = {name: optimizer(model.player(name).parameters()) for name in model.players}
    turns = PlayerToggle(model)
    model.train()

    def run() -> Spent:
        order = torch.randperm(len(x)).to(x.device)
        settled()
        cpu, wall = cpu_seconds(), time.perf_counter()
        for i in range(steps):
            start = i * batch % (len(x) - batch)
            images = Batch(x[order[start : start + batch]])
            model.step += 1
            model.images_seen += batch
            for name, opt in optimizers.items():
                if model.updates(name):
                    turns.switch(name)
                    model.loss(images, name).total.backward()
                    opt.step()
                    opt.zero_grad()
                    model.after_step(name)
        settled()
        return Spent(cpu_seconds() - cpu, time.perf_counter() - wall, steps * batch)

    return run


os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("WANDB_SILENT", "true")
