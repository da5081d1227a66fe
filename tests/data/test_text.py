"""Texts: windows, splits, vocabulary, and what is refused."""

import pytest
import torch

from genlab.data.module import ImageDataModule
from genlab.data.text import Shakespeare, TextFiles
from genlab.errors import ConfigError, DataError
from genlab.modalities.by_spec import modality_of
from genlab.types import SequenceSpec


def source(tmp_path, text, **arguments):
    file = tmp_path / "mine.txt"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return TextFiles(str(file), **arguments)


def test_windows_are_the_text(tmp_path):
    text = "".join(chr(97 + i % 26) for i in range(100))
    data = source(tmp_path, text, length=7)
    modality = modality_of(data.spec)
    for split, (start, end) in {"train": (0, 80), "val": (80, 90), "test": (90, 100)}.items():
        found = "".join(modality.texts(data.load(split).x))
        assert found == text[start : start + (end - start) // 7 * 7]
    assert data.spec == SequenceSpec(
        7, 26, unit="character", vocabulary="abcdefghijklmnopqrstuvwxyz"
    )
    assert "3 of train, 3 of val, 3 of test" in data.notes()[0]


def test_the_module_serves_them(tmp_path):
    data = source(tmp_path, "to be, or not to be: " * 60, length=8)
    module = ImageDataModule(data, batch_size=4, limit=20)
    batch = next(module.train_loader())
    assert batch.x.shape == (1, 4, 8)
    assert batch.x.dtype == torch.int64
    assert "20 train" in module.summary()
    assert "test sequences, 8 characters of 9," in module.summary()
    with pytest.raises(ConfigError, match=r"data.augment: changes images, and text has none"):
        ImageDataModule(data, augment=["flip"])


def test_the_fingerprint_knows_the_text_and_the_window(tmp_path):
    text = "abcdefgh" * 40
    prints = {
        source(tmp_path, text, length=4).fingerprint(),
        source(tmp_path, text, length=5).fingerprint(),
        source(tmp_path, text, length=4, test_size=0.2).fingerprint(),
        source(tmp_path, text.replace("c", "z"), length=4).fingerprint(),
    }
    assert len(prints) == 4
    again = source(tmp_path, text.replace("h", "h\r\n"), length=4).fingerprint()
    assert again == source(tmp_path, text.replace("h", "h\n"), length=4).fingerprint()


def test_a_folder_is_its_text_files_by_name(tmp_path):
    for name, text in (("b.txt", "b" * 50), ("a.txt", "a" * 50), ("c.md", "c")):
        (tmp_path / name).write_text(text)
    found = TextFiles(str(tmp_path), length=5)
    assert found.spec.vocabulary == "\nab"
    assert found.texts["train"][0].startswith("a" * 50 + "\nb")


@pytest.mark.parametrize(
    ("content", "error", "line"),
    [
        (b"", DataError, "expected text, found an empty file"),
        (b"abc\xff", DataError, "expected UTF-8 text, found the byte 0xff at 3"),
        (b"abc\0def", DataError, "found a binary file"),
        (b"\xef\xbb\xbf", DataError, "holds no text"),
        (b"abcdefghijkl", ConfigError, r"data.length=9: the val text has only 1 characters"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path, content, error, line):
    data = source(tmp_path, content, length=9)
    with pytest.raises(error, match=line):
        data.load("val")


def test_paths_without_text_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="no such file or folder"):
        TextFiles(str(tmp_path / "none")).load("train")
    with pytest.raises(ConfigError, match=r"a folder without a \.txt file"):
        TextFiles(str(tmp_path)).load("train")
    with pytest.raises(ConfigError, match=r"data.test_size=0.5: must be > 0 and < 0.5"):
        TextFiles(str(tmp_path), test_size=0.5)


def test_shakespeare_is_split_by_plays():
    data = Shakespeare()
    count = {split: sum(map(len, texts)) for split, texts in data.texts.items()}
    assert [len(data.texts[split]) for split in ("train", "val", "test")] == [38, 2, 2]
    assert sum(count.values()) == 5_052_189
    assert any("MALVOLIO" in text for text in data.texts["test"])
    assert not any("MALVOLIO" in text for text in data.texts["train"])
    assert data.spec.levels == 84


def test_texts_are_saved_and_checked(tmp_path):
    modality = modality_of(SequenceSpec(3, 2, unit="character", vocabulary="ab"))
    x = torch.tensor([[0, 1, 0], [1, 1, 1]])
    assert modality.render(x).text.split("\n")[::2] == ["aba", "bbb"]
    assert modality.compare(x[:1], x[1:]).text == "aba\n=>\nbbb"
    for wrong in (x.int(), x[:, :2], x + 1):
        with pytest.raises(DataError):
            modality.check(wrong, "samples")
    with pytest.raises(ConfigError, match=r"a \.txt or a \.npz"):
        modality.save(x, tmp_path / "x.png", None, {})
