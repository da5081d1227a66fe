"""genlab compress: images as a file that is as short as the run finds them likely."""

import math
import time
from pathlib import Path

import torch
from omegaconf import DictConfig
from rich.box import SIMPLE_HEAD
from rich.table import Table

from genlab.applications.other_codecs import other_sizes
from genlab.config.check import check
from genlab.config.invocation import Invocation
from genlab.config.schema import Compress
from genlab.errors import ConfigError, DataError
from genlab.experiment.compression import coding, compress, decompress
from genlab.experiment.odd_images import check_shape
from genlab.experiment.relocation import set_up
from genlab.experiment.trained import Loaded, load_asked
from genlab.modalities.images.image_reading import read_images
from genlab.modalities.images.levels import from_bytes, to_bytes
from genlab.rng import stream
from genlab.system.paths import check_writable, write_atomically
from genlab.system.terminal import bars, console, say
from genlab.types import Batch, ImageSpec

__all__ = ["run"]


def run(cfg: DictConfig, invocation: Invocation) -> None:
    """Writes the file, decodes it to verify it, and says how long others' files are.

    Raises:
        GenlabError: Something the user can mend.
    """
    # What is asked for, and whether the model can
    config = check(cfg, "compress")
    target = Path(config.out)
    if target.suffix != ".glz":
        raise ConfigError(f"out={config.out}: a name that ends in .glz is needed")
    if config.device not in ("cpu", "auto"):
        raise ConfigError(f"device={config.device}: files are coded on the CPU alone")
    check_writable(target.absolute().parent, f"out={config.out}")
    loaded = load_asked(config, "cpu")
    coding(loaded.model)
    x = images_of(config, loaded)
    # The file
    with bars() as progress:
        started = time.monotonic()
        made = compress(loaded, x, batch=config.batch, codec=config.codec, progress=progress)
        coded = time.monotonic() - started
        write_atomically(target, made.content)
        if config.verify:
            started = time.monotonic()
            again = decompress(loaded, target.read_bytes(), str(target), progress)
            decoded = time.monotonic() - started
            if not torch.equal(again, x):
                raise DataError(f"{target}: decoded to other images; it is not to be used")
    # What it comes to
    console().print(table(loaded, x, len(made.content)))
    speed = f"coded {len(x) / coded:.1f} images/s"
    if config.verify:
        speed += f", decoded {len(x) / decoded:.1f} images/s and found equal"
    if made.raw:
        say(f"{made.raw} batches lie there deflated: another processor might round otherwise")
    say(f"{len(x)} images in {target}, {len(made.content):,} bytes; {speed}")


def images_of(config: Compress, loaded: Loaded) -> torch.Tensor:
    """The images to compress, in the model's levels."""
    spec = loaded.model.spec
    assert isinstance(spec, ImageSpec)
    if config.images is not None:
        read = read_images(config.images, channels=spec.channels)[: config.n]
        check_shape(read, spec, f"images={config.images}")
        x = from_bytes(read, spec.levels)
        if not torch.equal(to_bytes(x, spec.levels), read):
            raise ConfigError(
                f"images={config.images}: have other values than the {spec.levels} levels that the "
                "run models, and would not come back as they are"
            )
        return x
    set_up(loaded.run, loaded.data, moved=bool(config.places))
    test = loaded.data.test.x
    order = torch.randperm(len(test), generator=stream(config.seed, "compressed images"))
    return test[order[: config.n].sort().values]


def table(loaded: Loaded, x: torch.Tensor, size: int) -> Table:
    """Bytes and bits/dim of the file, of the model's likelihood, and of other codecs."""
    spec = loaded.model.spec
    dims = x.numel()
    nats = sum(
        -float(loaded.model.log_prob(Batch(part, None)).double().sum()) for part in x.split(250)
    )
    rows = {"genlab": float(size), "the model's likelihood": nats / math.log(2) / 8}
    rows |= {k: float(v) for k, v in other_sizes(to_bytes(x, spec.levels or 256)).items()}
    found = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name, side in (("codec", "left"), ("bytes", "right"), ("bits/dim", "right")):
        found.add_column(name, justify=side)  # type: ignore[arg-type]
    for name, length in rows.items():
        found.add_row(name, f"{length:,.0f}", f"{8 * length / dims:.4f}")
    return found
