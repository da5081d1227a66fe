"""Workers: what they answer, how they die, and that only their own candidate suffers."""

import os
import signal
import sys
import textwrap
import time

import pytest

from genlab.errors import GenlabError, StorageError
from genlab.racing.jobs_of_race import Job
from genlab.racing.workers import WorkerPool

SCRIPT = textwrap.dedent(
    """
    import json, os, signal, sys, time
    for line in sys.stdin:
        job = json.loads(line)
        name = job["candidate"]
        if name == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "stopped":
            os.kill(os.getpid(), signal.SIGTERM)
        if name == "left":
            sys.exit(7)
        if name == "hangs":
            time.sleep(600)
        if name == "slow":
            time.sleep(0.3)
        answer = {"values": {"pid": os.getpid(), "threads": os.environ["OMP_NUM_THREADS"]}}
        if name == "fails":
            answer = {"failed": "a loss is not finite", "of_the_machine": False}
        elif name == "full":
            answer = {"failed": "no space left", "of_the_machine": True}
        print(json.dumps(answer), flush=True)
    open(sys.argv[1] + "/ended-%d" % os.getpid(), "w").close()
    """
)


def job(name, timeout=None):
    return Job("rung", name, 0, (), f"{name}-s0", timeout=timeout)


@pytest.fixture
def pool(tmp_path):
    def make(workers=1):
        threads = [{"OMP_NUM_THREADS": str(slot + 1)} for slot in range(workers)]
        return WorkerPool(tmp_path, tmp_path, threads, command=(sys.executable, "-c", SCRIPT))

    return make


def test_one_process_does_many_jobs(pool, tmp_path):
    with pool() as workers:
        found = list(workers([job("a"), job("b"), job("fails"), job("c")]))
    by = {outcome.job.candidate: outcome for outcome in found}
    assert by["fails"].failed == "a loss is not finite"
    assert len({by[name].values["pid"] for name in "abc"}) == 1
    assert (tmp_path / f"ended-{by['a'].values['pid']}").exists()  # it saw the end of its lifeline


def test_several_work_at_a_time_each_with_its_share(pool):
    with pool(2) as workers:
        found = list(workers([job("slow"), job("slow"), job("slow"), job("slow")]))
    assert len(found) == 4
    assert {outcome.values["threads"] for outcome in found} == {"1", "2"}


@pytest.mark.parametrize(
    ("name", "said"),
    [("killed", "killed by SIGKILL; the machine may be out of memory"), ("left", "exit code 7")],
)
def test_a_death_ends_its_candidate_and_a_new_worker_does_the_rest(pool, name, said):
    with pool() as workers:
        found = list(workers([job("a"), job(name), job("b")]))
    assert [outcome.failed is None for outcome in found] == [True, False, True]
    assert said in found[1].failed
    assert found[0].values["pid"] != found[2].values["pid"]


def test_what_takes_too_long_is_given_up(pool):
    with pool() as workers:
        found = list(workers([job("hangs", timeout=0.5), job("a")]))
    assert found[0].failed == "took longer than 0 s"
    assert found[1].failed is None


def test_a_worker_that_somebody_stops_is_no_candidates_fault(pool):
    with pool() as workers, pytest.raises(GenlabError, match="stopped by SIGTERM; resume"):
        list(workers([job("stopped")]))


def test_a_full_disk_is_no_candidates_fault(pool):
    with pool() as workers, pytest.raises(StorageError, match="no space left"):
        list(workers([job("full")]))


def test_a_race_that_is_killed_takes_its_workers_along(pool, tmp_path):
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        workers = pool()
        (outcome,) = workers([job("a")])
        os.write(writing, str(outcome.values["pid"]).encode())
        time.sleep(600)
        os._exit(0)
    worker = os.read(reading, 100).decode()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    ends = time.monotonic() + 20
    while not (tmp_path / f"ended-{worker}").exists() and time.monotonic() < ends:
        time.sleep(0.05)
    assert (tmp_path / f"ended-{worker}").exists()
