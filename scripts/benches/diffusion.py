"""Diffusion: genlab against its own raw loop and two peers' trainers, networks of the same size."""

import contextlib
import importlib.util
import io
import os
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from benches.data import SPEC, mnist
from benches.timing import Bench, Missing, Spent, Variant, clock
from benches.training import build, raw_loop, through_cli
from genlab.models.diffusion import Diffusion

__all__ = ["BENCHES"]

BATCH, STEPS, FEW = 64, 48, 2
WORDS = ("model=diffusion", "data=mnist")
SMALL, PYTORCH = "smalldiffusion", "denoising-diffusion-pytorch"


def default() -> Sequence[Variant]:
    """`genlab train` against a raw loop over the same module."""
    model, optimizer = build(SPEC, *WORDS)
    loop = raw_loop(model, optimizer, mnist()[0], steps=STEPS, batch=BATCH)
    return [
        Variant("genlab train", through_cli(*WORDS, steps=STEPS, batch=BATCH)),
        Variant("raw loop", loop),
    ]


def smalldiffusion() -> Callable[[], Spent]:
    """Its training loop, as its MNIST example has it; 284,513 parameters (genlab has 295,588)."""
    from smalldiffusion import MappedDataset, ScheduleDDPM, training_loop
    from smalldiffusion.model_unet import Unet
    from torch.utils.data import DataLoader
    from torchvision import transforms
    from torchvision.transforms.functional import to_pil_image

    prepare = transforms.Compose([transforms.ToTensor(), lambda t: t * 2 - 1])
    images = [to_pil_image(x) for x in mnist()[0][: FEW * BATCH]]
    loader = DataLoader(MappedDataset(images, prepare), batch_size=BATCH, shuffle=True)
    model = Unet(28, 1, 1, ch=32, ch_mult=(1, 1), num_res_blocks=1, attn_resolutions=(14,))
    schedule = ScheduleDDPM(beta_start=0.0001, beta_end=0.02, N=1000)

    def epoch() -> None:
        with contextlib.redirect_stderr(io.StringIO()):
            for _ in training_loop(loader, model, schedule, epochs=1, lr=7e-4):
                pass

    return lambda: clock(epoch, FEW * BATCH)


def pytorch() -> Callable[[], Spent]:
    """Its trainer on a folder of pictures, as its README has it; 240,401 parameters."""
    from denoising_diffusion_pytorch import GaussianDiffusion, Trainer, Unet
    from torchvision.transforms.functional import to_pil_image

    folder = Path(tempfile.mkdtemp())
    for i, x in enumerate(mnist()[0][: FEW * BATCH]):
        to_pil_image(x).save(folder / f"{i}.png")
    diffusion = GaussianDiffusion(Unet(16, dim_mults=(1, 2), channels=1), image_size=28)
    trainer = Trainer(
        diffusion,
        str(folder),
        train_batch_size=BATCH,
        train_num_steps=0,
        augment_horizontal_flip=False,
        calculate_fid=False,
        save_and_sample_every=10**9,
        results_folder=tempfile.mkdtemp(),
    )

    def steps() -> None:
        trainer.train_num_steps += FEW
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            trainer.train()

    return lambda: clock(steps, FEW * BATCH)


def peers() -> list[Variant | Missing]:
    """All with batches of 64, each with its own data path and optimizer."""
    os.environ["ACCELERATE_USE_CPU"] = "true"
    warnings.simplefilter("ignore")
    found: list[Variant | Missing] = [
        Variant("genlab train", through_cli(*WORDS, steps=STEPS, batch=BATCH)),
    ]
    for name, module, make in (
        (SMALL, "smalldiffusion", smalldiffusion),
        (PYTORCH, "denoising_diffusion_pytorch", pytorch),
    ):
        if importlib.util.find_spec(module) is None:
            found.append(Missing(name, "make bench-peers installs it"))
        else:
            found.append(Variant(name, make()))
    return found


def sampling() -> list[Variant]:
    """128 samples of eight evaluations against eight passes of the network alone."""
    n, passes = 128, 8
    model, _ = build(SPEC, *WORDS)
    assert isinstance(model, Diffusion)
    model.eval()
    z: Tensor = torch.randn(n, 1, 28, 28)
    level = torch.zeros(n)

    def forward() -> None:
        with torch.no_grad():
            for _ in range(passes):
                model.network(z, level, None)

    return [
        Variant("genlab", lambda: clock(lambda: model.sample(n), n)),
        Variant("the network alone", lambda: clock(forward, n)),
    ]


BENCHES = [
    Bench("diffusion: default", "images", default, {("genlab train", "raw loop"): 1 / 1.10}),
    Bench(
        "diffusion: peers",
        "images",
        peers,
        {("genlab train", SMALL): 1.3, ("genlab train", PYTORCH): 1.3},
    ),
    Bench("diffusion sampling", "images", sampling, {("genlab", "the network alone"): 1 / 1.05}),
]
