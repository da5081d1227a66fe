"""`trainer.compile`: the differentiable part of a step, compiled for the machine it runs on."""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal, TypeVar

import torch

from genlab.errors import ConfigError, GenlabError
from genlab.models.base import GenerativeModel
from genlab.system.terminal import notice
from genlab.types import Batch, Loss

__all__ = ["Compilation", "CompileMode"]

CompileMode = bool | Literal["auto"]
Pause = Callable[[], AbstractContextManager[None]]
Made = TypeVar("Made")

CURE = "trainer.compile=false trains without"


class Compilation:
    """`torch.compile` for the methods that a model declares compilable, while it trains.

    Only `loss` runs compiled code: outside of it the model is what it always is, and so are its
    weights' names, its copies, its samples and its evaluation.

    What was compiled at a step is a function of the model alone, not of the steps before: shapes
    are static, and random numbers come from the generators that they come from without. So a run
    that was interrupted resumes bit by bit, and compiled and uncompiled runs differ by rounding.
    For the same reason a player's turn is compiled when it first comes, or not in all the run.

    Args:
        model: The model.
        mode: False compiles nothing. ``auto`` trains uncompiled where it fails, and says so. With
            True a failure is an error.
        backend: What `torch.compile` is to hand its graphs to.
    """

    def __init__(
        self,
        model: GenerativeModel,
        mode: CompileMode = False,
        backend: str | Callable[..., Any] = "inductor",
    ):
        self.model = model
        self.mode = mode
        self.backend = backend
        self.pause: Pause = nullcontext
        self.parts: dict[str, Callable[..., Any]] = {}
        """The compiled methods by name."""
        self.compiled: dict[str, bool] = {}
        """By player, once its turn has come: True if it is compiled."""

    def start(self, world_size: int = 1, pause: Pause = nullcontext) -> None:
        """Finds out what there is to compile; the model is on its device by now.

        Args:
            world_size: Processes that train together.
            pause: In what compiling takes place: the time does not count as training's.

        Raises:
            ConfigError: Nothing, and the mode is True.
        """
        self.compiled, self.parts, self.pause = {}, {}, pause
        if not self.mode:
            return
        names = self.model.compilable()
        if world_size > 1:
            self._refuse("several processes (trainer.devices) train uncompiled", self.model.players)
        elif not names:
            self._refuse(f"{type(self.model).__name__} changes as it trains", self.model.players)
        else:
            self.parts = {name: self._part(name) for name in names}
            # The compiler's own warnings: it reads gradients where a graph begins with what
            # another one made, and uses what torch is about to remove.
            warnings.filterwarnings("ignore", r"The \.grad attribute of a Tensor that is not a")
            for kind in (FutureWarning, DeprecationWarning):
                warnings.filterwarnings("ignore", category=kind, module=r"torch\._")

    def end(self) -> None:
        """Lets go of what was compiled."""
        if self.parts:
            torch._dynamo.reset()
        self.parts = {}

    def turn(self, player: str, work: Callable[[], Made]) -> Made:
        """A player's turn: forward and backward passes, compiled if they can be.

        Args:
            player: Whose turn it is; its weights have no gradients yet.
            work: Does it, by calling `loss`. If compiling fails it is called again.

        Returns:
            What `work` returns.

        Raises:
            ConfigError: It cannot be compiled, and the mode is True; or a turn that was compiled
                must be again, for shapes unlike the first ones, and cannot.
            Exception: What `work` raises uncompiled, too: no fault of the compiler.
        """
        if not self.parts:
            return work()
        if player in self.compiled:
            return self._again(player, work)
        with self.pause():
            return self._first(player, work)

    def _first(self, player: str, work: Callable[[], Made]) -> Made:
        whose = f" the {player}'s turn" if len(self.model.players) > 1 else ""
        notice(f"compile{whose}: a minute or so, once ...")
        began, reason = time.monotonic(), ""
        restore = self._snapshot()
        # Twice, since Ctrl-C reaches a C++ compiler, too, and what is computed must not hang on it.
        for _ in range(2):
            try:
                self.compiled[player] = True
                made = work()
            except (GenlabError, MemoryError, torch.OutOfMemoryError):
                raise  # the model ran
            except Exception as error:
                reason = _reason(error)
                restore()
            else:
                notice(f"compile{whose}: done in {time.monotonic() - began:.0f} s")
                return made
        self.compiled[player] = False
        made = work()  # If the model is at fault, this says so.
        self._refuse(f"torch.compile failed{whose and ' at' + whose}: {reason}", (player,))
        return made

    def loss(self, batch: Batch, player: str) -> Loss:
        """The player's loss, compiled if its turn is."""
        if not self.compiled.get(player):
            return self.model.loss(batch, player)
        with self._installed():
            loss = self.model.loss(batch, player)
        if not loss.total.is_cuda:
            return loss
        # A CUDA graph writes its next results to the same place.
        return Loss(loss.total.clone(), {name: part.clone() for name, part in loss.parts.items()})

    def _again(self, player: str, work: Callable[[], Made]) -> Made:
        if not self.compiled[player]:
            return work()
        if self.model.device.type == "cuda" and player == self.model.players[0]:
            torch.compiler.cudagraph_mark_step_begin()
        known = torch._dynamo.exc
        try:
            return work()
        except (known.TorchDynamoException, known.FailOnRecompileLimitHit) as error:
            step = f"in step {self.model.step + 1:,}"
            raise ConfigError(
                f"trainer.compile={str(self.mode).lower()}: compiling once more failed {step}: "
                f"{_reason(error)}; {CURE}"
            ) from error

    def _part(self, name: str) -> Callable[..., Any]:
        """A method, to be compiled when it is called."""
        options: dict[str, Any] = {}
        if self.backend == "inductor":
            # The generators' own kernels, so that a seed means the same numbers as without.
            options = {"fallback_random": True}
            if self.model.device.type == "cuda":
                options["triton.cudagraphs"] = True
            else:
                options["compile_threads"] = 1  # processes of its own would outlive a Ctrl-C badly
        method = getattr(self.model, name)
        return torch.compile(method, backend=self.backend, dynamic=False, options=options or None)

    @contextmanager
    def _installed(self) -> Iterator[None]:
        """The model's own methods are the compiled ones inside."""
        # Past the limit, code would silently run uncompiled.
        with torch._dynamo.config.patch(fail_on_recompile_limit_hit=True):
            vars(self.model).update(self.parts)
            try:
                yield
            finally:
                for name in self.parts:
                    del vars(self.model)[name]

    def _snapshot(self) -> Callable[[], None]:
        """Keeps what a turn changes; returns what brings it back."""
        cpu = torch.get_rng_state()
        cuda = torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None
        buffers = [(buffer, buffer.clone()) for buffer in self.model.buffers()]

        def restore() -> None:
            torch.set_rng_state(cpu)
            if cuda is not None:
                torch.cuda.set_rng_state(cuda)
            with torch.no_grad():
                for buffer, kept in buffers:
                    buffer.copy_(kept)
            self.model.zero_grad()

        return restore

    def _refuse(self, why: str, players: tuple[str, ...]) -> None:
        if self.mode is True:
            raise ConfigError(f"trainer.compile=true: {why}; {CURE}, auto where it must")
        self.compiled |= dict.fromkeys(players, False)
        notice(f"genlab: warning: trainer.compile=auto: {why}; it goes on uncompiled")


def _reason(error: BaseException) -> str:
    """A compiler's error in one line."""
    inner = getattr(error, "inner_exception", None) or error.__cause__
    if isinstance(inner, BaseException):
        return _reason(inner)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."
