"""Text as files of other programs have it: in whatever encoding, with times in whatever form."""

from __future__ import annotations

import codecs
import math
import re
from pathlib import Path, PurePosixPath, PureWindowsPath

from ml_backend.errors import SettingsError

# A day of one row a frame with a hundred columns. Read whole it takes some times as much memory.
MOST_BYTES = 250_000_000
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CLOCK = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:[.,]\d+)?)")
_TIMECODE = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})([:;])(\d{2,3})")


def read_text(path: Path) -> str:
    """The contents of a text file in UTF-8, UTF-16 or UTF-32, else in Western European letters (Windows). Raises SettingsError."""
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise SettingsError(
                f"{path} has {size / 1e6:,.0f} MB, and at most {MOST_BYTES / 1e6:,.0f} MB are read.",
                "Split it into files of some videos each, or omit columns that are no labels.",
            )
        content = path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read ({error.strerror}).", "Give the names of files with labels."
        ) from error
    text = _decoded(content)
    if "\0" in text[:10_000]:
        raise SettingsError(
            f"{path} is not a text file.", "Export from the program that wrote it, in a form of docs/formats.md."
        )
    return text


def _decoded(content: bytes) -> str:
    encodings = [encoding for mark, encoding in _MARKS if content.startswith(mark)][:1] or ["utf-8"]
    if len(encodings) == 1 and encodings[0] == "utf-8" and content[:400].count(0) > len(content[:400]) // 4:
        # UTF-16 without its mark: of Latin letters every other byte is zero.
        encodings = ["utf-16-be" if content[:1] == b"\0" else "utf-16-le"]
    for encoding in (*encodings, "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1")


def seconds_of(text: str) -> float | None:
    """Of `12.5`, `12,5`, `1:02.5` or `01:00:02.500`; None for anything else."""
    text = text.strip()
    if clock := _CLOCK.fullmatch(text):
        return 3600 * int(clock[1] or 0) + 60 * int(clock[2]) + float(clock[3].replace(",", "."))
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def timecode_count(text: str, base: int) -> int | None:
    """The frame that `01:00:02:12` or, left out as in broadcasting, `01:00:02;12` is of so many in a second; None for anything
    else."""
    found = _TIMECODE.fullmatch(text.strip())
    if found is None or int(found[5]) >= base:
        return None
    minutes = 60 * int(found[1]) + int(found[2])
    count = (60 * minutes + int(found[3])) * base + int(found[5])
    # SMPTE 12M: two numbers (four at 60) are left out in each minute, except for each tenth. No other rates leave any out.
    return count - (base // 15) * (minutes - minutes // 10) if found[4] == ";" and base % 30 == 0 else count


def counted(codes: tuple[str, str], base: int) -> int:
    """How many frames lie between two timecodes of this base."""
    begin, end = (timecode_count(each, base) or 0 for each in codes)
    return end - begin


def timecode(count: int, base: int) -> str:
    """`01:00:02:12`."""
    seconds, frame = divmod(count, base)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02}:{minute:02}:{second:02}:{frame:02}"


def clock(seconds: float, mark: str = ".") -> str:
    """`01:00:02.500`."""
    thousandths = round(seconds * 1000)
    return f"{thousandths // 3_600_000:02}:{thousandths // 60_000 % 60:02}:{thousandths // 1000 % 60:02}{mark}{thousandths % 1000:03}"


def media_name(address: str) -> str:
    """What a video is called of which a file has a path or an address."""
    address = re.sub(r"^(?:player )?#?\d+:(?=[\\/])", "", address.strip())
    return PureWindowsPath(PurePosixPath(address).name).name


WHO = "who: "


def lines_with(who: str, comment: str) -> list[str]:
    """As lines of a text: whose it is, then the comment."""
    return [*([f"{WHO}{who}"] if who else []), *(line for line in comment.splitlines() if line.strip())]


def who_and_comment(lines: list[str]) -> tuple[str, str]:
    """The same back."""
    who = next((line[len(WHO) :].strip() for line in lines if line.startswith(WHO)), "")
    return who, "\n".join(line for line in lines if not line.startswith(WHO))
