"""The lean import of torchmetrics: without scipy.signal, and nothing lost."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def output(code: str) -> list[str]:
    """Lines that a process of its own prints."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return done.stdout.splitlines()


LEAN = """
import sys, genlab, pytorch_lightning
print("scipy.signal" in sys.modules, "torchmetrics" in sys.modules)
import scipy.signal, scipy.signal.windows
there = scipy.signal is sys.modules["scipy.signal"]
print(scipy.signal.windows.hamming(3).round(6).tolist(), there)
print(scipy.signal.__spec__.name, scipy.signal.firwin.__module__.split(".")[1])
"""


@pytest.mark.slow
def test_lightning_comes_without_scipy_signal_which_works_when_it_is_imported() -> None:
    assert output(LEAN) == ["False True", "[0.08, 1.0, 0.08] True", "scipy.signal signal"]


STAND_IN = """
import sys
from genlab.system.lean_imports import stand_in
with stand_in():
    import scipy.signal
    print(hasattr(scipy.signal, "hamming"), "scipy.signal.windows" in sys.modules)
    print(scipy.signal.hamming(3).round(6).tolist())
    from scipy.signal import firwin
    print(firwin.__module__.split(".")[1], type(sys.modules["scipy.signal"]).__name__)
before = sys.modules["scipy.signal"]
with stand_in():
    print(sys.modules["scipy.signal"] is before)
"""


def test_the_stand_in_has_what_is_looked_for_and_fetches_the_rest() -> None:
    assert output(STAND_IN) == ["True False", "[0.08, 1.0, 0.08]", "signal module", "True"]


@pytest.mark.slow
def test_torchmetrics_would_import_it_by_itself() -> None:
    """Fails once torchmetrics no longer does: `lean_imports` can go then."""
    code = "import sys, torchmetrics; print('scipy.signal' in sys.modules)"
    assert output(code) == ["True"]
