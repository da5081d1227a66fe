"""A run of each family that takes a second, and what is compared of two runs."""

import json

import torch

from genlab.training.saving.checkpoint_io import read_checkpoint

COMMON = (
    "data=synthetic",
    "data.limit=64",
    "data.levels=4",
    "data.batch_size=8",
    "data.val_size=16",
    "data.eval_batch_size=8",
    "trainer.chunk=1",
    "trainer.log_every=16",
    "trainer.threads=1",
    "trainer.progress=false",
    "trainer.epochs=3",
    "callbacks.samples=null",
    "callbacks.health=null",
    "callbacks.evaluation.every=1 epoch",
    "metrics.extractors=[pixels]",
    "metrics.metrics=[frechet]",
    "metrics.n_samples=100",
    "closing.n_samples=100",
    "closing.likelihood_images=16",
    "logger=none",
)
"""64 training images, 8 steps an epoch, a validation and a quick metric at the end of each."""

FAMILIES = {
    "vae_mlp": ("model=vae_mlp", "model.hidden=16", "model.latent=4", "model.dropout=0.1"),
    "gan_mlp": ("model=gan_mlp", "model.hidden=16", "model.latent=4", "model.r1_interval=3"),
    "flow_mlp": ("model=flow_mlp", "model.top_width=16", "model.top_steps=2"),
    "pixelcnn_tiny": ("model=pixelcnn_tiny", "model.width=8", "model.blocks=1"),
}


def words(family="vae_mlp", *changes):
    """What trains a family, with some keys given other values."""
    keys = {change.split("=", 1)[0] for change in changes}
    chosen = [word for word in (*FAMILIES[family], *COMMON) if word.split("=", 1)[0] not in keys]
    return [*chosen, *changes]


VAE = words()


def state(run):
    """All that a run came to: weights, average, moments, counts, and its history."""
    checkpoint = read_checkpoint(run / "checkpoints" / "last.ckpt")
    kept = checkpoint["genlab"]
    moments = [
        moment
        for optimizer in checkpoint["optimizer_states"]
        for _, moment in sorted(optimizer["state"].items())
    ]
    return {
        "weights": checkpoint["state_dict"],
        "average": kept["ema"],
        "moments": moments,
        "counts": [kept["images_seen"], kept["steps"], *kept["schedule"].values()],
        "best": [json.loads((run / "summary.json").read_text())["best_images"]],
        "history": history(run),
    }


TIMES = ("time", "seconds", "train/images_per_second")


def history(run):
    """The lines of the history, without what the clock says."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    rows = [{k: v for k, v in line.items() if k not in TIMES} for line in lines]
    return [row for row in rows if not any(key.startswith("test/") for key in row)]


def same(one, other):
    """Asserts that two states are equal, bit by bit."""
    assert one["history"] == other["history"]
    assert one["counts"] == other["counts"]
    assert one["best"] == other["best"]
    for part in ("weights", "average", "moments"):
        torch.testing.assert_close(one[part], other[part], rtol=0, atol=0)
