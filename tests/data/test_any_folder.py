"""Whatever lies in a folder is read, or refused in a line; no picture is lost or doubled."""

import io
import os
import re
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from PIL import Image

from genlab.data.feed.identity import changes, identity
from genlab.data.folder import ImageFolder
from genlab.data.module import ImageDataModule
from genlab.data.survey import Survey, choose_by_class
from genlab.errors import ConfigError, DataError
from genlab.modalities.images.named_rows import named_rows

FOLDERS = [
    "train", "Test", "val", "TESTING", "train2017", "val_1", "cat_train", "cat_test", "cat", "dog",
    "0", "2", "10", "01", "²", "ä ö", "a=b", "[red]", "{x}", "%s", "new\nline", "images", "masks",
    "train_val", "dev", "eval", ".hidden", "__MACOSX", "-n", "~", "日本", "test tube", "\udcff",
]  # fmt: skip
SUFFIXES = [".png", ".JPG", ".tif", ".gif", ".webp", ".bmp", ".pgm", ".jfif", ".heic", ".txt", ""]
MODES = ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I;16", "I", "F", "LAB"]


def encoded(mode, kind, size, frames):
    """The bytes of a picture, in another format where the one does not have the mode."""
    rng = np.random.default_rng(size)
    picture = Image.fromarray(rng.integers(0, 256, (*size[::-1], 3), np.uint8))
    if mode == "LAB":
        picture = Image.frombytes("LAB", size, picture.tobytes())
    elif mode in ("I;16", "I", "F"):
        values = rng.integers(0, 5000, size[::-1])
        picture = Image.fromarray(values.astype({"I;16": "u2", "I": "i4", "F": "f4"}[mode]))
    else:
        picture = picture.convert("L").convert(mode) if mode == "LA" else picture.convert(mode)
    more = {"save_all": True, "append_images": [picture.copy()] * frames} if frames else {}
    for attempt in (kind, "TIFF"):
        file = io.BytesIO()
        try:
            picture.save(file, format=attempt, **(more if attempt != "BMP" else {}))
            return file.getvalue()
        except (OSError, ValueError, KeyError):
            continue
    raise AssertionError(f"no format for {mode}")


CONTENTS = st.one_of(
    st.builds(
        encoded,
        st.sampled_from(MODES),
        st.sampled_from(["PNG", "JPEG", "TIFF", "GIF", "WEBP", "BMP"]),
        st.tuples(st.integers(1, 12), st.integers(1, 12)),
        st.sampled_from([0, 0, 0, 2]),
    ),
    st.sampled_from(["L", "RGB"]).map(lambda mode: encoded(mode, "PNG", (6, 6), 0)),
)
BROKEN = st.sampled_from([b"", b"no picture", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe"])
NAMES = st.tuples(
    st.sampled_from(["a", "b", "train", "._x", "é", "x y"]), st.sampled_from(SUFFIXES)
)
PATHS = st.lists(st.sampled_from(FOLDERS), max_size=3)
FILES = st.lists(st.tuples(PATHS, NAMES, CONTENTS), min_size=1, max_size=14)
LINKS = st.lists(
    st.tuples(PATHS, st.sampled_from(["link", "cat", "l.png"]), st.sampled_from(["..", ".", "no"])),
    max_size=1,
)
KEYS = st.fixed_dictionaries(
    {
        "size": st.sampled_from([1, 4, 8]),
        "channels": st.sampled_from([1, 3]),
        "labels": st.sampled_from([None, None, True, False]),
        "splits": st.sampled_from([None, None, True, False]),
        "bits": st.sampled_from([None, None, 12, 16]),
        "test_size": st.sampled_from([0.0, 0.1, 0.5, 0.99]),
    }
)
DIVISION = st.fixed_dictionaries(
    {
        "val_size": st.sampled_from([0, 0.1, 0.5, 1, 3]),
        "limit": st.sampled_from([None, None, 1, 3]),
    }
)


def make(root, files, broken, links):
    """Writes the tree, as far as names are free; gives the number of files."""
    n = 0
    for folders, (stem, suffix), content in [*files, *broken]:
        path = Path(root, *folders, f"{stem}{n}{suffix}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        n += 1
    for folders, name, target in links:
        path = Path(root, *folders, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            os.symlink(target, path)
    return n


def check_folder(files, broken, links, keys, division):
    """Reads a folder in every way that a command does."""
    root = tempfile.mkdtemp()
    os.environ["GENLAB_CACHE"] = os.path.join(root, "cache")
    try:
        tree = os.path.join(root, "tree")
        n = make(tree, files, broken, links)
        try:
            source = ImageFolder(tree, **keys)
            taken = [path for paths in source.splits.values() for path in paths]
            assert len(set(taken)) == len(taken)
            if not links:
                hidden = sum(
                    any(p.startswith((".", "__")) for p in path.relative_to(tree).parts)
                    for path in Path(tree).rglob("*") if path.is_file()
                )  # fmt: skip
                told = (
                    source.skipped.total() - source.skipped["hidden (a name with . or __ in front)"]
                )
                assert len(taken) + told == n - hidden
            survey = Survey(source, split_seed=0, **division)
            counts, lines = survey.counts(), survey.lines()
            assert all("\n" not in line or "new\nline" in line for line in lines)
            assert int(counts[-1][-1].replace(",", "")) == len(survey.parts["test"].chosen)
            data = ImageDataModule(source, batch_size=1, **division)
            data.prepare_data()
            data.setup()
            assert data.summary()
            for name, part in survey.parts.items():
                seen = getattr(data, name)
                assert (seen.x == survey.images(name, np.arange(len(part.chosen)))).all()
                if part.y is not None:
                    assert (seen.y == part.y).all()
            chosen = choose_by_class(data.train.y, data.n_train, 9, source.spec.num_classes)
            rows = [data.train.x[index] for index in chosen]
            if any(len(row) for row in rows) and len(rows) > 1:
                named_rows(rows, source.classes)
            assert changes(identity(data), identity(data)) == []
            event(f"read, {'with' if source.classes else 'without'} classes")
        except (ConfigError, DataError) as error:
            message = str(error).replace("new\nline", "")
            event("refused: " + re.sub(r"/tmp/\S*", "", message)[:60])
            assert "\n" not in message
            assert "should not happen" not in message
    finally:
        shutil.rmtree(root)


@pytest.fixture(autouse=True)
def _same_cache(monkeypatch):
    monkeypatch.setenv("GENLAB_CACHE", "")  # set anew for each folder, and set back in the end


HARMS = st.lists(st.tuples(PATHS, NAMES, BROKEN), max_size=2)
TREES = (FILES, st.just([]) | st.just([]) | HARMS, LINKS, KEYS, DIVISION)


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    database=None,
)
@given(*TREES)
def test_any_folder(files, broken, links, keys, division):
    check_folder(files, broken, links, keys, division)


@pytest.mark.slow
@settings(
    max_examples=int(os.environ.get("FOLDERS", 3000)),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)
@given(*TREES)
def test_any_folder_at_length(files, broken, links, keys, division):
    check_folder(files, broken, links, keys, division)
