"""What a training step does not do: search for a GPU where there is none."""

import pytest
import torch

from genlab.training import cpu_threads


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU to be found")
def test_an_optimizer_step_does_not_search_for_a_gpu(monkeypatch):
    monkeypatch.setenv(cpu_threads.NVML, "1")
    searches = []
    count = torch.cuda._raw_device_count_nvml
    monkeypatch.setattr(torch.cuda, "_raw_device_count_nvml", lambda: searches.append(1) or count())
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.Adam([weight], fused=True)

    def step():
        searches.clear()
        weight.grad = torch.ones(2)
        optimizer.step()
        return len(searches)

    searching = step()
    cpu_threads.use_threads(None)
    assert step() == 0
    assert searching > 0, "torch searches no more: genlab.training.cpu_threads can go"


def test_threads_are_set_or_left_alone(threads):
    torch.set_num_threads(2)
    cpu_threads.use_threads(None)
    assert torch.get_num_threads() == 2
    cpu_threads.use_threads(1)
    assert torch.get_num_threads() == 1
