"""Numbers and times as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

from ml_backend.wording import cut as cut
from ml_backend.wording import listed as listed

NOT_YET = "–"


def score(value: float | None) -> str:
    """A number in 0..1."""
    return NOT_YET if value is None else f"{value:.3f}"


def percent(value: float | None) -> str:
    """A share in 0..1."""
    return NOT_YET if value is None else f"{100 * value:.0f} %"


def duration(seconds: float | None) -> str:
    """In the largest two units that say something."""
    if seconds is None:
        return NOT_YET
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} days"


def clock(seconds: float) -> str:
    """A time in a video: `1:02.50`."""
    minutes, rest = divmod(max(0.0, seconds), 60)
    return f"{int(minutes)}:{rest:05.2f}"


def size(number: float | None) -> str:
    if number is None:
        return NOT_YET
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000 or unit == "GB":
            return f"{number:.0f} {unit}" if unit == "B" or number >= 100 else f"{number:.1f} {unit}"
        number /= 1000
    raise AssertionError("the last unit takes everything")


def count(number: float | None, one: str = "", many: str = "") -> str:
    """`1,234 frames`; without words the number alone."""
    if number is None:
        return NOT_YET
    return f"{number:,} {one if number == 1 else many}".strip()


def instant(text: str | None) -> datetime | None:
    """A time as the backend writes it; without a zone it is UTC."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def ago(when: datetime | float | str | None, now: datetime | None = None) -> str:
    """How long ago something was, by a time, unix time or ISO 8601."""
    if isinstance(when, str):
        when = instant(when)
    if isinstance(when, int | float):
        when = datetime.fromtimestamp(when, UTC)
    if when is None:
        return "never"
    seconds = ((now or datetime.now(UTC)) - when).total_seconds()
    if seconds < 5:
        return "just now"
    if seconds < 120:
        return f"{seconds:.0f} s ago"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min ago"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.0f} h ago"
    return f"{seconds / 86400:.0f} days ago"


def time_left(percent_done: float, started: str | None, now: datetime | None = None) -> float | None:
    """Seconds until a job ends when it goes on as it has since it `started` (ISO 8601); None while nobody can tell."""
    begun = instant(started)
    if begun is None or not 2 <= percent_done < 100:
        return None
    spent = ((now or datetime.now(UTC)) - begun).total_seconds()
    return spent * (100 - percent_done) / percent_done if spent > 2 else None
