"""Takes secrets out of what is saved, logged or printed: by the name of a key, and by value.

A secret has no business in a configuration, but it gets there: ``${oc.env:HF_TOKEN}``, a password
in a URL, a token typed as an override. Whatever leaves the process (config.yaml, W&B, which copies
its config in plain text into ``debug.log``) goes through `redact` first.
"""

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["REDACTED", "is_secret", "redact", "secret_values", "typed_secrets"]

REDACTED = "<redacted>"

_ALWAYS = frozenset({"secret", "secrets", "password", "passwd", "passphrase", "credentials"})
"""Words that make any value under them a secret."""

_IF_TEXT = frozenset({"key", "apikey", "token"})
"""Words that make a text under them a secret: ``pad_token: 0`` is none."""

_SHORTEST = 8
"""Shorter values of secret environment variables are not looked for: they'd match anything."""

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")
_USERINFO = re.compile(r"(?<=://)([^/\s:@]*):([^/\s@]+)@")
_TOKEN = re.compile(r"(?<=https://)[^/\s:@]{8,}(?=@)")  # git's way: a token without a user
_QUERY = re.compile(r"(?<=[?&;])([\w.-]+)=([^&;#\s]+)")
_OVERRIDE = re.compile(r"^([-+~]*[\w./@-]+)=(.+)$", re.DOTALL)


def is_secret(name: str, value: object = "text") -> bool:
    """True if a value of this name is to be kept secret.

    Example:
        >>> is_secret("hf_token"), is_secret("wandbApiKey"), is_secret("keyboard")
        (True, True, False)
        >>> is_secret("pad_token", 0), is_secret("password", 1234)
        (False, True)
    """
    words = {word.lower() for word in _WORD.findall(name.rsplit(".", 1)[-1])}
    if value is None or isinstance(value, bool) or value == "":
        return False
    return bool(words & _ALWAYS) or (isinstance(value, str) and bool(words & _IF_TEXT))


def secret_values(environ: Mapping[str, str] | None = None) -> list[str]:
    """The values of the environment variables with a secret's name, longest first.

    Args:
        environ: The variables; None takes those of the process, and what is secret of its command
            line: an error may quote it in other words than those it was typed in.
    """
    typed = typed_secrets(sys.argv[1:]) if environ is None else []
    environ = os.environ if environ is None else environ
    found = {*typed, *(value for name, value in environ.items() if is_secret(name, value))}
    return sorted((v for v in found if len(v) >= _SHORTEST), key=lambda v: (-len(v), v))


def typed_secrets(words: Sequence[str]) -> Iterator[str]:
    """The values of overrides with a secret's name, and the secrets in URLs.

    Example:
        >>> list(typed_secrets(["hf.token=abc", "url=https://me:pw@host/?key=k", "seed=1"]))
        ['abc', 'pw', 'k']
    """
    for word in words:
        override = _OVERRIDE.match(word)
        if override and is_secret(override[1].replace("/", "."), _scalar(override[2])):
            yield override[2].strip("'\"")
        yield from (match[2] for match in _USERINFO.finditer(word))
        yield from (match[0] for match in _TOKEN.finditer(word))
        yield from (match[2] for match in _QUERY.finditer(word) if is_secret(match[1]))


def redact(value: Any, *, environ: Mapping[str, str] | None = None) -> Any:
    """A copy of nested plain data without its secrets.

    Replaced are: values under a secret's name, the values of secret environment variables wherever
    they occur in a text, passwords in URLs, and the values of overrides and URL parameters with a
    secret's name. A mapping key is left alone unless it holds the value of such a variable.

    Args:
        value: Mappings, lists, tuples and scalars, as deep as you like.
        environ: Where the secret values are taken from; the process' own environment if None.

    Example:
        >>> redact({"hf": {"token": "abc", "name": "me"}, "lr": 0.1}, environ={})
        {'hf': {'token': '<redacted>', 'name': 'me'}, 'lr': 0.1}
        >>> redact(["hf.token=abc", "see http://me:pw@host/"], environ={})
        ['hf.token=<redacted>', 'see http://me:<redacted>@host/']
        >>> redact("id 12345678", environ={"API_KEY": "12345678"})
        'id <redacted>'
    """
    return _redact(value, secret_values(environ))


def _redact(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, str):
        return _redact_text(value, secrets)
    if isinstance(value, Mapping):
        return {
            _redact_text(k, secrets) if isinstance(k, str) else k: (
                _redact_named(str(k), v, secrets)
            )
            for k, v in value.items()
        }
    if isinstance(value, list | tuple):
        items = [_redact(item, secrets) for item in value]
        return items if isinstance(value, list) else tuple(items)
    return value


def _redact_named(name: str, value: Any, secrets: list[str]) -> Any:
    if isinstance(value, Mapping | list | tuple):
        if is_secret(name):
            return _redact_all(value)
        return _redact(value, secrets)
    return REDACTED if is_secret(name, value) else _redact(value, secrets)


def _redact_all(value: Any) -> Any:
    """Every text below a secret's name; the structure stays."""
    if isinstance(value, Mapping):
        return {k: _redact_all(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_redact_all(item) for item in value]
    return REDACTED if isinstance(value, str) and value else value


def _redact_text(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, REDACTED)
    text = _USERINFO.sub(rf"\1:{REDACTED}@", text)
    text = _TOKEN.sub(REDACTED, text)
    text = _QUERY.sub(lambda m: f"{m[1]}={REDACTED}" if is_secret(m[1]) else m[0], text)
    override = _OVERRIDE.match(text)
    if override is None or override[2].startswith(REDACTED):  # what follows is an error's text
        return text
    if is_secret(override[1].replace("/", "."), _scalar(override[2])):
        return f"{override[1]}={REDACTED}"
    return text


def _scalar(text: str) -> object:
    """An override's value as far as `is_secret` cares: a number is not a text."""
    try:
        return float(text)
    except ValueError:
        return text
