"""Threads of the processor, and no search for a GPU that is not there."""

import os

import torch

__all__ = ["use_threads"]

NVML = "PYTORCH_NVML_BASED_CUDA_CHECK"
"""Lightning sets it, so that a process may ask for a GPU and fork all the same."""


def use_threads(threads: int | None) -> None:
    """Sets the threads of torch's operators, and ends its search for GPUs where there is none.

    Adam asks at each step whether a GPU is there. Where Lightning has torch ask NVML and there is
    no GPU, torch loads that library anew each time: 0.1 to 0.3 ms, more than fused Adam takes for
    a small network.

    Args:
        threads: Threads of an operator; None leaves it to torch.
    """
    if threads:
        torch.set_num_threads(threads)
    if not torch.cuda.is_available():
        os.environ.pop(NVML, None)
