"""A trained model as Python code and notebooks use it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.api.results import Evaluation, Samples

if TYPE_CHECKING:
    from torch import Tensor

    from genlab.experiment.trained import Loaded
    from genlab.tasks.base import Task

__all__ = ["TrainedModel"]


class TrainedModel:
    """A trained model with the run that it comes from.

    Args:
        loaded: The run, loaded.
    """

    def __init__(self, loaded: "Loaded"):
        self.loaded = loaded

    def __repr__(self) -> str:
        one = self.loaded
        return (
            f"{type(one.model).__name__} of {one.run.shown()} ({one.checkpoint.stem} checkpoint, "
            f"{one.images_seen:,} images seen, {one.weights} weights)"
        )

    @property
    def path(self) -> Path:
        """The run directory."""
        return self.loaded.run.path

    @property
    def model(self) -> Any:
        """The `GenerativeModel`, in evaluation mode."""
        return self.loaded.model

    @property
    def spec(self) -> Any:
        """Kind and geometry of its data."""
        return self.loaded.model.spec

    @property
    def metrics(self) -> dict[str, float]:
        """The run's latest measurements, by the metrics' keys."""
        return dict(self.loaded.run.read("summary.json").get("metrics", {}))

    def sample(
        self,
        n: int = 64,
        *,
        label: int | str | Sequence[int | str] | None = None,
        seed: int = 0,
        **sampling: Any,
    ) -> Samples:
        """Draws examples, the same ones for the same seed.

        Args:
            n: How many.
            label: Of a conditional model: number or name of a class, or several in turn; None
                takes all in turn.
            seed: Key of the random stream.
            sampling: Options of the family's sampling, such as ``temperature=0.8``.

        Raises:
            ConfigError: An option or a label that the model does not have.
        """
        from genlab.tasks.drawing import Draw

        return self.perform(Draw(), n, label=label, seed=seed, sampling=sampling)

    def perform(self, task: "Task", n: int = 64, **asked: Any) -> Samples:
        """Performs a task; see `genlab.experiment.perform.perform` for what can be asked.

        Raises:
            Unsupported: The model cannot do what the task needs.
        """
        from genlab.experiment.perform import origin, perform

        made = perform(self.loaded, task, n, **asked)
        note = origin(
            self.loaded,
            seed=asked.get("seed", 0),
            sampling=asked.get("sampling"),
            kinds=made.kinds,
        )
        return Samples(made, self.loaded.modality, note)

    def log_prob(
        self, x: "Tensor", y: "Tensor | None" = None, *, samples: int = 1, seed: int = 0
    ) -> "Tensor":
        """Log-probability of examples in nats ``(B,)``, or a lower bound of it.

        Args:
            x: ``(B, *spec.shape)``; images are uint8 below ``spec.levels``.
            y: Their conditions, for a conditional model.
            samples: Importance samples of a bound.
            seed: Key of the bound's randomness.

        Raises:
            Unsupported: The family has no likelihood.
        """
        from genlab.rng import stream
        from genlab.types import Batch

        model = self.loaded.model
        generator = stream(seed, "log_prob", device=model.device)
        batch = Batch(x.to(model.device), None if y is None else y.to(model.device))
        return model.log_prob(batch, samples=samples, generator=generator)

    def encode(self, x: "Tensor", y: "Tensor | None" = None) -> "Tensor":
        """Latent codes of examples; see `log_prob` for the arguments.

        Raises:
            Unsupported: The family has no codes.
        """
        from genlab.types import Batch

        model = self.loaded.model
        return model.encode(Batch(x.to(model.device), None if y is None else y.to(model.device)))

    def decode(self, z: "Tensor", y: "Tensor | None" = None) -> "Tensor":
        """Examples of latent codes, ``(B, *spec.shape)``.

        Raises:
            Unsupported: The family has no codes.
        """
        return self.loaded.model.decode(z, y)

    def evaluate(self, metrics: str = "quick", *, split: str = "test") -> Evaluation:
        """Measures the model; nothing is written.

        Args:
            metrics: A config of the group ``metrics``: ``quick``, ``full``.
            split: The examples whose likelihood is measured: ``test`` or ``val``.

        Raises:
            ConfigError: There is no such config.
        """
        from genlab.config.check import check
        from genlab.experiment.build import build_evaluator
        from genlab.launch.compose import compose

        cfg, _ = compose("evaluate", ["run=last", f"metrics={metrics}", f"split={split}"])
        config = check(cfg, "evaluate")
        self.loaded.data.prepare_data()
        evaluator = build_evaluator(config.metrics, self.loaded.data, config.split)
        return Evaluation(evaluator.run(self.loaded.model, self.loaded.weights))
