"""genlab: which family and which setting is best for this data, and can I trust the number?

Importing the package loads nothing heavy: `load`, `train` and `compare` of `genlab.api` import
what they need when they are called.
"""

from typing import TYPE_CHECKING, Any

from genlab.system import lean_imports

if TYPE_CHECKING:
    from genlab.api import compare, load, train

__all__ = ["__version__", "compare", "load", "train"]

__version__ = "0.1.0"

lean_imports.install()


def __getattr__(name: str) -> Any:
    if name in ("compare", "load", "train"):
        from genlab import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
