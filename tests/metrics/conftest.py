import importlib.util
from pathlib import Path

import pytest
import requests


@pytest.fixture(scope="session")
def inception_file(tmp_path_factory):
    """A file of random Inception weights, and its sha256."""
    pytest.importorskip("torch_fidelity")
    spec = importlib.util.spec_from_file_location(
        "inception_file", Path(__file__).with_name("inception_file.py")
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    path = tmp_path_factory.mktemp("inception") / "random.pth"
    return str(path), module.write(path)


@pytest.fixture
def no_weights(tmp_path, monkeypatch):
    """A machine without any published weights and without a network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in ("INCEPTION", "DINOV2", "EFFICIENTNET"):
        monkeypatch.delenv(f"GENLAB_{name}_WEIGHTS", raising=False)

    def offline(*args, **kwargs):
        raise requests.ConnectionError("no network")

    monkeypatch.setattr(requests, "get", offline)
    return tmp_path / "torch" / "hub" / "checkpoints"
