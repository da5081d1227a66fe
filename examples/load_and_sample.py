"""Train, load, draw, score and compare from Python: what the commands do, in thirty lines.

    python examples/load_and_sample.py            # about 20 seconds on a laptop
    python examples/load_and_sample.py runs/last  # a run that is there

You see where the pictures lie, what the model says of real and of random images, and a table.
"""

import sys

import torch

import genlab
from genlab.api import TrainedModel


def main(run: str | None = None) -> TrainedModel:
    """Uses a run, or trains a small one first."""
    if run is None:
        model = genlab.train(
            "model=vae_mlp", "data=synthetic", "trainer.epochs=5", "logger=none",
            "trainer.progress=false",
        )  # fmt: skip
    else:
        model = genlab.load(run)
    print(model)

    # Draw: the same images for the same seed, in a notebook shown as a picture.
    samples = model.sample(64, seed=0)
    print(samples, "in", samples.save(model.path / "drawn.png"))
    print("first image, values", samples.x[0].min().item(), "to", samples.x[0].max().item())

    # Score: nats of each image, here a lower bound of them.
    model.loaded.data.prepare_data()
    real = model.loaded.data.test.x[:256]
    noise = torch.randint_like(real, model.spec.levels)
    print(f"log p of real images   {model.log_prob(real).mean():9.1f} nats")
    print(f"log p of random pixels {model.log_prob(noise).mean():9.1f} nats")

    # Code: there and back.
    codes = model.encode(real)
    error = (model.decode(codes).float() - real.float()).abs().mean()
    print(f"codes {tuple(codes.shape)}, {error:.1f} levels off after decoding")

    # Compare: all runs beside it, ranked where they can be.
    print(genlab.compare(model.path.parent))
    return model


if __name__ == "__main__":
    main(*sys.argv[1:2])
