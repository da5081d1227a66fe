"""The plotting library as one script: Vega, Vega-Lite and Vega-Embed out of vl-convert's wheel."""

import importlib.metadata
import importlib.util

from genlab.errors import ConfigError
from genlab.system.paths import cache_dir, write_atomically

__all__ = ["find_library", "library"]


def find_library() -> None:
    """Looks whether the library is here, without loading it.

    Raises:
        ConfigError: It is not.
    """
    if importlib.util.find_spec("vl_convert") is None:
        raise ConfigError("--html: its charts need vl-convert-python: pip install 'genlab[report]'")


def library() -> str:
    """The script, some 900 kB; it sets ``vegaEmbed``.

    Bundling takes seconds, so the script is kept in the cache; one that cannot be written is only
    slower.
    """
    version = importlib.metadata.version("vl-convert-python")
    file = cache_dir() / "report" / f"vega-{version}.js"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    import vl_convert

    script = str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))
    script = script.replace("</script", "<\\/script")
    try:
        write_atomically(file, script.encode())
    except OSError:
        return script
    return script
