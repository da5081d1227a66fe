"""Characters and their ids."""

import torch
from torch import Tensor

from genlab.errors import ConfigError

__all__ = ["decode", "encode", "vocabulary_of"]


def vocabulary_of(text: str) -> str:
    """The characters of a text, each once, by their code points.

    Example:
        >>> vocabulary_of("banana")
        'abn'
    """
    return "".join(sorted(set(text)))


def encode(text: str, vocabulary: str, what: str) -> Tensor:
    """Ids of the characters of a text, int64 ``(len(text),)``.

    Args:
        text: The text.
        vocabulary: The characters in the order of their ids.
        what: What the text is called in the error.

    Raises:
        ConfigError: A character that the vocabulary lacks.

    Example:
        >>> encode("nab", "abn", "prompt").tolist()
        [2, 0, 1]
        >>> encode("nob", "abn", "prompt")
        Traceback (most recent call last):
        genlab.errors.ConfigError: prompt: 'o' is not among the 3 characters, the nearest is 'n'
    """
    ids = {character: i for i, character in enumerate(vocabulary)}
    for character in dict.fromkeys(text):
        if character not in ids:
            near = min(vocabulary, key=lambda known: abs(ord(known) - ord(character)))
            for other in (character.swapcase(), base_of(character)):
                near = other if other in ids else near
            raise ConfigError(
                f"{what}: {character!r} is not among the {len(vocabulary)} characters, the "
                f"nearest is {near!r}"
            )
    return torch.tensor([ids[character] for character in text], dtype=torch.int64)


def decode(ids: Tensor, vocabulary: str) -> list[str]:
    """The texts of ids ``(n, T)``.

    Example:
        >>> decode(torch.tensor([[2, 0, 1], [0, 0, 0]]), "abn")
        ['nab', 'aaa']
    """
    return ["".join(vocabulary[i] for i in row) for row in ids.tolist()]


def base_of(character: str) -> str:
    """A character without its accents.

    Example:
        >>> base_of("é")
        'e'
    """
    from unicodedata import normalize

    return normalize("NFD", character)[0]
