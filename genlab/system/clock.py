"""Points in time as texts, which compare rightly across zones, clock changes and machines."""

from datetime import datetime

__all__ = ["moment", "now"]


def now() -> str:
    """The local time with its distance from UTC, to the microsecond."""
    return datetime.now().astimezone().isoformat(timespec="microseconds")


def moment(text: object) -> float:
    """Seconds since 1970 of a text that `now` or an older genlab wrote; 0 if it is none.

    Example:
        >>> moment("2026-10-25T02:10:00+0200") < moment("2026-10-25T02:05:00+0100")
        True
        >>> moment("yesterday")
        0.0
    """
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return 0.0
