"""Tolerant parser of WFDB header files (`.hea`), after header(5) of the WFDB Applications Guide.

Every departure from the specification that can be read in one way only is mended and noted in
`WfdbHeader.repairs`; every other one is refused. Dates and times are never kept, quoted or
interpreted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from qoqdata.errors import MissingFile, TooLarge, UnreadableFile
from qoqdata.readers.ecg.units import DEFAULT_GAIN
from qoqdata.readers.raw_file import open_raw_file

HEADER_BYTES = 4 * 2**20
MOST_SIGNALS = 4096
MOST_SEGMENTS = 100_000
DEFAULT_FS = 250.0
#: The name of a segment without recording.
GAP = "~"

_REAL = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?"
_INTEGER = re.compile(r"([-+]?[0-9]{1,18})(\.0*)?")
#: What nearly all signal lines end in: five plain numbers, and a name without double blanks.
_TRAILING = re.compile(5 * r"([-+]?[0-9]{1,18}) " + r"(\S+(?: \S+)*)")
_FS = re.compile(rf"({_REAL})(?:/({_REAL})?(?:\({_REAL}\))?)?")
_FORMAT = re.compile(
    r"([0-9]{1,4})(?:x([0-9]{1,9}))?(?::([0-9]{1,12}))?(?:\+([0-9]{1,15}))?", re.ASCII
)
_GAIN = re.compile(rf"({_REAL})?(?:\(({_REAL})\))?(?:/(\S*))?")
_JOINED = re.compile(r"\.(?:dat|mat)\s|/[mun]?V\s", re.IGNORECASE)
_CLOCK = re.compile(r"[0-9]{0,2}(?::[0-9]{0,2}){0,2}(?:\.[0-9]*)?")
_DATE = re.compile(r"(?:0?[0-9]|[12][0-9]|3[01])/(?:0?[0-9]|1[0-2])/(?:[0-9]{4}|0)")


@dataclass(frozen=True)
class SignalLine:
    """One signal specification line; `first` and `checksum` are None when not stated."""

    file: str
    fmt: str
    samples_per_frame: int = 1
    skew: int = 0
    byte_offset: int = 0
    gain: float = DEFAULT_GAIN
    baseline: float = 0.0
    unit: str = ""
    adc_resolution: int = 0
    adc_zero: int = 0
    first: int | None = None
    checksum: int | None = None
    name: str = ""


@dataclass(frozen=True)
class SegmentLine:
    """One segment specification line: record name ("~" for a gap) and length in frames."""

    name: str
    length: int


@dataclass(frozen=True)
class WfdbHeader:
    """A parsed header. `fs` in frames per second; `length` in frames, None when not stated."""

    record: str
    fs: float
    length: int | None
    signals: tuple[SignalLine, ...]
    segments: tuple[SegmentLine, ...]
    comments: tuple[str, ...]
    repairs: tuple[str, ...]


def read_wfdb_header(path: Path) -> WfdbHeader:
    """Parse the header file at `path`.

    Raises MissingFile, TooLarge (above 4 MiB) or UnreadableFile (not text, or not a header).
    """
    where = str(path)
    if path.exists() and not path.is_file():  # opening a pipe would wait for ever
        raise UnreadableFile("is not a regular file", where=where)
    try:
        with open_raw_file(path) as file:
            data = file.read(HEADER_BYTES + 1)
    except FileNotFoundError as error:
        raise MissingFile("no such header", where=where) from error
    except OSError as error:
        raise UnreadableFile(f"cannot be opened ({error.strerror})", where=where) from error
    if len(data) > HEADER_BYTES:
        raise TooLarge(f"the header is larger than {HEADER_BYTES:,} bytes", where=where)
    text, repairs = _decode(data, where)
    return parse_wfdb_header(text, where=where, repairs=repairs)


def _decode(data: bytes, where: str) -> tuple[str, list[str]]:
    if any(byte < 32 and byte not in (9, 10, 11, 12, 13, 26) for byte in set(data)):
        raise UnreadableFile("holds binary data, not a WFDB header", where=where)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1"), ["the header is not UTF-8; read as Latin-1"]
    if text.startswith("\ufeff"):
        return text[1:], ["byte order mark before the header skipped"]
    return text, []


def parse_wfdb_header(text: str, *, where: str, repairs: list[str] | None = None) -> WfdbHeader:
    """Parse header text; `repairs` made earlier come first.

    Raises UnreadableFile, and TooLarge above 4096 signals or 100,000 segments.
    """
    notes = list(repairs or ())
    lines = [line.strip("\x1a").strip() for line in re.split(r"\r\n|\n|\r", text)]
    comments = tuple(line.lstrip("#").strip() for line in lines if line.startswith("#"))
    body = [line for line in lines if line and not line.startswith("#")]
    if not body:
        raise UnreadableFile("the header has no record line", where=where)
    record, segments, count, fs, length = _record_line(body[0], notes, where)
    entries = body[1:]
    n_entries, kind = (count, "signal") if segments is None else (segments, "segment")
    if n_entries > (MOST_SIGNALS if segments is None else MOST_SEGMENTS):
        raise TooLarge(f"declares {n_entries:,} {kind}s", where=where)
    if len(entries) < n_entries:
        raise UnreadableFile(
            f"declares {n_entries} {kind}s and lists {len(entries)}",
            where=where,
            fix="restore the header from its source",
        )
    if len(entries) > n_entries:
        notes.append(
            f"{len(entries) - n_entries} {kind} lines beyond the declared {n_entries} "
            "ignored (header(5))"
        )
    entries = entries[:n_entries]
    signals_of: dict[str, list[str]] = {}
    signals, parts = [], []
    for index, line in enumerate(entries):
        if segments is not None:
            parts.append(_segment_line(line, where))
            continue
        signal, flaws = _signal_line(line, f"{where}, signal {index}")
        signals.append(signal)
        for flaw in flaws:
            signals_of.setdefault(flaw, []).append(str(index))
    notes += [f"signal {', '.join(indices)}: {flaw}" for flaw, indices in signals_of.items()]
    return WfdbHeader(
        record, fs, length, tuple(signals), tuple(parts), comments=comments, repairs=tuple(notes)
    )


def _record_line(
    line: str, notes: list[str], where: str
) -> tuple[str, int | None, int, float, int | None]:
    if _JOINED.search(" ".join(line.split()[1:]) + " "):
        raise UnreadableFile(
            "the record line and the first signal line have run together",
            where=where,
            fix="restore the header from its source",
        )
    fields = line.split()
    name, segments = fields[0], None
    if match := re.fullmatch(r"(.+)/([0-9]{1,9})", name):
        name, segments = match.group(1), int(match.group(2))
    if "/" in name or "\\" in name:
        name = re.split(r"[/\\]", name)[-1]
        notes.append("the record name carries a folder; folder ignored")
    if re.search(r"\.(?:hea|dat|mat)$", name, re.IGNORECASE):
        name = name[:-4]
        notes.append("the record name carries a file suffix; suffix ignored")
    if not re.fullmatch(r"[\w.+-]+", name) or len(fields) < 2 or segments == 0:
        raise UnreadableFile("the first line is not a WFDB record line", where=where)
    count = _integer(fields[1], "the number of signals", notes, where)
    if count < 0:
        raise UnreadableFile(f"declares {count} signals", where=where)
    fs, length = DEFAULT_FS, None
    if len(fields) > 2:
        match = _FS.fullmatch(fields[2])
        fs = float(match.group(1)) if match else 0.0
        if not 0 < fs < float("inf"):
            raise UnreadableFile("the sampling frequency is not a positive number", where=where)
    else:
        notes.append("no sampling frequency; the WFDB default of 250 Hz assumed")
    rest = fields[3:]
    if rest and ":" not in rest[0]:
        length = _integer(rest.pop(0), "the number of samples", notes, where)
        if length < 0:
            raise UnreadableFile(f"declares {length} samples", where=where)
    if not _regular_clock(rest):
        notes.append("base time or date not in the form of header(5); ignored")
    return name, segments, count, fs, length or None


def _regular_clock(fields: list[str]) -> bool:
    if not fields:
        return True
    has_date = len(fields) == 1 or (len(fields) == 2 and _DATE.fullmatch(fields[1]) is not None)
    return has_date and _CLOCK.fullmatch(fields[0]) is not None


def _integer(text: str, what: str, notes: list[str], where: str) -> int:
    match = _INTEGER.fullmatch(text)
    if match is None:
        raise UnreadableFile(f"{what} is not an integer", where=where)
    if match.group(2):
        notes.append(f"{what} is written with a decimal point; read as an integer")
    return int(match.group(1))


def _segment_line(line: str, where: str) -> SegmentLine:
    fields = line.split()
    if len(fields) < 2 or not re.fullmatch(r"[0-9]{1,15}", fields[1]):
        raise UnreadableFile("a segment line is not NAME LENGTH", where=where)
    return SegmentLine(fields[0], int(fields[1]))


def _signal_line(line: str, where: str) -> tuple[SignalLine, list[str]]:
    flaws: list[str] = []
    head = line.split(maxsplit=3)
    match = _FORMAT.fullmatch(head[1]) if len(head) > 1 else None
    if match is None:
        raise UnreadableFile("no storage format after the file name", where=where)
    fmt, per_frame, skew, offset = match.groups()
    if per_frame is not None and int(per_frame) == 0:
        raise UnreadableFile("zero samples per frame", where=where)
    calibration = _GAIN.fullmatch(head[2] if len(head) > 2 else "")
    if calibration is None:
        raise UnreadableFile("gain, baseline and unit are not GAIN(BASELINE)/UNIT", where=where)
    gain = float(calibration.group(1) or 0)
    unit = calibration.group(3) or ""
    if gain == 0:
        gain = DEFAULT_GAIN
        flaws.append(f"no gain; the WFDB default of {DEFAULT_GAIN:g} adu per unit assumed")
    if not unit:
        flaws.append("no unit; the WFDB default mV assumed")
    numbers, name = _trailing(head[3] if len(head) > 3 else "", flaws)
    resolution, zero, first, checksum, _ = numbers
    baseline = float(calibration.group(2) or zero or 0)
    if not (isfinite(gain) and isfinite(baseline)):
        raise UnreadableFile("gain or baseline is not a finite number", where=where)
    signal = SignalLine(
        file=head[0],
        fmt=str(int(fmt)),
        samples_per_frame=int(per_frame or 1),
        skew=int(skew or 0),
        byte_offset=int(offset or 0),
        gain=gain,
        baseline=baseline,
        unit=unit,
        adc_resolution=resolution or 0,
        adc_zero=zero or 0,
        first=first,
        checksum=checksum,
        name=name,
    )
    return signal, flaws


def _trailing(text: str, flaws: list[str]) -> tuple[list[int | None], str]:
    """Resolution, zero, initial value, checksum and block size, then the free description."""
    if (plain := _TRAILING.fullmatch(text)) is not None:
        *fields, name = plain.groups()
        return [int(field) for field in fields], name
    numbers: list[int | None] = []
    text = " ".join(text.split())
    while text and len(numbers) < 5:
        field, _, after = text.partition(" ")
        match = _INTEGER.fullmatch(field)
        if match is None and field.lower() != "nan":
            flaws.append(f"the name follows {len(numbers)} of 5 number fields")
            break
        if match is None:
            flaws.append("a number field holds NaN; taken as not stated")
        numbers.append(int(match.group(1)) if match else None)
        text = after
    return numbers + [None] * (5 - len(numbers)), text
