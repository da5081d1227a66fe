"""The guard on a real game that is set up to be lost."""

import json

import pytest

LOST = (
    "experiment=gan_ring",
    "model.r1=0",  # nothing binds the discriminator,
    "optimizer.lr=3e-3",  # and both players take steps three times too long
    "trainer.epochs=10",
    "trainer.validate_every=10000",
    "trainer.threads=1",
    "callbacks.evaluation.every=10000",
    "callbacks.samples=null",
    "metrics.n_samples=1000",
    "closing.n_samples=1000",
    "logger=none",
    "name=lost",
)


@pytest.mark.slow
def test_a_lost_game_is_noticed_and_ended_and_its_best_is_kept(genlab, tmp_path):
    code, _, err = genlab("train", *LOST, "guard.action=stop")
    assert code == 0, err
    assert err.count("genlab: warning") == 1
    assert "mode collapse" in err
    run = tmp_path / "runs" / "lost"
    summary = json.loads((run / "summary.json").read_text())
    (event,) = summary["warnings"]
    budget = 180_000
    # It may find its modes for a fifth of the run; the warning comes within a tenth after that.
    assert 0.2 * budget <= event["images_seen"] <= 0.3 * budget
    assert summary["images_seen"] == event["images_seen"]
    assert summary["best_images"] <= event["images_seen"]
    (alert,) = (run / "alerts.jsonl").read_text().splitlines()
    assert json.loads(alert)["guard"] == event["text"]
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["guard/warnings"] for line in lines if "guard/warnings" in line] == [1]


def test_what_the_guard_may_do_is_checked_before_anything_is_loaded(genlab):
    for word, parts in (
        ("guard.action=panic", ["guard.action=panic", "warn", "rollback"]),
        ("guard.fd_factor=0", ["guard.fd_factor=0"]),
        ("guard.rolbacks=1", ["guard.rolbacks", "rollbacks"]),
    ):
        code, _, err = genlab("train", "model=vae_mlp", "data=synthetic", word)
        assert code == 2
        assert len(err.strip().splitlines()) <= 5
        for part in parts:
            assert part in err
