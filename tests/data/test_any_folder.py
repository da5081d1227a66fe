"""Whatever lies in a folder is read, or refused in a line; no picture is lost or doubled."""

import contextlib
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
    for attempt in ("TIFF",) if mode in ("I", "F") else (kind, "TIFF"):
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
    *[st.sampled_from(["L", "RGB"]).map(lambda mode: encoded(mode, "PNG", (6, 6), 0))] * 3,
)
BROKEN = st.sampled_from([b"", b"no picture", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe"])
NAMES = st.tuples(
    st.sampled_from(["a", "b", "train", "._x", "é", "x y"]), st.sampled_from(SUFFIXES)
)
TARGETS = st.sampled_from(["..", "..", ".", "no"])


def trees(names):
    """Files, broken files and links in folders of a few names."""
    paths = st.lists(st.sampled_from(names), max_size=3) | st.lists(
        st.sampled_from(names), min_size=1, max_size=1
    )
    good = st.lists(st.tuples(paths, NAMES, CONTENTS), min_size=4, max_size=14)
    bad = st.lists(st.tuples(paths, NAMES, BROKEN), min_size=1, max_size=2)
    links = st.lists(
        st.tuples(paths, st.sampled_from(["link", "cat", "l.png"]), TARGETS), min_size=1, max_size=2
    )
    none = st.just([])
    return st.tuples(good, none | none | none | none | bad, none | none | links)


TREES = st.lists(st.sampled_from(FOLDERS), min_size=1, max_size=5).flatmap(trees)
KEYS = st.fixed_dictionaries(
    {
        "size": st.sampled_from([1, 4, 8]),
        "channels": st.sampled_from([1, 3]),
        "labels": st.sampled_from([*[None] * 6, True, False]),
        "splits": st.sampled_from([*[None] * 6, True, False]),
        "bits": st.sampled_from([*[None] * 6, 12, 16]),
        "test_size": st.sampled_from([0.0, 0.1, 0.1, 0.1, 0.5, 0.99]),
    }
)
DIVISION = st.fixed_dictionaries(
    {
        "val_size": st.sampled_from([0, 0.1, 0.1, 0.5, 1]),
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
        with contextlib.suppress(FileExistsError):  # another link is there
            path.parent.mkdir(parents=True, exist_ok=True)
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
            event(
                "refused: "
                + re.sub(r"/tmp/\S*", "", message).encode("ascii", "replace").decode()[:40]
            )
            assert "\n" not in message
            assert "should not happen" not in message
    finally:
        shutil.rmtree(root)


@pytest.fixture(autouse=True)
def _same_cache(monkeypatch):
    monkeypatch.setenv("GENLAB_CACHE", "")  # set anew for each folder, and set back in the end


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    database=None,
)
@given(TREES, KEYS, DIVISION)
def test_any_folder(tree, keys, division):
    check_folder(*tree, keys, division)


@pytest.mark.slow
@settings(
    max_examples=int(os.environ.get("FOLDERS", 3000)),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)
@given(TREES, KEYS, DIVISION)
def test_any_folder_at_length(tree, keys, division):
    check_folder(*tree, keys, division)
