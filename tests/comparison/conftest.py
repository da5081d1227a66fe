"""The plotting library is bundled once for all tests: it takes seconds."""

import pytest

from genlab.comparison.report import page
from genlab.comparison.report import vega as bundle


@pytest.fixture(scope="session")
def script(tmp_path_factory):
    pytest.importorskip("vl_convert")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENLAB_CACHE", str(tmp_path_factory.mktemp("library")))
        return bundle.library()


@pytest.fixture
def plotting(script, monkeypatch):
    """Pages get the library at once."""
    monkeypatch.setattr(page, "library", lambda: script)
