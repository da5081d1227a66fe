"""On a GPU: `genlab train` against a CUDA-graphed raw loop, its share, and its time to a target."""

import contextlib
import json
import shutil
import statistics
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benches.data import SPEC, mnist
from benches.timing import Bench, Gauges, Spent, Variant, clock
from benches.training import build, quiet, raw_loop, through_cli
from genlab.models.base import GenerativeModel
from genlab.training.step.player_toggle import PlayerToggle
from genlab.types import Batch

__all__ = ["benches", "ceiling", "flops", "graphed_loop", "seconds_until"]

FAMILIES = {
    "vae": ("model=vae", "data=mnist"),
    "gan": ("model=gan", "data=mnist"),
    "flow": ("model=flow", "data=mnist"),
    "pixelcnn": ("model=pixelcnn", "data=mnist"),
}
TARGETS = {"vae": ("model=vae", 100.0), "pixelcnn": ("model=pixelcnn", 85.0)}
"""Validation nats of binarized MNIST that the seconds are counted to."""
BATCH, STEPS = 128, 400


def graphed_loop(
    model: GenerativeModel, optimizer: Any, x: torch.Tensor, *, steps: int, batch: int = BATCH
) -> Callable[[], Spent]:
    """A raw loop whose whole step is one CUDA graph: the least that launching can cost.

    The step is the one in which every player moves and no lazy penalty is due.

    Args:
        model: The model, on the GPU.
        optimizer: Makes an optimizer of parameters.
        x: Images, uint8 ``(N, C, H, W)`` on the GPU.
        steps: Steps to take.
        batch: Images of a step.
    """
    optimizers = {
        name: optimizer(model.player(name).parameters(), capturable=True) for name in model.players
    }
    turns, shown = PlayerToggle(model), x[:batch].clone()
    model.train()
    while not all(map(model.updates, model.players)) or model.step % 2 == 0:
        model.step += 1  # an odd step, in which no penalty of every so many steps is due

    def step() -> None:
        for name, opt in optimizers.items():
            turns.switch(name)
            opt.zero_grad()
            model.loss(Batch(shown), name).total.backward()
            opt.step()
            model.after_step(name)

    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()

    def loop() -> None:
        order = torch.randperm(len(x), device=x.device)
        for i in range(steps):
            start = i * batch % (len(x) - batch)
            torch.index_select(x, 0, order[start : start + batch], out=shown)
            graph.replay()

    return lambda: clock(loop, steps * batch)


def training(device: str, *words: str) -> Callable[[], Sequence[Variant]]:
    """All in float32, resident on the device."""

    def make() -> list[Variant]:
        x = mnist()[0].to(device)
        accelerator = "gpu" if device == "cuda" else device
        cli = (*words, f"trainer.accelerator={accelerator}", "trainer.chunk=32")
        found = [Variant("genlab train", through_cli(*cli, steps=STEPS))]
        model, optimizer = build(SPEC, *words)
        found.append(Variant("raw loop", raw_loop(model.to(device), optimizer, x, steps=STEPS)))
        model, optimizer = build(SPEC, *words)
        graphed = graphed_loop(model.to(device), optimizer, x, steps=STEPS)
        return [*found, Variant("CUDA-graphed raw loop", graphed)]

    return make


def flops(model: GenerativeModel, batch: Batch) -> int:
    """Floating-point operations of matrix products and convolutions in a step of all players."""
    turns = PlayerToggle(model)
    counter = FlopCounterMode(display=False)
    with counter:
        for player in model.players:
            turns.switch(player)
            model.loss(batch, player).total.backward()
            model.after_step(player)
    turns.reset()
    model.zero_grad(set_to_none=True)
    return int(counter.get_total_flops())


def ceiling(device: str, size: int = 8192, repeats: int = 10) -> float:
    """FLOP/s of the device's own product of two float32 matrices, the median of the repeats."""
    a, b = torch.randn(2, size, size, device=device)
    clock(lambda: a @ b)
    return statistics.median(2 * size**3 / clock(lambda: a @ b).wall for _ in range(repeats))


@contextlib.contextmanager
def utilization(found: list[float]) -> Iterator[None]:
    """Inside, the driver is asked four times a second how busy the GPU is, in percent."""
    over = threading.Event()
    query = [
        "nvidia-smi",
        "--query-gpu=utilization.gpu",
        "--format=csv,noheader,nounits",
        "-i",
        "0",
    ]

    def watch() -> None:
        while not over.wait(0.25):
            answer = subprocess.run(query, capture_output=True, text=True)
            if answer.returncode == 0:
                found.append(float(answer.stdout.strip()))

    watcher = threading.Thread(target=watch, daemon=True)
    if shutil.which("nvidia-smi"):
        watcher.start()
    try:
        yield
    finally:
        over.set()
        if watcher.ident is not None:
            watcher.join()


def share(device: str) -> Callable[[Callable[[str], None]], dict[str, tuple[float, str]]]:
    """What `genlab train` makes of the device: of its matrix products' rate, and of its time."""

    def make(say: Callable[[str], None]) -> dict[str, tuple[float, str]]:
        say("matrix products")
        most = ceiling(device)
        found = {"matrix products, float32": (most / 1e12, "TFLOP/s")}
        for family, words in FAMILIES.items():
            say(family)
            model, _ = build(SPEC, *words)
            batch = Batch(mnist()[0][:BATCH].to(device))
            model.to(device).train()
            model.step = 1  # no lazy penalty
            work = flops(model, batch)
            busy: list[float] = []
            accelerator = "gpu" if device == "cuda" else device
            with utilization(busy):
                cli = (*words, f"trainer.accelerator={accelerator}", "trainer.chunk=32")
                spent = through_cli(*cli, steps=4 * STEPS)()
            rate = work / BATCH * spent.units / spent.wall
            found[f"{family}: share of them"] = (rate / most, "x")
            if busy:
                found[f"{family}: utilization, upper quartile"] = (
                    statistics.quantiles(busy, n=4)[2] if len(busy) > 1 else busy[0],
                    "%",
                )
        return found

    return make


def seconds_until(history: Path, metric: str, target: float) -> float | None:
    """Seconds of a run until its history says that a metric has come down to a target."""
    for line in history.read_text().splitlines():
        row = json.loads(line)
        if metric in row and row[metric] <= target:
            return float(row["seconds"])
    return None


def targets(device: str) -> Callable[[Callable[[str], None]], dict[str, tuple[float, str]]]:
    """Seconds of `genlab train`, from its first log line's clock on, to a validation likelihood."""

    def make(say: Callable[[str], None]) -> dict[str, tuple[float, str]]:
        found = {}
        accelerator = "gpu" if device == "cuda" else device
        for family, (model, nats) in TARGETS.items():
            say(f"{family} to {nats:g} nats")
            with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
                quiet(
                    "train",
                    model,
                    "data=mnist_dyn",
                    "name=target",
                    f"trainer.accelerator={accelerator}",
                    "trainer.max_time=8m",
                    "trainer.epochs=100",
                    "metrics=none",
                )
                history = next(Path(folder).rglob("metrics.jsonl"))
                seconds = seconds_until(history, "val/nll", nats)
            missed = float("inf")
            found[f"{family}: {nats:g} nats"] = (missed if seconds is None else seconds, "s")
        return found

    return make


def benches(device: str) -> list[Bench | Gauges]:
    """The benches of a device."""
    against = ("genlab train", "CUDA-graphed raw loop")
    return [
        *(
            Bench(f"{device}: {family}", "images", training(device, *words), {against: 0.9})
            for family, words in FAMILIES.items()
        ),
        Gauges(f"{device}: share of the ceiling", share(device)),
        Gauges(f"{device}: time to target", targets(device)),
    ]
