"""Endless loader of training batches, in chunks, wherever the images lie."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from weakref import finalize

import torch
from torch import Tensor

from genlab.data.curriculum import Curriculum
from genlab.data.feed.order import ShuffledOrder
from genlab.data.images import Split
from genlab.data.transforms import Transform
from genlab.errors import ConfigError
from genlab.rng import stream
from genlab.types import Batch

__all__ = ["Resample", "TrainLoader"]

Resample = Callable[[Tensor, torch.Generator], Tensor]
"""Draws what a model sees of stored images, such as `ImageData.resample`."""


class TrainLoader(Iterator[Batch]):
    """Endless chunks of training batches, a pure function of the seed and the position.

    Each chunk holds K batches of B images in one tensor: one gather, one transfer. The batches are
    the same whatever K is, wherever the loader starts, with any number of workers and wherever the
    images lie; those of all ranks together are those of one process.

    Args:
        images: The training images, in memory, on a GPU or mapped from disk.
        batch_size: Images of a batch over all ranks.
        chunk: Batches in a chunk, K.
        seed: Key of the order, the augmentation and the resampling.
        position: Images seen before the first batch, over all ranks; a multiple of the batch size.
        rank: Which share of each batch this process gets, 0 to ``world - 1``.
        world: Number of processes.
        augment: Changes of the images, in this order.
        resample: Draws what the model sees from the changed images; None if it sees them.
        curriculum: Which images are shown when; all from the start if None.
        device: Where the batches go; where the images lie if None.
        workers: Threads that make the next chunks in the background; 0 makes them when asked.

    Attributes:
        position: Images seen before the next chunk, over all ranks.

    Yields:
        `Batch` with ``x`` uint8 ``(K, B / world, C, H, W)`` and ``y`` int64 ``(K, B / world)``
        or None.

    Raises:
        ConfigError: Fewer images than a batch, a batch that the ranks cannot share equally, or a
            position within a batch.
    """

    def __init__(
        self,
        images: Split,
        *,
        batch_size: int,
        chunk: int = 1,
        seed: int = 0,
        position: int = 0,
        rank: int = 0,
        world: int = 1,
        augment: Sequence[Transform] = (),
        resample: Resample | None = None,
        curriculum: Curriculum | None = None,
        device: torch.device | str | None = None,
        workers: int = 0,
    ):
        if position < 0 or position % batch_size:
            raise ConfigError(
                f"training cannot start after {position} images: they are no whole number of "
                f"batches of {batch_size} (data.batch_size)"
            )
        if batch_size % world:
            raise ConfigError(
                f"data.batch_size={batch_size}: must be a multiple of the {world} processes "
                "(trainer.devices)"
            )
        self.images = images
        self.batch_size = batch_size
        self.chunk = chunk
        self.seed = seed
        self.share = slice(rank * batch_size // world, (rank + 1) * batch_size // world)
        self.augment = tuple(augment)
        self.resample = resample
        self.order = ShuffledOrder(len(images.x), batch_size, seed, curriculum, images.y)
        self.device = images.x.device if device is None else torch.device(device)
        self.workers = workers
        self.position = position
        self._pool: ThreadPoolExecutor | None = None
        self._ahead: deque[Future[Batch]] = deque()

    def __iter__(self) -> "TrainLoader":
        return self

    def __next__(self) -> Batch:
        step = self.chunk * self.batch_size
        if self.workers == 0:
            made = self._make(self.position, self.order.indices(self.position, self.chunk))
        else:
            pool = self._threads()
            while len(self._ahead) <= self.workers:
                at = self.position + len(self._ahead) * step
                # The order keeps an epoch's permutation, so it is asked by this thread only.
                self._ahead.append(pool.submit(self._make, at, self.order.indices(at, self.chunk)))
            made = self._ahead.popleft().result()
        self.position += step
        return self._to_device(made)

    def close(self) -> None:
        """Ends the background threads; the loader can be used all the same."""
        self._ahead.clear()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix="genlab-data")
            finalize(self, self._pool.shutdown, wait=False, cancel_futures=True)
        return self._pool

    def _make(self, position: int, index: Tensor) -> Batch:
        """The chunk that begins at a position and consists of the images of an index."""
        # This process's share of each batch; resampling draws for the whole batch, since its
        # random numbers cannot be drawn in shares.
        batches = index.view(-1, self.batch_size)
        mine = batches[:, self.share]
        taken = batches if self.resample else mine

        # One gather for all batches.
        x = self.images.x.index_select(0, taken.reshape(-1).to(self.images.x.device))
        x = x.view(*taken.shape, *x.shape[1:])
        y = None
        if self.images.y is not None:
            chosen = mine.reshape(-1).to(self.images.y.device)
            y = self.images.y.index_select(0, chosen).view(mine.shape)

        # Augmentation, curriculum and resampling, each keyed by the batch's position.
        if self.augment or self.resample or self.order.curriculum.shows:
            positions = range(position, position + len(index), self.batch_size)
            changed = [self._change(batch, at) for batch, at in zip(x, positions, strict=True)]
            x = torch.stack(changed)
        return Batch(x, y)

    def _change(self, x: Tensor, position: int) -> Tensor:
        """A batch, or this process's share of it, augmented and resampled."""
        if self.augment:
            generator = stream(self.seed, "augment", position)
            for transform in self.augment:
                parameters = transform.draw(self.batch_size, generator)
                x = transform.apply(x, parameters if self.resample else parameters[self.share])
        x = self.order.curriculum.show(x, position)
        if self.resample is not None:
            generator = stream(self.seed, "redraw", position, device=x.device)
            x = self.resample(x, generator)[self.share]
        return x

    def _to_device(self, batch: Batch) -> Batch:
        """The batch on its device, copied in the background where that is possible."""
        if batch.x.device == self.device:
            return batch
        pin = self.device.type == "cuda" and batch.x.device.type == "cpu"

        def move(tensor: Tensor) -> Tensor:
            tensor = tensor.pin_memory() if pin else tensor
            return tensor.to(self.device, non_blocking=True)

        return Batch(move(batch.x), None if batch.y is None else move(batch.y))
