"""`genlab` in a process that forks the jobs of a sweep from itself, to spare their imports.

The jobs are processes all the same: with a lifeline, the lock that they inherit, an exit code, and
signals that end them alone. Only `subprocess.Popen` is another: it forks and does not exec.
"""

import os
import subprocess
import sys
import traceback
from types import SimpleNamespace

from hydra.core.global_hydra import GlobalHydra

import genlab.commands.train  # noqa: F401 - what the jobs need, loaded once
from genlab.cli.child import watch_lifeline
from genlab.cli.entry import main
from genlab.sweeps import supervise


class Forked:
    """As much of a Popen as a supervisor uses."""

    def __init__(self, command, *, stdin, stdout, stderr, cwd, env, pass_fds):
        assert command[1:3] == ["-m", "genlab.cli.child"]
        assert (stdin, stderr) == (subprocess.PIPE, subprocess.STDOUT)
        reading, self.writing = os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid:
            os.close(reading)
            return
        code = 1
        try:
            os.close(self.writing)
            os.dup2(reading, 0)
            os.dup2(stdout.fileno(), 1)
            os.dup2(stdout.fileno(), 2)
            os.environ.clear()
            os.environ.update(env)
            os.chdir(cwd)
            GlobalHydra.instance().clear()  # it is the sweep's
            watch_lifeline()
            sys.argv = ["genlab", *command[3:]]
            code = main()
            sys.stdout.flush()
            sys.stderr.flush()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return False

    def wait(self):
        status = os.waitpid(self.pid, 0)[1]
        os.close(self.writing)
        return os.waitstatus_to_exitcode(status)

    def kill(self):
        os.kill(self.pid, 9)


def fork_jobs(replace=setattr):
    """From now on the jobs of this process' sweeps are forks of it."""
    replace(
        supervise,
        "subprocess",
        SimpleNamespace(Popen=Forked, PIPE=subprocess.PIPE, STDOUT=subprocess.STDOUT),
    )


if __name__ == "__main__":
    fork_jobs()
    sys.argv[0] = "genlab"
    sys.exit(main())
