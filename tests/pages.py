"""What the pages tell a reader to type: their files and their commands."""

import re
from pathlib import Path

__all__ = ["ROOT", "apply", "blocks", "write_files"]

ROOT = Path(__file__).parent.parent


def blocks(text, language="bash"):
    """The code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.S | re.M)


def write_files(text, folder):
    """Writes the files that a page prints, under the names that it gives them just before."""
    for name, content in re.findall(
        r"`([\w/]+\.\w+)`:\n\n```(?!diff)\w+\n(.*?)^```", text, re.S | re.M
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def apply(text, folder):
    """Makes the changes that a page shows as diffs, to the files that it names just before."""
    for name, diff in re.findall(r"`([\w/]+\.\w+)`:\n\n```diff\n(.*?)^```", text, re.S | re.M):
        lines = [(line[:1], line[1:]) for line in diff.splitlines()]
        old = "".join(f"{line}\n" for sign, line in lines if sign in (" ", "-"))
        new = "".join(f"{line}\n" for sign, line in lines if sign in (" ", "+"))
        content = (folder / name).read_text()
        assert content.count(old) == 1, f"{name} has not once:\n{old}"
        (folder / name).write_text(content.replace(old, new))
