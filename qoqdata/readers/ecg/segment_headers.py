"""What the headers of a record's segments must agree on, and what is said where they do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from qoqdata.errors import UnreadableFile, UnsupportedFormat
from qoqdata.readers.ecg import formats
from qoqdata.readers.ecg.header import SegmentLine, WfdbHeader
from qoqdata.readers.ecg.leads import canonical
from qoqdata.readers.ecg.units import millivolts_per

#: How many numbers of segments a note lists.
_LISTED = 8


class SegmentNotes:
    """Sentences about segments, by what they say."""

    def __init__(self) -> None:
        self._numbers: dict[str, list[int]] = {}

    def add(self, number: int, text: str) -> None:
        self._numbers.setdefault(text, []).append(number)

    def lines(self) -> Iterator[str]:
        """One line a sentence, with the places of its segments in the header's list, from 0."""
        for text, numbers in self._numbers.items():
            numbers = sorted(set(numbers))
            shown = ", ".join(map(str, numbers[:_LISTED]))
            more = f" and {len(numbers) - _LISTED} more" if len(numbers) > _LISTED else ""
            yield f"segment{'s' if len(numbers) > 1 else ''} {shown}{more}: {text}"


def refuse_contradiction(
    segment: SegmentLine, own: WfdbHeader, header: WfdbHeader, where: str
) -> None:
    """Raise for a segment whose header is no segment of this record's."""
    if own.segments:
        raise UnreadableFile(f"segment {segment.name} itself has segments", where=where)
    if own.fs != header.fs:
        raise UnsupportedFormat("segments differ in sampling frequency", where=where)
    if own.length is not None and own.length != segment.length:
        raise UnreadableFile(
            f"segment {segment.name}: {segment.length:,} samples declared, {own.length:,} found",
            where=where,
        )
    if segment.length == 0 and any(line.fmt != formats.NULL for line in own.signals):
        raise UnreadableFile(
            f"segment {segment.name}: no samples declared, and its header names a signal file",
            where=where,
        )


def refuse_units(headers: Mapping[int, WfdbHeader], layout: WfdbHeader | None, where: str) -> None:
    """Raise where the units of one lead cannot be reconciled; each segment may have its own.

    A unit that is not stated is mV by header(5), but not where another header of the lead states
    another voltage. What is a voltage in one segment is nothing else in another.
    """
    lines = [line for own in headers.values() for line in own.signals if line.fmt != formats.NULL]
    if layout is not None:
        # A layout without a unit is silent about it, and has no samples to be in mV.
        lines += [line for line in layout.signals if line.unit]
    factors: dict[str, set[float | None]] = {}
    silent: set[str] = set()
    for line in lines:
        lead = canonical(line.name)
        factors.setdefault(lead, set()).add(millivolts_per(line.unit))
        if lead and not line.unit:
            silent.add(lead)
    for lead, several in factors.items():
        if lead and len(several) > 1 and (None in several or lead in silent):
            raise UnreadableFile(
                f"the headers of segments contradict each other about the unit of lead {lead}",
                where=where,
                fix="correct the unit in the headers",
            )


def note_other_order(
    headers: Mapping[int, WfdbHeader], about: SegmentNotes
) -> tuple[str, ...] | None:
    """Names of a fixed layout's signals in the order of its first segment; notes other orders."""
    if not headers:
        return None
    first = tuple(line.name for line in next(iter(headers.values())).signals)
    for number, own in headers.items():
        names = tuple(line.name for line in own.signals)
        if len(names) != len(first) or any(
            one and one != other for one, other in zip(names, first, strict=True)
        ):
            about.add(number, "lists other leads than the first segment; joined by name")
    return first


def note_off_layout(
    headers: Mapping[int, WfdbHeader], layout: WfdbHeader, about: SegmentNotes
) -> None:
    """Note leads that a variable layout does not list, and those in another unit than it says."""
    units = {canonical(line.name): millivolts_per(line.unit) for line in layout.signals}
    for number, own in headers.items():
        for line in own.signals:
            lead, factor = canonical(line.name), millivolts_per(line.unit)
            if factor is None or line.fmt == formats.NULL:
                continue
            if lead not in units:
                about.add(number, "holds a lead that the layout does not list")
            elif units[lead] != factor:
                about.add(number, "states another unit than the layout; its own taken")
