"""A sweep under Hydra, whose sweeper makes the jobs and whose launcher says where they run.

Every launch is noted in the manifest before it starts, what is done is not launched again, and what
came of a job is read from the manifest: so a sweeper sees no difference between a sweep that is
resumed and one that never stopped. One that optimizes is given the results it had, and asks the
same questions again as far as it got.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.config.check import resolved
from genlab.config.overrides import key_of
from genlab.errors import ConfigError, GenlabError
from genlab.launch.hydra_patches import parse_overrides, wrapped_launcher
from genlab.launch.messages import explain
from genlab.runs.directory import NAME
from genlab.sweeps.jobs import Sweep, job_id
from genlab.sweeps.objective import keys_of, values_of
from genlab.sweeps.share import share_of
from genlab.sweeps.supervise import Supervisor, quoted

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["Multirun"]


@dataclass
class Multirun:
    """The sweep of one command line, if that is what it asks for.

    Args:
        command: The command of the jobs.
        words: The overrides as they were typed.
        flags: The flags but for ``--multirun``.
        resume: The sweep to resume; None starts a new one.
        attach: Given the supervisor before the first launch: what Hydra calls for each job must
            have it, wherever it is sent.
        sweep: Its directory, once it has begun.
        error: What a launcher or a sweeper raised.
        wandb: How the jobs log to W&B, if they do.
    """

    command: str
    words: Sequence[str]
    flags: Sequence[str]
    resume: Path | None
    attach: Callable[[Supervisor], None]
    sweep: Sweep | None = None
    error: Exception | None = None
    wandb: Mapping[str, Any] | None = None

    @contextmanager
    def supervised(self) -> Iterator[None]:
        """Inside, Hydra's launchers get only jobs that are not done.

        Raises:
            GenlabError: Jobs were left that are not done; says which, and how to resume.
        """
        try:
            with wrapped_launcher(self.pending_only):
                yield
        except KeyboardInterrupt:
            if self.sweep is not None:
                self.sweep.write_manifest()
                print(f"resume with\n  genlab sweep resume {self.sweep.shown()}", flush=True)
            raise
        except Exception as error:
            if self.sweep is None:
                raise
            self.error = self.error or error
        if self.sweep is not None:
            self.close(self.sweep)

    def fail(self, error: Exception) -> None:
        """Takes note of the error that ended the sweep, which Hydra would print at length."""
        self.error = error

    def begin(self, config: "DictConfig") -> None:
        """Makes the sweep's directory, or opens the one to resume; only once.

        Args:
            config: The sweep's config, whose ``hydra.sweep.dir`` becomes the directory.
        """
        if self.sweep is not None:  # hydra.verbose composes a second time, to print it
            return
        self.sweep = sweep = self.open(config)
        config.hydra.sweep.dir = str(sweep.path)
        # What a launcher composes elsewhere must agree.
        config.hydra.overrides.hydra.append(f"hydra.sweep.dir={quoted(str(sweep.path))}")
        storage = str(config.hydra.sweeper.get("storage"))
        if self.resume is not None and storage.startswith("sqlite:///"):
            # The study is given all results again, and would otherwise have them twice.
            Path(storage.removeprefix("sqlite:///")).unlink(missing_ok=True)
        if config.get("logger"):
            self.wandb = resolved(config.logger)[0].get("wandb")
        self.supervisor = Supervisor(
            sweep=sweep,
            command=self.command,
            flags=tuple(self.flags),
            folder=Path.cwd(),
            root=Path(str(config.root)).absolute(),
            always=tuple(word for word in self.words if key_of(word) == "trust"),
            group=sweep.path.name if config.get("group") is None else None,
            fixed=frozenset(
                override.get_key_element().lstrip("+~")
                for override in parse_overrides(self.words)
                if not override.is_sweep_override()
            ),
            share=share_of(resolved(config.hydra.launcher)[0]),
            objective=keys_of(config.get("objective")) or ("best",),
        )
        self.attach(self.supervisor)

    def open(self, config: "DictConfig") -> Sweep:
        """The sweep's directory: the one to resume, or a new one."""
        if self.resume is not None:
            return Sweep.open(self.resume)
        path = Path(str(config.hydra.sweep.dir))
        name = config.get("name")
        if name and not any(key_of(word) == "hydra.sweep.dir" for word in self.words):
            if not NAME.fullmatch(str(name)):
                raise ConfigError(
                    f"name={name!r}: 1 to 64 of A-Z, a-z, 0-9, . _ = - are allowed, no path; the "
                    "first is a letter or a digit"
                )
            path = Path(str(config.root)) / str(name)
        return Sweep.create(
            path.absolute(),
            command=["genlab", self.command, "-m", *self.flags, *self.words],
            flags=list(self.flags),
            overrides=list(self.words),
            folder=os.getcwd(),
        )

    def close(self, sweep: Sweep) -> None:
        """Writes the manifest a last time.

        Raises:
            GenlabError: Jobs were left.
        """
        jobs = sweep.write_manifest()
        left = [job for job in jobs if job.state != "done"]
        if not left and self.error is None and jobs:
            print(f"sweep  {sweep.shown()}: {some(jobs)}, all done", flush=True)
            return
        lines = [f"{job.id}: {job.state}, {job.reason}" for job in left if job.reason]
        if self.error is not None:
            known = explain(self.error) or f"{type(self.error).__name__}: {self.error}"
            lines.insert(0, " ".join(str(known).split())[:300])
        raise GenlabError(
            f"{len(left)} of {len(jobs)} jobs of the sweep are not done; resume with: "
            f"genlab sweep resume {sweep.shown()}\n" + "\n".join(lines)
        ) from self.error

    def pending_only(self, launcher: Any, loader: Any, config: "DictConfig") -> Any:
        """A launcher for the jobs that are not done; Hydra's own if this is no sweep of runs."""
        return launcher if self.sweep is None else PendingJobs(self, launcher, loader, config)


@dataclass
class PendingJobs:
    """A launcher of Hydra's that is given only the jobs that are not done.

    Args:
        multirun: The sweep, which has begun.
        launcher: Hydra's.
        loader: The config loader.
        config: The sweep's config.
    """

    multirun: Multirun
    launcher: Any
    loader: Any
    config: "DictConfig"

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[Any]:
        """Runs jobs, as Hydra's launchers do; a job that is not done returns None."""
        from hydra.core.utils import JobReturn, JobStatus

        supervisor = self.multirun.supervisor
        sweep, objective = supervisor.sweep, supervisor.objective
        # Note the jobs, and find those to launch: of equal ones, the first.
        composed = [self.loader.load_sweep_config(self.config, list(o)) for o in job_overrides]
        tasks = [list(cfg.hydra.overrides.task) for cfg in composed]
        planned = sweep.add_jobs(tasks, initial_job_idx)
        first = {job.id: i for i, job in reversed(list(enumerate(planned))) if job.state != "done"}
        todo = sorted(first.values())
        if initial_job_idx == 0:
            done = len({job.id for job in planned}) - len(todo)
            before = f", {done} of them done before" if done else ""
            where = sweep.shown()
            print(
                f"sweep  {where}: {some(planned)}{before}\n"
                f"       what they print: {where}/*/output.log; "
                f"how it goes: genlab sweep status {where}",
                flush=True,
            )
        # Launch them.
        try:
            if todo:
                self.launcher.launch([job_overrides[i] for i in todo], initial_job_idx)
        except Exception as error:  # of the launcher: jobs keep theirs to themselves
            self.multirun.fail(error)
        # Return what the manifest has of each.
        returns = []
        for task, cfg in zip(tasks, composed, strict=True):
            job = sweep.job(job_id(task))
            missing = [key for key in objective if key not in job.metrics]
            if job.state == "done" and missing and cfg.get("objective"):
                raise ConfigError(
                    f"objective={', '.join(objective)}: job {job.id} has no "
                    f"{', '.join(missing)}; there are {', '.join(job.metrics)}"
                )
            result = JobReturn(overrides=task, cfg=cfg, status=JobStatus.COMPLETED)
            result.return_value = values_of(job, objective)
            returns.append(result)
        return returns


def some(jobs: Sequence[Any]) -> str:
    """The number of jobs, in words."""
    return "1 job" if len(jobs) == 1 else f"{len(jobs)} jobs"
