import pytest

from genlab.system.secrets import REDACTED, is_secret, redact, secret_values

ENVIRON = {
    "WANDB_API_KEY": "k" * 40,
    "DB_PASSWORD": "hunter2hunter2",
    "SHORT_TOKEN": "mnist",  # too short to be looked for: it would take every mnist with it
    "KEYBOARD": "us-international",
    "HOME": "/home/someone",
}


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("token", "abc", True),
        ("HF_TOKEN", "abc", True),
        ("wandb.api_key", "abc", True),
        ("apiKey", "abc", True),
        ("APIKey", "abc", True),
        ("client-secret", "abc", True),
        ("password", 1234, True),
        ("key", "abc", True),
        ("keys_seen", "abc", False),
        ("keyboard", "abc", False),
        ("tokens", 512, False),
        ("pad_token", 0, False),
        ("token", None, False),
        ("password", "", False),
        ("secret", True, False),
        ("monkey", "abc", False),
    ],
)
def test_a_secret_is_told_by_the_words_of_its_name(name, value, secret):
    assert is_secret(name, value) is secret


def test_only_long_values_of_secret_variables_are_looked_for():
    assert secret_values(ENVIRON) == ["k" * 40, "hunter2hunter2"]


def test_the_whole_of_a_nested_config():
    config = {
        "model": {"_target_": "a.B", "latent": 16, "keys": ["x"]},
        "logger": {"wandb": {"key": "abc", "project": "p"}},
        "tokens": [{"a": "in a list"}],
        "credentials": {"user": "me", "pin": 1},
        "url": "postgres://me:pw@host/db?sslmode=on&token=abc",
        "note": "the key is " + "k" * 40,
        "hunter2hunter2": 1,
        "argv": ["+logger.key=abc", "model.pad_token=0", "optimizer.lr=0.1", "a=hunter2hunter2"],
        "pair": ("x", 2.0, None, True),
    }
    before = repr(config)
    assert redact(config, environ=ENVIRON) == {
        "model": {"_target_": "a.B", "latent": 16, "keys": ["x"]},
        "logger": {"wandb": {"key": REDACTED, "project": "p"}},
        "tokens": [{"a": "in a list"}],
        "credentials": {"user": REDACTED, "pin": 1},
        "url": f"postgres://me:{REDACTED}@host/db?sslmode=on&token={REDACTED}",
        "note": f"the key is {REDACTED}",
        REDACTED: 1,
        "argv": [
            f"+logger.key={REDACTED}",
            "model.pad_token=0",
            "optimizer.lr=0.1",
            f"a={REDACTED}",
        ],
        "pair": ("x", 2.0, None, True),
    }
    assert repr(config) == before  # a copy


def test_the_environment_of_the_process_is_the_default(monkeypatch):
    monkeypatch.setenv("SOME_TOKEN", "canary-in-the-environment")
    assert redact("x=canary-in-the-environment") == f"x={REDACTED}"
