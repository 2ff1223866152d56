"""What one compressed frame declares, ahead of decoding: JPEG, JPEG-LS, JPEG 2000 and RLE.

Read before any decoder runs, because decoders allocate what the codestream declares, not what the
DICOM header does.
"""

from __future__ import annotations

from dataclasses import dataclass

from qoqdata.errors import UnreadableFile

_SOI, _END = b"\xff\xd8", b"\xff\xd9"
_SOC_SIZ = b"\xff\x4f\xff\x51"
_JP2_SIGNATURE = b"\x00\x00\x00\x0cjP  "
# Start of frame: C0 to CF without DHT, JPG and DAC, and F7 for JPEG-LS.
_START_OF_FRAME = (set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}) | {0xF7}
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD8)}
# Encoders pad frames to an even length, some to a block: the end marker lies near the end.
_TAIL = 64


# Component identifiers that stand for red, green and blue by custom.
_RGB_NAMES = (b"RGB", b"rgb")


@dataclass(frozen=True)
class Codestream:
    """Declared rows, columns, components (`samples`) and bits per component (`precision`).

    `signed` is the sign of a JPEG 2000 component; the others declare none (None). `colour` is what
    a JPEG stream proves about its three components, RGB or YBR_FULL, None when nothing does.
    `transformed` tells of a JPEG 2000 stream whose decoder turns YCC into RGB.
    """

    rows: int
    columns: int
    samples: int
    precision: int
    signed: bool | None = None
    colour: str | None = None
    transformed: bool | None = None


def declared(head: bytes) -> Codestream | None:
    """The layout that the first bytes of a frame declare; None when they do not tell."""
    try:
        return _jpeg(head) if head[:2] == _SOI else _jpeg_2000(head)
    except (IndexError, UnreadableFile):
        return None


def inspect(frame: bytes) -> Codestream:
    """The declared layout of one JPEG, JPEG-LS or JPEG 2000 frame.

    ISO/IEC 10918-1 B.2.2 (frame header), 14495-1 C.2.2 and 15444-1 A.5.1 (SIZ). Raises
    UnreadableFile when the bytes are none of these, or end before the end marker.
    """
    try:
        layout = _jpeg(frame) if frame[:2] == _SOI else _jpeg_2000(frame)
    except IndexError as error:
        raise UnreadableFile("a compressed frame ends inside its header") from error
    if _END not in frame[-_TAIL:]:
        raise UnreadableFile("a compressed frame has no end marker, it is truncated")
    return layout


def check_rle(frame: bytes, pixels: int) -> None:
    """Raise UnreadableFile unless each segment of an RLE frame unpacks to `pixels` bytes.

    PS3.5 G.3: runs may not cross the end; after the last run only zeros may follow, as padding.
    """
    count = int.from_bytes(frame[:4], "little")
    starts = [int.from_bytes(frame[4 + 4 * k : 8 + 4 * k], "little") for k in range(min(count, 15))]
    for start, end in zip(starts, [*starts[1:], len(frame)], strict=True):
        at, length = start, 0
        while length < pixels and at < end:
            code = frame[at]
            if code < 128:
                length, at = length + code + 1, at + code + 2
            elif code > 128:
                length, at = length + 257 - code, at + 2
            else:
                at += 1
        if length != pixels or at > end or any(frame[at:end]):
            raise UnreadableFile("an RLE segment does not unpack to the size of the image")


def without_application_data(frame: bytes) -> bytes:
    """A JPEG frame without its APPn segments, by which decoders convert colour on their own.

    The frame as it is when its header is damaged; its decoder says so.
    """
    out, at = [frame[:2]], 2
    while at + 4 <= len(frame) and frame[at] == 0xFF:
        marker, end = frame[at + 1], at + 2 + _u16(frame, at + 2)
        if marker in _START_OF_FRAME or marker == 0xDA:
            return b"".join([*out, frame[at:]])
        if marker == 0xFF or marker in _WITHOUT_LENGTH or end < at + 4:
            break
        if not 0xE0 <= marker <= 0xEF:
            out.append(frame[at:end])
        at = end
    return frame


def _jpeg(frame: bytes) -> Codestream:
    at = 2
    applications: list[tuple[int, bytes]] = []
    while True:
        if frame[at] != 0xFF:
            raise UnreadableFile("a compressed frame has a damaged JPEG header")
        marker = frame[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in _WITHOUT_LENGTH:
            at += 2
        elif marker in _START_OF_FRAME:
            rows, columns, samples = _u16(frame, at + 5), _u16(frame, at + 7), frame[at + 9]
            components = frame[at + 10 : at + 10 + 3 * samples]
            if len(components) < 3 * samples:
                raise IndexError
            colour = _jpeg_colour(components, applications) if samples == 3 else None
            return Codestream(rows, columns, samples, precision=frame[at + 4], colour=colour)
        elif marker in (0xD8, 0xD9, 0xDA):
            raise UnreadableFile("a compressed frame has no JPEG frame header")
        else:
            length = max(2, _u16(frame, at + 2))
            if 0xE0 <= marker <= 0xEF:
                applications.append((marker, frame[at + 4 : at + 2 + length]))
            at += 2 + length


def _jpeg_colour(components: bytes, applications: list[tuple[int, bytes]]) -> str | None:
    """What markers say of three components, the most explicit first.

    The transform of an Adobe segment (T.872 6.5.3), components named RGB, chroma sampled less than
    luma (RGB never is), a JFIF segment (T.871 7: always YCbCr).
    """
    for marker, payload in applications:
        if marker == 0xEE and payload.startswith(b"Adobe") and len(payload) >= 12:
            return "YBR_FULL" if payload[11] == 1 else "RGB"
    if components[::3] in _RGB_NAMES:
        return "RGB"
    jfif = any(payload.startswith(b"JFIF\0") for _, payload in applications)
    return "YBR_FULL" if jfif or len(set(components[1::3])) > 1 else None


def _jpeg_2000(frame: bytes) -> Codestream:
    at = _codestream_box(frame) if frame.startswith(_JP2_SIGNATURE) else 0
    if frame[at : at + 4] != _SOC_SIZ:
        raise UnreadableFile("a compressed frame is neither JPEG, JPEG-LS nor JPEG 2000")
    siz = at + 4
    right, bottom, left, top = (_u32(frame, siz + 4 + 4 * k) for k in range(4))
    return Codestream(
        rows=bottom - top,
        columns=right - left,
        samples=_u16(frame, siz + 36),
        precision=(frame[siz + 38] & 0x7F) + 1,
        signed=frame[siz + 38] > 0x7F,
        transformed=_component_transform(frame, siz + _u16(frame, siz)),
    )


def _component_transform(frame: bytes, at: int) -> bool:
    """Whether the default coding style (COD, 15444-1 A.6.1) transforms the first components."""
    while at + 8 < len(frame) and frame[at] == 0xFF and frame[at + 1] != 0x90:
        if frame[at + 1] == 0x52:
            return frame[at + 8] == 1
        at += 2 + _u16(frame, at + 2)
    return False


def _codestream_box(frame: bytes) -> int:
    """Offset of the codestream inside a JP2 file (15444-1 I.4)."""
    at = 0
    while at + 8 <= len(frame):
        length, kind = _u32(frame, at), frame[at + 4 : at + 8]
        if kind == b"jp2c":
            return at + (16 if length == 1 else 8)
        at += max(8, length)
    raise UnreadableFile("a compressed frame is a JP2 file without a codestream")


def _u16(data: bytes, at: int) -> int:
    return data[at] << 8 | data[at + 1]


def _u32(data: bytes, at: int) -> int:
    return _u16(data, at) << 16 | _u16(data, at + 2)
