"""Runs of genlab as processes of their own, forked from one that has imported everything.

A fresh interpreter takes seconds to import torch, a fork none: so a hundred can be killed. This
file is that process, too: it reads what to start from its standard input.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path


class Forks:
    """The process to fork from.

    Args:
        words: A command that needs all that the forks will need.
    """

    def __init__(self, *words):
        self.process = subprocess.Popen(
            [sys.executable, __file__, *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    def start(self, folder, *words, **environment):
        """Starts ``genlab *words`` in a folder; returns the process' number."""
        return self.ask({"words": words, "folder": str(folder), "environment": environment})

    def wait(self, number):
        """Waits for a process; returns its exit code, minus the signal that killed it."""
        return self.ask({"wait": number})

    def ask(self, question):
        print(json.dumps(question), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def child(words, folder, environment):
    """What a fork does: it is genlab, started in a folder."""
    code = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.default_int_handler)
        os.chdir(folder)
        os.environ.update(environment)
        tempfile.tempdir = None
        log = os.open("output.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.argv = ["genlab", *words]
        code = main()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[2])

    import torch

    from genlab.cli.entry import main

    torch.set_num_threads(1)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    with tempfile.TemporaryDirectory() as warm:  # what is imported only when it is needed
        assert main([*sys.argv[1:], f"root={warm}", "trainer.max_images=8"]) == 0
    for line in sys.stdin:
        question = json.loads(line)
        if "wait" in question:
            answer = os.waitstatus_to_exitcode(os.waitpid(question["wait"], 0)[1])
        else:
            answer = os.fork()
            if answer == 0:
                child(**question)
        print(json.dumps(answer), file=answers, flush=True)
