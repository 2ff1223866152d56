"""Video containers: told by their first bytes, and whether the file is as long as it states.

FFmpeg guesses the format from content and then obeys it: a text playlist named .mp4 would make it
open other files and addresses. So only the formats below reach it. It also decodes what it gets
of a file that was cut short; a container's own sizes show the cut.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, Literal

from qoqdata.errors import UnreadableFile

Kind = Literal["avi", "mp4", "mpeg", "mpegts", "asf", "webm", "gif"]

_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_EBML, _SEGMENT = 0x1A45DFA3, 0x18538067
_MP4_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")


def identify(head: bytes, where: str) -> Kind:
    """The container kind from the first 400 bytes. Raises UnreadableFile for anything else."""
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head[4:8] in _MP4_FIRST_BOXES:
        return "mp4"
    if head[:4] in (b"\0\0\1\xba", b"\0\0\1\xb3"):
        return "mpeg"
    if len(head) > 376 and head[0] == head[188] == head[376] == 0x47:
        return "mpegts"
    if head[:16] == _ASF_HEADER:
        return "asf"
    if head[:4] == _EBML.to_bytes(4, "big"):
        return "webm"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    raise UnreadableFile(
        f"not a video of a known container: it begins with {head[:8]!r}"
        if head
        else "file is empty",
        where=where,
        fix="AVI, MP4, MOV, MPEG, WMV, WebM and GIF are read",
    )


def check_whole(file: BinaryIO, size: int, kind: Kind, where: str) -> None:
    """Raise UnreadableFile when a top-level element reaches beyond the file's `size` in bytes.

    MPEG streams state no total length: there only a cut inside a packet shows, and a bare video
    stream shows nothing. GIF is walked by its own reader.
    """
    walk = _ENDS.get(kind)
    position = 0
    while walk is not None and position < size:
        file.seek(position)
        end = walk(file.read(32), position, size)
        if end > size:
            raise UnreadableFile(
                f"video is truncated: it states {end - size} bytes more than there are",
                where=where,
                fix="fetch the file again",
            )
        if end <= position:
            return
        position = end


def _riff_end(head: bytes, position: int, size: int) -> int:
    """End of a RIFF chunk (AVI, one per GiB); anything else is padding after the last."""
    if head[:4] != b"RIFF" or len(head) < 8:
        return position
    return position + 8 + int.from_bytes(head[4:8], "little")


def _pack_end(head: bytes, position: int, size: int) -> int:
    """End of a pack header or packet of an MPEG program stream (ISO/IEC 11172-1, 13818-1).

    Start codes below B9 belong to a bare video stream, which states no lengths.
    """
    if len(head) < 14 or head[:3] != b"\0\0\1" or head[3] < 0xBA:
        return position
    if head[3] == 0xBA:
        return position + (12 if head[4] >> 4 == 2 else 14 + (head[13] & 7))
    return position + 6 + int.from_bytes(head[4:6], "big")


def _transport_end(head: bytes, position: int, size: int) -> int:
    """End of the last packet of an MPEG transport stream: packets have 188 bytes."""
    return -(-size // 188) * 188


def _box_end(head: bytes, position: int, size: int) -> int:
    """End of an ISO base media box (ISO/IEC 14496-12, 4.2); size 0 means to the end of the file."""
    if len(head) < 8 or not head[4:8].isalnum():
        return position
    length = int.from_bytes(head[:4], "big")
    if length == 1:
        return position + int.from_bytes(head[8:16], "big")
    return size if length == 0 else position + length


def _object_end(head: bytes, position: int, size: int) -> int:
    """End of an ASF object: a 16-byte identifier and a 64-bit length."""
    if len(head) < 24:
        return position
    return position + int.from_bytes(head[16:24], "little")


def _element_end(head: bytes, position: int, size: int) -> int:
    """End of an EBML element (RFC 8794); an unknown size means to the end of the file."""
    if int.from_bytes(head[:4], "big") not in (_EBML, _SEGMENT) or len(head) < 12:
        return position
    width = 9 - head[4].bit_length()
    if width > 8:
        return position
    length = int.from_bytes(head[4 : 4 + width], "big") & ((1 << 7 * width) - 1)
    if length == (1 << 7 * width) - 1:
        return size
    return position + 4 + width + length


_ENDS: dict[Kind, Callable[[bytes, int, int], int]] = {
    "avi": _riff_end,
    "mp4": _box_end,
    "mpeg": _pack_end,
    "mpegts": _transport_end,
    "asf": _object_end,
    "webm": _element_end,
}
