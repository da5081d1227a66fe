"""`python -m MODULE` and `python SCRIPT` in forks of an interpreter that has what they import.

A fresh interpreter needs seconds of a core to import torch, Lightning and Hydra; a fork needs
none of it. It is a process of its own all the same, with its own folder, environment, output and
exit code, and it imports genlab itself, from wherever its PYTHONPATH says.

This file is three things: the class that tests use, the interpreter that is forked from (with the
path of a socket as its argument), and the program that a shell runs in python's place (with more).
"""

import ast
import importlib
import os
import runpy
import signal
import socket
import subprocess
import sys
import traceback
import warnings
from pathlib import Path

__all__ = ["WarmPython"]

LIBRARIES = (
    "torch",
    "torch._dynamo",
    "torch.distributed",
    "torch.utils.tensorboard",
    "torchvision",
    "pytorch_lightning",
    "hydra._internal.hydra",
    "rich.console",
    "rich.progress",
    "PIL.Image",
    "safetensors.torch",
    "scipy.linalg",
    "pytest",
)
"""What costs most of a command's imports."""

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
"""Signals to what runs in python's place that reach the fork; a kill does not."""


class WarmPython:
    """An interpreter to fork from.

    Args:
        folder: Where its socket is to be.
    """

    def __init__(self, folder):
        self.path = Path(folder) / "warm.socket"
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, __file__, str(self.path)],
            stdout=subprocess.PIPE, env=environment, text=True,
        )  # fmt: skip
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("the interpreter to fork from did not start")

    def command(self, *words):
        """What a shell, or `subprocess`, runs in the place of ``python *words``."""
        return [sys.executable, "-S", "-E", __file__, str(self.path), *words]

    def run(self, *words, cwd, environment=None):
        """Runs ``python *words``; what it returns is what `subprocess.run` does, with text."""
        return subprocess.run(
            self.command(*words), cwd=cwd, capture_output=True, text=True,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip

    def close(self):
        """Ends it."""
        self.process.terminate()
        self.process.stdout.close()
        self.process.wait()


def ask(path, words):
    """Has a fork run the words with this process' streams and signals; ends as it does."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        told = repr((words, os.getcwd(), dict(os.environ))).encode()
        socket.send_fds(connection, [len(told).to_bytes(4, "big")], [0, 1, 2])
        connection.sendall(told)
        answers = connection.makefile()
        child = int(answers.readline())
        for number in FORWARDED:
            signal.signal(number, lambda number, _: os.kill(child, number))
        code = int(answers.readline())
    if code < 0:  # as it was ended by a signal, so is this
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def serve(path):
    """Imports the libraries, then forks for each connection, until it is ended."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in LIBRARIES:
            importlib.import_module(name)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen()
    print("ready", flush=True)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait
    while True:
        connection = listening.accept()[0]
        if os.fork() == 0:
            listening.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            attend(connection)
        connection.close()


def attend(connection):
    """Forks the process that was asked for, and tells its exit code."""
    length, descriptors, *_ = socket.recv_fds(connection, 4, 3)
    told = connection.makefile("rb").read(int.from_bytes(length, "big"))
    words, folder, environment = ast.literal_eval(told.decode())
    child = os.fork()
    if child == 0:
        connection.close()
        become(words, folder, environment, descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    connection.sendall(f"{child}\n".encode())
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    connection.sendall(f"{code}\n".encode())
    os._exit(0)


def become(words, folder, environment, descriptors):
    """Makes this process what ``python *words`` would have been."""
    code = 1
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        module = words[0] == "-m"
        paths = environment.get("PYTHONPATH", "").split(os.pathsep)
        sys.path[:0] = [folder if module else str(Path(words[0]).parent), *filter(None, paths)]
        sys.argv = words[1:] if module else words
        run = runpy.run_module if module else runpy.run_path
        run(sys.argv[0], run_name="__main__", **({"alter_sys": True} if module else {}))
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    if len(sys.argv) == 2:
        sys.path[:1] = []  # the tests are no library
        serve(sys.argv[1])
    sys.exit(ask(sys.argv[1], sys.argv[2:]))
