"""Zip archives (APPNOTE 6.3): an index from the central directory, then one member at a time.

A member is inflated no further than the size it declares, and its checksum must agree.
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from qoqdata.errors import UnreadableFile, UnsupportedFormat
from qoqdata.readers.container.contents import Archive, Entry, archive_entries
from qoqdata.readers.container.elsewhere import open_archive, raise_unreachable
from qoqdata.readers.limits import Limits

_LOCAL_HEADER = struct.Struct("<4s22xHH")
_STORED, _DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
# No DEFLATE stream grows more: 258 bytes from two bits (RFC 1951, 3.2.5).
_LARGEST_INFLATION = 1032
#: Bytes that the name of a member and what stands beside it seldom take.
_NAMES = 1024
_ENCRYPTED = 0x1
_UNIX = 3


def index_zip(path: Path) -> Archive:
    """The archive at `path`. Raises UnreadableFile for one that is damaged or cut short."""
    try:
        with open_archive(path, ahead=True) as file, zipfile.ZipFile(file) as archive:
            entries = archive_entries(_entries(archive))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise_unreachable(path, error)
        what = f"is no sound zip archive: {error}"
        raise UnreadableFile(what, where=str(path), fix="fetch it again") from error
    return Archive(path, entries, partial(_content, path))


def _entries(archive: zipfile.ZipFile) -> Iterator[tuple[str, Entry]]:
    for info in archive.infolist():
        entry = Entry(
            info.header_offset,
            info.file_size,
            info.compress_size,
            info.compress_type,
            info.CRC,
            _fault(info),
        )
        yield info.orig_filename, entry


def _fault(info: zipfile.ZipInfo) -> str | None:
    if info.orig_filename.endswith("/"):
        return "folder"
    if info.create_system == _UNIX and stat.S_ISLNK(info.external_attr >> 16):
        return "link"
    return "encrypted" if info.flag_bits & _ENCRYPTED else None


def _content(path: Path, entry: Entry, where: str, limits: Limits) -> bytes:
    if entry.method not in (_STORED, _DEFLATED):
        name = zipfile.compressor_names.get(entry.method, str(entry.method))  # type: ignore[attr-defined]
        what = f"is packed by the method {name}; only deflate and plain storage are read"
        raise UnsupportedFormat(what, where=where, fix="unpack the archive")
    factor = 1 if entry.method == _STORED else _LARGEST_INFLATION
    if entry.size > entry.packed * factor:
        raise UnreadableFile(
            f"{entry.packed:,} packed bytes cannot hold the declared {entry.size:,}", where=where
        )
    try:
        data = _packed(path, entry, where)
        if entry.method == _DEFLATED:
            inflater = zlib.decompressobj(-zlib.MAX_WBITS)
            # One byte more than declared tells a stream that goes on.
            data = inflater.decompress(data, entry.size + 1)
    except zlib.error as error:
        raise UnreadableFile(f"damaged in the archive: {error}", where=where) from error
    except OSError as error:
        raise UnreadableFile(f"cannot be read: {error.strerror}", where=where) from error
    if len(data) != entry.size:
        more = "more than" if len(data) > entry.size else f"{len(data):,} of"
        what = f"the archive holds {more} the declared {entry.size:,} bytes"
        raise UnreadableFile(what, where=where, fix="fetch the archive again")
    if zlib.crc32(data) != entry.crc:
        what = "the checksum in the archive does not agree"
        raise UnreadableFile(what, where=where, fix="fetch the archive again")
    return data


def _packed(path: Path, entry: Entry, where: str) -> bytes:
    with open_archive(path) as file:
        file.seek(entry.offset)
        # Header and content at once: elsewhere, each read is a request.
        begun = file.read(_LOCAL_HEADER.size + _NAMES + entry.packed)
        if len(begun) < _LOCAL_HEADER.size or not begun.startswith(b"PK\3\4"):
            raise UnreadableFile("its header in the archive is damaged", where=where)
        _, name, extra = _LOCAL_HEADER.unpack_from(begun)
        start = _LOCAL_HEADER.size + name + extra
        if name + extra > _NAMES:
            file.seek(entry.offset + start)
            return file.read(entry.packed)
        return begun[start : start + entry.packed]
