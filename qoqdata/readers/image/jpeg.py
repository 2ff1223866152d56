"""JPEG (ITU-T T.81): the marker segments of a file, whether it is whole, and its samples."""

from __future__ import annotations

import re
import struct
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from qoqdata.errors import InputError, UnreadableFile, UnsupportedFormat
from qoqdata.readers.image import exif, opencv
from qoqdata.readers.image.stored_values import StoredValues
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits

MAGIC = b"\xff\xd8\xff"
SOI, EOI, SOS, APP0, APP1, APP2, APP14, COM = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xE2, 0xEE, 0xFE
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL = frozenset({0xC0, 0xC1, 0xC9})
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_TABLES = frozenset({0xC4, 0xCC, 0xDB, 0xDC, 0xDD})  # DHT DAC DQT DNL DRI
_ADOBE, _JFIF = b"Adobe", b"JFIF\0"
# In entropy-coded data FF is followed by a stuffed 00, a restart marker D0 to D7, or a fill FF.
_MARKER_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_LEFT_OVER = re.compile(r"Corrupt JPEG data: (\d+) extraneous bytes before marker 0xd9")


class JpegSegment(NamedTuple):
    """One marker segment. `payload` follows the length field; `scan` is what follows a SOS."""

    marker: int
    payload: bytes
    scan: bytes = b""


class JpegFrame(NamedTuple):
    """The frame header (SOFn): process number n, bits per sample, size and component count."""

    process: int
    bits: int
    rows: int
    columns: int
    components: tuple[int, ...]


@dataclass(frozen=True)
class JpegLayout:
    """Segments between SOI and EOI, and bytes that belong to none: between them or after EOI.

    What several readers ask of a file is found once.
    """

    segments: tuple[JpegSegment, ...]
    stray: int
    trailing: int

    @cached_property
    def kept(self) -> tuple[bytes | None, ...]:
        """Of each segment what `kept_payload` gives."""
        return tuple(map(kept_payload, self.segments))

    @cached_property
    def bare(self) -> bytes:
        """The file with only what decoding needs, in its order; scans are copied as they are.

        The spectral fields of sequential scans, which mean nothing and which some cameras fill
        wrongly, get the values that T.81 prescribes: libjpeg warns once per file, and of the first
        oddity only.
        """
        sequential = any(segment.marker in _SEQUENTIAL for segment in self.segments)
        out = [b"\xff\xd8"]
        for segment, payload in zip(self.segments, self.kept, strict=True):
            if payload is not None:
                if segment.marker == SOS and sequential:
                    payload = payload[:-3] + b"\x00\x3f\x00"
                head = struct.pack(">BBH", 0xFF, segment.marker, len(payload) + 2)
                out += [head, payload, segment.scan]
        return b"".join([*out, b"\xff\xd9"])

    @cached_property
    def frame(self) -> JpegFrame:
        """As the function `frame`."""
        headers = [segment for segment in self.segments if segment.marker in _FRAMES]
        if len(headers) != 1:
            raise UnreadableFile(f"JPEG holds {len(headers)} frame headers, expected 1")
        payload = headers[0].payload
        if len(payload) < 6 or len(payload) != 6 + 3 * payload[5]:
            raise UnreadableFile("JPEG frame header has an impossible length")
        bits, rows, columns, _ = struct.unpack_from(">BHHB", payload)
        if rows == 0:
            raise UnsupportedFormat("JPEG leaves its height to a DNL marker")
        process = headers[0].marker - 0xC0
        return JpegFrame(process, bits, rows, columns, tuple(payload[6::3]))

    @cached_property
    def lacks(self) -> str | None:
        """What is wrong with its scans, None where they carry every coefficient of every component
        in full.

        A progressive file that lost its last scans still decodes, to a blurred image (T.81 G.1).
        """
        scans = [segment.payload for segment in self.segments if segment.marker == SOS]
        if any(not payload or len(payload) != 4 + 2 * payload[0] for payload in scans):
            return "JPEG scan header has an impossible length"
        if 0xC0 + self.frame.process in _PROGRESSIVE:
            whole = _refined(scans)
        else:
            whole = {component for payload in scans for component in payload[1:-3:2]}
        is_whole = whole.issuperset(self.frame.components)
        return None if is_whole else "JPEG is incomplete: some of its scans are missing"

    @cached_property
    def orientation(self) -> tuple[int, tuple[str, ...]]:
        """Exif orientation 1 to 8 of the first Exif segment (1 without one), and any repair."""
        for segment in self.segments:
            if segment.marker == APP1 and segment.payload.startswith(b"Exif\0"):
                return exif.orientation(segment.payload[6:])
        return 1, ()


def layout(data: bytes, where: str | None = None) -> JpegLayout:
    """Walk the marker segments from SOI to EOI.

    Raises UnreadableFile when the file ends before EOI (it was cut short) or has an impossible
    length.
    """
    segments: list[JpegSegment] = []
    position, stray, size = 2, 0, len(data)
    while True:
        start = data.find(b"\xff", position)
        if start < 0 or start + 2 > size:
            raise _cut(where)
        stray += start - position
        marker = data[start + 1]
        position = start + 2
        if marker == 0xFF:
            position = start + 1
        elif marker == EOI:
            return JpegLayout(tuple(segments), stray, size - position)
        elif marker == 0x00 or marker == SOI or 0xD0 <= marker <= 0xD7 or marker == 0x01:
            stray += 2
        else:
            if position + 2 > size:
                raise _cut(where)
            length = data[position] << 8 | data[position + 1]
            end = position + length
            if length < 2:
                raise UnreadableFile(f"JPEG segment FF{marker:02X} has no length", where=where)
            if end > size:
                raise _cut(where)
            payload = data[position + 2 : end]
            position = end
            scan = b""
            if marker == SOS:
                following = _MARKER_AFTER_SCAN.search(data, end)
                if following is None:
                    raise _cut(where)
                position = following.start()
                scan = data[end:position]
            segments.append(JpegSegment(marker, payload, scan))


def _cut(where: str | None) -> UnreadableFile:
    return UnreadableFile(
        "JPEG is truncated: it ends before its end-of-image marker",
        where=where,
        fix="fetch the file again",
    )


def size(data: bytes) -> tuple[int, int] | None:
    """(columns, rows) as the frame header states them; None where the file ends before it."""
    position = 2
    while position + 9 <= len(data):
        marker = data[position + 1]
        if data[position] != 0xFF or marker in (SOS, EOI):
            return None
        if marker in _FRAMES:
            rows, columns = struct.unpack_from(">HH", data, position + 5)
            return columns, rows
        position += 1 if marker == 0xFF else 2 + (data[position + 2] << 8 | data[position + 3])
    return None


def frame(structure: JpegLayout, where: str | None = None) -> JpegFrame:
    """The frame header. Raises UnreadableFile unless there is one, UnsupportedFormat for DNL."""
    try:
        return structure.frame
    except InputError as error:
        error.where = error.where or where
        raise


def check_scans(structure: JpegLayout, where: str | None = None) -> None:
    """Raise UnreadableFile for scans that lack something, see `JpegLayout.lacks`."""
    if structure.lacks is not None:
        raise UnreadableFile(structure.lacks, where=where, fix="fetch the file again")


def _refined(scans: list[bytes]) -> set[int]:
    """The components of which progressive scans carry every bit of every coefficient."""
    missing_bits: dict[int, list[int]] = defaultdict(lambda: [99] * 64)
    for payload in scans:
        first, last, approximation = payload[-3:]
        for component in payload[1:-3:2]:
            missing_bits[component][first : last + 1] = [approximation & 15] * (last - first + 1)
    return {component for component, bits in missing_bits.items() if not any(bits[:64])}


def kept_payload(segment: JpegSegment) -> bytes | None:
    """The part of a payload that decoding needs, or None when it needs none of the segment.

    Kept are tables, frame and scan headers, and, cut to their fixed fields, the JFIF segment
    (as version 1.01, without its thumbnail) and the Adobe segment, which say how colour is coded.
    """
    marker, payload = segment.marker, segment.payload
    if marker in _TABLES or marker in _FRAMES or marker == SOS:
        return payload
    if marker == APP0 and payload.startswith(_JFIF) and len(payload) >= 14:
        return payload[:5] + b"\1\1" + payload[7:12] + b"\0\0"
    if marker == APP14 and payload.startswith(_ADOBE) and len(payload) >= 12:
        return payload[:12]
    return None


def decode_jpeg(data: bytes, *, where: str, limits: Limits = DEFAULT_LIMITS) -> StoredValues:
    """Samples of an 8-bit grey or three-component JPEG; (rows, columns) or (rows, columns, 3) RGB.

    Raises UnreadableFile when the file is cut, lacks scans, or the decoder reports damage (it would
    fill the rest with grey); UnsupportedFormat for 12-bit samples and for four components, because
    CMYK cannot be shown without guessing the press it was made for; TooLarge.
    """
    return decode_layout(layout(data, where), where=where, limits=limits)


def decode_layout(
    structure: JpegLayout, *, where: str, limits: Limits = DEFAULT_LIMITS
) -> StoredValues:
    """As `decode_jpeg`, for a file whose segments are known."""
    header = frame(structure, where)
    limits.check_shape("image_pixels", (header.rows, header.columns), where=where)
    if header.bits != 8:
        raise UnsupportedFormat(f"JPEG with {header.bits} bits per sample", where=where)
    if len(header.components) not in (1, 3):
        raise UnsupportedFormat(
            f"JPEG with {len(header.components)} colour components (CMYK or the like)",
            where=where,
            fix="convert it to RGB with its colour profile first",
        )
    check_scans(structure, where)
    values, log = opencv.decoded(structure.bare)
    shape = (header.rows, header.columns) + (3,) * (len(header.components) == 3)
    if values is None or values.shape != shape:
        reason = f": {log[0]}" if log else ""
        raise UnreadableFile(f"JPEG cannot be decoded{reason}", where=where)
    turn, repairs = structure.orientation
    repairs += _left_over(log, structure, where) + _ignored(structure)
    return StoredValues(
        values,
        bits=8,
        format="JPEG",
        lossy=True,
        orientation=turn,
        repairs=repairs,
    )


def _left_over(log: list[str], structure: JpegLayout, where: str) -> tuple[str, ...]:
    """Accept padding (one repeated byte) after the last coded block; refuse all other reports."""
    if not log:
        return ()
    padding = _LEFT_OVER.fullmatch(log[0])
    if padding and len(log) == 1:
        last = [segment for segment in structure.segments if segment.marker == SOS][-1]
        count = int(padding[1])
        if len(set(last.scan[-count:])) == 1:
            return ("padding before the end-of-image marker ignored",)
    raise UnreadableFile(f"JPEG is damaged: {log[0]}", where=where, fix="fetch the file again")


def _ignored(structure: JpegLayout) -> tuple[str, ...]:
    repairs = []
    if any(s.marker == APP2 and s.payload.startswith(b"ICC_PROFILE") for s in structure.segments):
        repairs.append("colour profile (ICC) not applied")
    if structure.stray:
        repairs.append(f"{structure.stray} bytes between segments ignored")
    if structure.trailing:
        repairs.append(f"{structure.trailing} bytes after the end of the image ignored")
    return tuple(repairs)
