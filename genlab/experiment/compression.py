"""Compression of images by a run's own likelihood, and back."""

import contextlib
import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

import genlab
from genlab.applications.coding_head import CodingHead, Decoder, Encoder
from genlab.applications.container import (
    CODED,
    RAW,
    Header,
    Part,
    deflate,
    inflate,
    pack,
    sha256,
    unpack,
)
from genlab.errors import ConfigError, DataError, Unsupported
from genlab.experiment.trained import Loaded
from genlab.models.base import GenerativeModel
from genlab.nn.heads.base import Head
from genlab.system.progress import Progress, quiet

__all__ = ["Compressed", "coding", "compress", "decompress"]


@dataclass(frozen=True)
class Compressed:
    """A file of compressed images.

    Args:
        content: Its bytes.
        bits: Ideal length of what the model coded, in bits.
        raw: Batches that lie there deflated, since another processor might round otherwise.
    """

    content: bytes
    bits: float
    raw: int


@runtime_checkable
class Coding(Protocol):
    """A model whose sampler runs with another head: `fill_with` of `Autoregressive`."""

    head: Head

    def fill_with(self, head: Head, x: Tensor) -> Tensor:
        """The images that the head returned."""
        ...


def coding(model: GenerativeModel) -> Coding:
    """The model, if it can code.

    Raises:
        Unsupported: It is not autoregressive, or conditional, or draws several channels at once.
    """
    if not isinstance(model, Coding):
        raise Unsupported(
            f"{type(model).__name__} does not compress; autoregressive models do, pixel by pixel: "
            "pixelcnn, pixelcnn_gated, pixelsnail, made, image_gpt (genlab list models)"
        )
    if model.conditional:
        raise Unsupported(
            f"{type(model).__name__} is conditional, and a file has no labels to decode by; train "
            "with model.conditional=false"
        )
    CodingHead(model.head, Encoder())
    return model


def compress(
    loaded: Loaded, x: Tensor, *, batch: int, codec: str, progress: Progress = quiet
) -> Compressed:
    """Codes images.

    Args:
        loaded: The run.
        x: The images in the model's levels, uint8 ``(n, C, H, W)``.
        batch: Images at a time; a part of the format.
        codec: ``fast``: for a decoder with the same kernels and threads; ``portable``: for any.
        progress: Told how far it is.
    """
    model, parts, bits, raw = coding(loaded.model), [], 0.0, 0
    advance = progress("coded", len(x))
    with precise(loaded.model, codec):
        for images in x.split(batch):
            encoder = Encoder()
            near, spent, _ = run_sampler(model, images, encoder, codec)
            pixels = images.numpy().tobytes()
            if near:
                parts.append(Part(RAW, zlib.crc32(pixels), deflate(pixels)))
                raw += 1
            else:
                parts.append(Part(CODED, zlib.crc32(pixels), encoder.content()))
            bits += spent
            advance(len(images))
    header = header_for(loaded, x, batch, codec)
    return Compressed(pack(header, parts, sha256(x.numpy().tobytes())), bits, raw)


def decompress(loaded: Loaded, content: bytes, name: str, progress: Progress = quiet) -> Tensor:
    """Decodes a file.

    Returns:
        The images in the model's levels, uint8 ``(n, C, H, W)``.

    Raises:
        ConfigError: The file is another model's.
        DataError: It is damaged, or was written where the same network has other last bits.
    """
    header, parts, digest = unpack(content, name)
    mine = weights_sha256(loaded.model)
    if header.weights != mine:
        raise ConfigError(
            f"{name}: was written with weights {header.weights[:16]}, {loaded.run.name} has "
            f"{mine[:16]}: another run, checkpoint= or weights="
        )
    model, shape = coding(loaded.model), header.shape
    if shape != loaded.model.spec.shape or header.levels != loaded.model.spec.levels:
        raise DataError(f"{name}: its header is damaged: images of {shape}")
    # Batch by batch
    found, left, advance = [], header.n, progress("decoded", header.n)
    with precise(loaded.model, header.codec):
        for number, part in enumerate(parts):
            n = min(header.batch, left)
            empty = torch.zeros(n, *shape, dtype=torch.uint8)
            if part.kind == RAW:
                pixels = inflate(part.content, empty.numel(), name)
                images = torch.frombuffer(bytearray(pixels), dtype=torch.uint8).view(empty.shape)
            else:
                images = decode_batch(model, empty, part, header, name)
            if zlib.crc32(images.numpy().tobytes()) != part.crc:
                raise DataError(mismatch(name, number, header))
            found.append(images)
            left -= n
            advance(n)
    images = torch.cat(found)
    if sha256(images.numpy().tobytes()) != digest:
        raise DataError(f"{name}: is damaged: the SHA-256 of its pixels is another one")
    return images


def decode_batch(model: Coding, empty: Tensor, part: Part, header: Header, name: str) -> Tensor:
    """Images of a coded batch; whatever comes out is held against its CRC."""
    if len(part.content) % 4:
        raise DataError(f"{name}: is damaged: {len(part.content)} bytes are no words")
    try:
        return run_sampler(model, empty, Decoder(part.content), header.codec)[2]
    except DataError:
        return empty  # nonsense in, nonsense out: the CRC says which batch


def mismatch(name: str, number: int, header: Header) -> str:
    """Why a batch may have come out wrong."""
    return (
        f"{name}: batch {number} is not what was written: the file is damaged, or it was written "
        f"with {header.processor} kernels, {header.threads} threads and torch {header.torch}, and "
        f"read with {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} and "
        f"{torch.__version__}; codec=portable is for any"
    )


def run_sampler(
    model: Coding, images: Tensor, coder: Encoder | Decoder, codec: str
) -> tuple[bool, float, Tensor]:
    """Runs a model's sampler with a head that codes.

    Returns:
        Whether a number came near a rounding boundary, the ideal bits, and the images.
    """
    head = CodingHead(model.head, coder, codec == "portable")
    found = model.fill_with(head, images)
    return head.near, head.bits, found


@contextlib.contextmanager
def precise(model: GenerativeModel, codec: str) -> Iterator[None]:
    """Inside, the model is in float64 for a portable file."""
    if codec != "portable":
        yield
        return
    model.double()
    try:
        yield
    finally:
        model.float()


def weights_sha256(model: GenerativeModel) -> str:
    """SHA-256 of a model's weights, by name."""
    state = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        state.update(f"{name}{tuple(tensor.shape)}".encode())
        state.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return state.hexdigest()


def header_for(loaded: Loaded, x: Tensor, batch: int, codec: str) -> Header:
    """The header of a file of these images."""
    spec = loaded.model.spec
    return Header(
        n=len(x),
        batch=batch,
        shape=tuple(x.shape[1:]),  # type: ignore[arg-type]
        levels=spec.levels or 0,
        codec=codec,
        weights=weights_sha256(loaded.model),
        genlab=genlab.__version__,
        torch=torch.__version__,
        processor=torch.backends.cpu.get_cpu_capability(),
        threads=torch.get_num_threads(),
    )
