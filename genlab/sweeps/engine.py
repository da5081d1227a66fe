"""Between Hydra's sweeper, which makes the jobs, and its launcher, which says where they run.

Every launch is noted in the manifest before it starts, what is done is not launched again, and what
came of a job is read from the manifest: so a sweeper sees no difference between a sweep that goes
on and one that never stopped. One that optimizes is told the results it had, and asks the same
questions again as far as it got.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.config.check import resolved
from genlab.config.overrides import key_of
from genlab.errors import ConfigError, GenlabError
from genlab.runs.directory import NAME, Run
from genlab.sweeps.jobs import Sweep, job_id
from genlab.sweeps.objective import keys_of, values_of
from genlab.sweeps.share import share_of
from genlab.sweeps.supervise import Supervisor, quoted
from genlab.system.secrets import redact

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["Engine"]


class Engine:
    """A sweep of one command line.

    Args:
        command: The command of the jobs.
        words: The overrides as they were typed.
        flags: The flags but for ``--multirun``.
        resume: The sweep to go on with; None starts a new one.
        employ: Told the supervisor before the first launch: what Hydra calls for each job must
            have it, wherever it is sent.
    """

    def __init__(
        self,
        command: str,
        words: Sequence[str],
        flags: Sequence[str],
        resume: Path | None,
        employ: Callable[[Supervisor], None],
    ):
        self.command = command
        self.words = tuple(words)
        self.flags = tuple(flags)
        self.resume = resume
        self.employ = employ
        self.sweep: Sweep | None = None
        self.supervisor: Supervisor | None = None
        self.trouble: Exception | None = None
        self.wandb: Mapping[str, Any] | None = None
        """How the jobs log to W&B, if they do."""

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Stands between Hydra's parts while Hydra runs.

        Raises:
            GenlabError: Jobs were left that are not done; says which, and how to go on.
        """
        from hydra.core.plugins import Plugins
        from omegaconf import OmegaConf

        make_sweeper, make_launcher = Plugins.instantiate_sweeper, Plugins.instantiate_launcher
        save = OmegaConf.save

        def sweeper(plugins: Any, *, config: Any, **named: Any) -> Any:
            self.begin(config)
            return make_sweeper(plugins, config=config, **named)

        def launcher(plugins: Any, hydra_context: Any, task_function: Any, config: Any) -> Any:
            made = make_launcher(plugins, hydra_context, task_function, config)
            return Launcher(made, self, hydra_context.config_loader, config)

        def save_redacted(config: Any, f: Any, resolve: bool = False) -> None:
            if Path(str(f)).name != "multirun.yaml":  # Hydra's own, with all that was typed
                plain = OmegaConf.to_container(OmegaConf.create(config), resolve=resolve)
                save(OmegaConf.create(redact(plain)), f)

        with ExitStack() as stack:
            hooks: list[tuple[Any, str, Any]] = [(OmegaConf, "save", staticmethod(save_redacted))]
            if self.command == "train":
                hooks.append((Plugins, "instantiate_sweeper", sweeper))
                hooks.append((Plugins, "instantiate_launcher", launcher))
            for owner, name, value in hooks:
                stack.callback(setattr, owner, name, vars(owner)[name])
                setattr(owner, name, value)
            try:
                yield
            except KeyboardInterrupt:
                if self.sweep is not None:
                    self.sweep.assemble()
                    print(f"go on with\n  genlab sweep resume {self.where}", flush=True)
                raise
            except Exception as error:
                if self.sweep is None:
                    raise
                self.trouble = self.trouble or error
            self.close()

    @property
    def where(self) -> str:
        """The sweep's directory as a person would type it."""
        assert self.sweep is not None
        return Run(self.sweep.path).shown()

    def begin(self, config: "DictConfig") -> None:
        """Makes the sweep's directory, or opens the one to go on with."""
        from hydra.core.override_parser.overrides_parser import OverridesParser
        from omegaconf import open_dict, read_write

        sweep = self.open(config)
        with read_write(config), open_dict(config):
            config.hydra.sweep.dir = str(sweep.path)
            # What a launcher composes elsewhere must agree.
            config.hydra.overrides.hydra.append(f"hydra.sweep.dir={quoted(str(sweep.path))}")
        storage = str(config.hydra.sweeper.get("storage"))
        if self.resume is not None and storage.startswith("sqlite:///"):
            # The study is told all results again, and would otherwise have them twice.
            Path(storage.removeprefix("sqlite:///")).unlink(missing_ok=True)
        self.sweep = sweep
        loggers = resolved(config.logger)[0] if config.get("logger") else {}
        self.wandb = loggers.get("wandb")
        self.supervisor = Supervisor(
            sweep=sweep,
            command=self.command,
            flags=self.flags,
            folder=Path.cwd(),
            root=Path(str(config.root)).absolute(),
            always=tuple(word for word in self.words if key_of(word) == "trust"),
            group=sweep.name if config.get("group") is None else None,
            fixed=frozenset(
                override.get_key_element().lstrip("+~")
                for override in OverridesParser.create().parse_overrides(list(self.words))
                if not override.is_sweep_override()
            ),
            share=share_of(resolved(config.hydra.launcher)[0]),
            objective=keys_of(config.get("objective")) or ("best",),
        )
        self.employ(self.supervisor)

    def open(self, config: "DictConfig") -> Sweep:
        """The sweep's directory: the one to go on with, or a new one."""
        if self.resume is not None:
            return Sweep.open(self.resume)
        name = config.get("name")
        typed = any(key_of(word) == "hydra.sweep.dir" for word in self.words)
        if name and not typed:
            if not NAME.fullmatch(str(name)):
                raise ConfigError(
                    f"name={name!r}: letters, digits and . _ = - are allowed, no path"
                )
            path = Path(str(config.root)) / str(name)
        else:
            path = Path(str(config.hydra.sweep.dir))
        return Sweep.create(
            path.absolute(),
            command=["genlab", self.command, "-m", *self.flags, *self.words],
            flags=list(self.flags),
            overrides=list(self.words),
            folder=os.getcwd(),
        )

    def close(self) -> None:
        """Writes the manifest a last time.

        Raises:
            GenlabError: Jobs were left.
        """
        if self.sweep is None:
            return
        jobs = self.sweep.assemble()
        left = [job for job in jobs if job.state != "done"]
        if not left and self.trouble is None and jobs:
            print(f"sweep  {self.where}: {some(jobs)}, all done", flush=True)
            return
        said = "" if self.trouble is None else f"{one_line(self.trouble)}\n"
        reasons = "".join(f"{job.id}: {job.state}, {job.reason}\n" for job in left if job.reason)
        raise GenlabError(
            f"{len(left)} of {len(jobs)} jobs of the sweep are not done; go on with: "
            f"genlab sweep resume {self.where}\n{said}{reasons}"
        ) from self.trouble


class Launcher:
    """A launcher of Hydra's, asked only for what is not done yet.

    Args:
        inner: Hydra's.
        engine: The sweep.
        loader: The config loader.
        config: The sweep's config.
    """

    def __init__(self, inner: Any, engine: Engine, loader: Any, config: "DictConfig"):
        self.inner = inner
        self.engine = engine
        self.loader = loader
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[Any]:
        """Runs jobs, as Hydra's launchers do; a job that is not done returns None."""
        from hydra.core.utils import JobReturn, JobStatus

        sweep, supervisor = self.engine.sweep, self.engine.supervisor
        assert sweep is not None
        assert supervisor is not None
        composed = [self.loader.load_sweep_config(self.config, list(o)) for o in job_overrides]
        tasks = [list(cfg.hydra.overrides.task) for cfg in composed]
        planned = sweep.plan(tasks, initial_job_idx)
        first = {job.id: i for i, job in reversed(list(enumerate(planned))) if job.state != "done"}
        todo = sorted(first.values())
        if initial_job_idx == 0:
            done = len({job.id for job in planned}) - len(todo)
            before = f", {done} of them done before" if done else ""
            print(
                f"sweep  {self.engine.where}: {some(planned)}{before}\n"
                f"       what they print: {self.engine.where}/*/output.log; "
                f"how it goes: genlab sweep status {self.engine.where}",
                flush=True,
            )
        if todo:
            try:
                self.inner.launch([job_overrides[i] for i in todo], initial_job_idx)
            except Exception as error:  # of the launcher: jobs keep theirs to themselves
                self.engine.trouble = error
        returns = []
        for task, cfg in zip(tasks, composed, strict=True):
            result = JobReturn()
            result.overrides, result.cfg = task, cfg
            result.status = JobStatus.COMPLETED
            job = sweep.job(job_id(task))
            result.return_value = values_of(job, supervisor.objective)
            missing = [key for key in supervisor.objective if key not in job.metrics]
            if job.state == "done" and missing and cfg.get("objective"):
                raise ConfigError(
                    f"objective={', '.join(supervisor.objective)}: job {job.id} has no "
                    f"{', '.join(missing)}; there are {', '.join(job.metrics)}"
                )
            returns.append(result)
        return returns


def some(jobs: Sequence[Any]) -> str:
    """How many jobs."""
    return "1 job" if len(jobs) == 1 else f"{len(jobs)} jobs"


def one_line(error: Exception) -> str:
    """An error in a line."""
    from genlab.config.messages import explain

    known = explain(error)
    return " ".join(str(known or f"{type(error).__name__}: {error}").split())[:300]
