"""The GAN: genlab against its own raw loop and torchgan's trainer, the same DCGAN at 32x32."""

import contextlib
import importlib.util
import io
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from benches.data import SPEC, mnist, mnist32
from benches.timing import Bench, Missing, Spent, Variant, clock
from benches.training import build, raw_loop, through_cli

__all__ = ["BENCHES"]

BATCH, WIDTH = 128, 16
SAME = (
    "model=gan_dcgan",
    f"model.width={WIDTH}",
    "model.objective=least_squares",
    "optimizer.lr=1e-4",
)
DATA = ("data=synthetic", "data.size=32", "data.n_train=60000", "data.classes=0")


def default() -> Sequence[Variant]:
    """`genlab train` against a raw loop over the same module."""
    words = ("model=gan", "data=mnist")
    model, optimizer = build(SPEC, *words)
    steps = 32
    return [
        Variant("genlab train", through_cli(*words, steps=steps)),
        Variant("raw loop", raw_loop(model, optimizer, mnist()[0], steps=steps)),
    ]


def torchgan(steps: int) -> Callable[[], Spent]:
    """torchgan's trainer with its README's data path: resize, ToTensor, Normalize."""
    for name in ("CONSOLE_LOGGING", "TENSORBOARD_LOGGING", "VISDOM_LOGGING"):
        os.environ[name] = "0"
    import torchgan.logging.visualize as visualize
    from torch.utils.data import DataLoader, Dataset
    from torchgan.losses import LeastSquaresDiscriminatorLoss, LeastSquaresGeneratorLoss
    from torchgan.models import DCGANDiscriminator, DCGANGenerator
    from torchgan.trainer import Trainer
    from torchvision.transforms import Compose, Normalize, Resize, ToTensor
    from torchvision.transforms.functional import to_pil_image

    # 0.1.0 calls make_grid(range=...), which torchvision no longer has: without its pictures.
    visualize.ImageVisualize.__call__ = lambda self, *args, **kwargs: None
    x, y = mnist()
    prepare = Compose([Resize((32, 32)), ToTensor(), Normalize((0.5,), (0.5,))])

    class Pictures(Dataset):
        def __len__(self) -> int:
            return steps * BATCH

        def __getitem__(self, i: int) -> tuple[Tensor, int]:
            return prepare(to_pil_image(x[i])), int(y[i])

    def player(kind: type[nn.Module], **arguments: object) -> dict[str, object]:
        adam = {"name": torch.optim.Adam, "args": {"lr": 1e-4, "betas": (0.5, 0.999)}}
        shape = {"step_channels": WIDTH, "nonlinearity": nn.LeakyReLU(0.2)}
        return {"name": kind, "args": arguments | shape, "optimizer": adam}

    folder = tempfile.mkdtemp()
    with contextlib.redirect_stdout(io.StringIO()):
        trainer = Trainer(
            {
                "generator": player(
                    DCGANGenerator,
                    encoding_dims=100,
                    out_channels=1,
                    last_nonlinearity=nn.Tanh(),
                ),
                "discriminator": player(
                    DCGANDiscriminator, in_channels=1, last_nonlinearity=nn.LeakyReLU(0.2)
                ),
            },
            [LeastSquaresGeneratorLoss(), LeastSquaresDiscriminatorLoss()],
            device=torch.device("cpu"),
            epochs=1,
            sample_size=8,
            checkpoints=f"{folder}/gan",
            recon=folder,
        )
    loader = DataLoader(Pictures(), BATCH, shuffle=True)

    def epoch() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            trainer(loader)

    return lambda: clock(epoch, steps * BATCH)


def peers() -> list[Variant | Missing]:
    steps = 24
    model, optimizer = build(replace(SPEC, height=32, width=32), *SAME)
    found: list[Variant | Missing] = [
        Variant("genlab train", through_cli(*SAME, *DATA, steps=steps)),
        Variant("raw loop", raw_loop(model, optimizer, mnist32(), steps=steps)),
    ]
    if importlib.util.find_spec("torchgan") is None:
        return [*found, Missing("torchgan", "make bench-peers installs it")]
    return [*found, Variant("torchgan", torchgan(steps))]


def sampling() -> list[Variant | Missing]:
    """512 images as bytes; torchgan's floats become bytes as torchvision's `save_image` has it."""
    n = 512
    model, _ = build(replace(SPEC, height=32, width=32), *SAME)
    model.eval()
    found: list[Variant | Missing] = [
        Variant("genlab", lambda: clock(lambda: model.sample(n), n)),
    ]
    if importlib.util.find_spec("torchgan") is None:
        return [*found, Missing("torchgan", "make bench-peers installs it")]
    from torchgan.models import DCGANGenerator

    shape = {"encoding_dims": 100, "out_channels": 1, "step_channels": WIDTH}
    ends = {"nonlinearity": nn.LeakyReLU(0.2), "last_nonlinearity": nn.Tanh()}
    generator = DCGANGenerator(**shape, **ends).eval()

    def draw() -> None:
        with torch.no_grad():
            images = generator(torch.randn(n, 100)).add(1).div(2)
            images.mul(255).add_(0.5).clamp_(0, 255).to(torch.uint8)

    return [*found, Variant("torchgan", lambda: clock(draw, n))]


BENCHES = [
    Bench("gan: default", "images", default, {("genlab train", "raw loop"): 1 / 1.25}),
    Bench("gan: torchgan's DCGAN", "images", peers, {("genlab train", "torchgan"): 1.6}),
    Bench("gan sampling: torchgan's DCGAN", "images", sampling, {("genlab", "torchgan"): 1.0}),
]
