"""The closing of a run: its best checkpoint measured, drawn from, and summed up."""

import shlex
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers.logger import Logger

from genlab.config.schema import Train
from genlab.data.feed.eval_loader import EvalLoader
from genlab.data.module import ImageDataModule
from genlab.experiment.advice import advise
from genlab.experiment.reports import keep_report
from genlab.experiment.trained import Loaded, load_run, use_device
from genlab.models.base import GenerativeModel
from genlab.runs.directory import Run
from genlab.system.paths import shown
from genlab.system.terminal import bars, closing_table, console
from genlab.tasks.latent import interpolations
from genlab.training.evaluator import Evaluator
from genlab.training.loggers.setup import links, log_checkpoint, log_metrics, log_rendering
from genlab.training.pictures import Pictures
from genlab.training.saving.checkpoint_io import AtomicCheckpointIO, read_checkpoint
from genlab.types import Batch

__all__ = ["close_run", "finish_model"]


def close_run(config: Train, run: Run, evaluator: Evaluator, loggers: list[Logger]) -> float | None:
    """Measures the best checkpoint on the test split, and says what came out and what is next.

    Returns:
        The best value of the monitored metric.
    """
    device = use_device(config.trainer.accelerator)
    loaded = load_run(run, "best", device=device, places=config.places)
    fit_to_result(loaded, evaluator.data)
    # Pictures
    pictures = Pictures().draw(loaded.model, evaluator.data, loaded.modality, config.seed)
    pictures |= interpolations(loaded, config.seed)
    for kind, rendering in pictures.items():
        log_rendering(loggers, kind, rendering, loaded.images_seen)
    # Numbers
    closing = evaluator.closing(
        config.closing.n_samples,
        config.closing.likelihood_samples,
        config.closing.likelihood_images,
    )
    with bars() as progress:
        report = closing.run(loaded.model, loaded.weights, progress)
    keep_report(report, loaded, "closing")
    scalars = {f"test/{key}": value for key, value in report.scalars().items()}
    log_metrics(loggers, scalars, loaded.images_seen)
    log_checkpoint(loggers, loaded.checkpoint, "best")
    run.update("summary.json", metrics=report.scalars(), evaluated_images_seen=loaded.images_seen)
    run.update("run.json", status="finished")
    # What the user reads
    summary = run.read("summary.json")
    console().print(report.table())
    root = Path(config.root)
    show_summary(
        run, root if root.is_dir() else run.path.parent, summary, list(pictures), links(loggers)
    )
    best = summary["best"]
    return float(best) if best is not None else None


def show_summary(
    run: Run, root: Path, summary: dict[str, Any], kinds: list[str], links: dict[str, str]
) -> None:
    """The closing table: what came out, where it lies, and what to type next."""
    files = [
        str(Path(run.shown()) / newest.relative_to(run.path))
        for kind in kinds
        if (newest := max((run.path / kind).glob("*.png"), default=None)) is not None
    ]
    closing_table(
        run.name,
        {
            "run directory": run.shown(),
            "images seen": f"{summary['images_seen']:,} ({summary['epochs']:.1f} epochs)",
            "training time": f"{summary['train_seconds']:.0f} s on {summary['device']}",
            f"best {summary['best_metric'] or 'checkpoint'}": best_line(summary),
            "pictures": "\n".join(files) or "none",
            **links,
        },
        [
            ("draw images", advise("sample", run)),
            ("all metrics", advise("evaluate", run)),
            ("curves and grids in a browser", f"genlab dashboard {shlex.quote(shown(root))}"),
        ],
    )


def best_line(summary: dict[str, Any]) -> str:
    """The best value of the monitored metric, and when it was."""
    if summary["best"] is None:
        return "the last checkpoint: nothing was measured to choose by"
    best = f"{summary['best']:.4g} after {summary['best_images']:,} images"
    last = summary.get("last")
    return best if last is None or last == summary["best"] else f"{best}; last {last:.4g}"


def fit_to_result(loaded: Loaded, data: ImageDataModule) -> None:
    """Fits what a family fits to its finished weights, a prior to the codes for one, and keeps
    it in the best checkpoint."""
    if not finish_model(loaded.model, data):
        return
    checkpoint = read_checkpoint(loaded.checkpoint)
    state = loaded.model.state_dict()
    if loaded.weights == "ema":
        checkpoint["genlab"]["ema"] = state
    else:
        checkpoint["state_dict"] |= {f"model.{name}": tensor for name, tensor in state.items()}
    AtomicCheckpointIO().save_checkpoint(checkpoint, loaded.checkpoint)


def finish_model(model: GenerativeModel, data: ImageDataModule) -> bool:
    """Fits what a family fits to its finished weights; False where it fits nothing."""
    if type(model).finish is GenerativeModel.finish:
        return False
    device = model.device
    model.finish(
        Batch(batch.x.to(device), None if batch.y is None else batch.y.to(device))
        for batch in EvalLoader(data.train, data.eval_batch_size)
    )
    return True
