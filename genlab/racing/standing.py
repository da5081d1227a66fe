"""Standing of a race, as its journal has it."""

from typing import Any

from genlab.racing.journal import Journal
from genlab.racing.race_settings import RaceRecord
from genlab.racing.wording import number

__all__ = ["out_reasons", "standing"]


def out_reasons(journal: Journal) -> dict[str, str]:
    """Why each candidate is out, by its name."""
    found = {x["candidate"]: x["reason"] for x in journal.all("fit", fits=False)}
    for line in journal.lines:
        if line["event"] == "out":
            found[line["candidate"]] = line["reason"]
        elif line["event"] in ("plan", "rung"):
            found |= line["out"]
    return found


def standing(journal: Journal, record: RaceRecord, running: bool) -> dict[str, Any]:
    """The state of a race and of each candidate.

    Args:
        journal: Its journal.
        record: What decides it.
        running: Whether a process runs it.
    """
    out, verdict = out_reasons(journal), journal.last("verdict")
    rows = {}
    for name in record.candidates:
        measured = journal.last("measured", candidate=name)
        if name in out:
            state, reason = "out", out[name]
        elif verdict is not None:
            state = "winner" if verdict["winner"] == name else "finalist"
            reason = f"mean {number(abs(verdict['means'][name]))}"
        elif measured is not None:
            state, reason = "in", f"rung {measured['rung']}: {measured['reason']}"
        else:
            line = journal.last("profile", candidate=name) or journal.last("fit", candidate=name)
            state, reason = "in", line["reason"] if line else "not looked at yet"
        rows[name] = {"state": state, "reason": reason}
    state = "finished" if verdict else "running" if running else "stopped"
    return {
        "state": state,
        "elapsed": journal.lines[-1]["elapsed"] if journal.lines else 0.0,
        "budget": record.budget.text,
        "candidates": rows,
        "verdict": verdict["reason"] if verdict else None,
    }
