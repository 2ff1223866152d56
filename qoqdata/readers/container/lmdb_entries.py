"""Entries of LMDB environments by key, as text in UTF-8."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path
from typing import Any

from qoqdata.errors import DuplicateKey, MissingKey, UnreadableFile, UsageError
from qoqdata.readers.container.address import LMDB_FILE, member_text
from qoqdata.readers.limits import Limits

# Page header, magic and version, page size of the free list, last page, transaction (lmdb.h).
_META = struct.Struct("<16xII16xI92xQQ")
_MAGIC = 0xBEEFC0DE


def index_lmdb(path: Path) -> LmdbEntries:
    """The environment at `path`: its folder, or the file itself.

    Raises UnreadableFile for a damaged one, UsageError without lmdb.
    """
    try:
        import lmdb  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "reading LMDB needs lmdb", where=str(path), fix="pip install 'qoqdata[lmdb]'"
        ) from error
    _check_length(path / LMDB_FILE if path.is_dir() else path)
    keys: dict[str, bytes | None] = {}
    with _reading(path, str(path)) as transaction, transaction.cursor() as cursor:
        for key in cursor.iternext(keys=True, values=False):
            try:
                text = member_text(key.decode())
            except UnicodeDecodeError as error:
                what = f"the key {key[:40]!r} is no text in UTF-8"
                raise UnreadableFile(what, where=str(path), fix="write it under a text") from error
            keys[text] = None if text in keys else key
    return LmdbEntries(path, keys)


@dataclass(frozen=True)
class LmdbEntries:
    """`keys`: each key as `member_text` has it; None for several that are one there."""

    path: Path
    keys: dict[str, bytes | None]

    @property
    def weight(self) -> int:
        return len(self.keys)

    def names(self, pattern: str) -> list[str]:
        shape = re.compile(translate(pattern.replace("[", "[[]")))
        return sorted(key for key in self.keys if shape.match(key))

    def check(self, member: str) -> None:
        self._key(member)

    def size(self, member: str) -> int | None:
        with self._value(member) as value:
            return len(value)

    def read(self, member: str, limits: Limits) -> bytes:
        with self._value(member) as value:
            limits.check("inflated_bytes", len(value), where=f"{self.path}#{member}")
            return value

    @contextmanager
    def _value(self, member: str) -> Iterator[bytes]:
        key = self._key(member)
        with _reading(self.path, f"{self.path}#{member}") as transaction:
            yield transaction.get(key)

    def _key(self, member: str) -> bytes:
        where = f"{self.path}#{member}"
        text = member_text(member)
        key = self.keys.get(text)
        if key is None:
            if text in self.keys:
                raise DuplicateKey("several keys differ in doubled slashes only", where=where)
            raise MissingKey("the environment has no such key", where=where)
        return key


@contextmanager
def _reading(path: Path, where: str) -> Iterator[Any]:
    import lmdb

    try:
        with (
            lmdb.open(
                str(path), subdir=path.is_dir(), readonly=True, lock=False, create=False
            ) as environment,
            environment.begin(buffers=False) as transaction,
        ):
            yield transaction
    except lmdb.Error as error:
        what = f"is no sound LMDB environment: {error}"
        raise UnreadableFile(what, where=where, fix="fetch it again") from error


def _check_length(path: Path) -> None:
    """Raise UnreadableFile for a file without all its pages, which would kill the process."""
    where, fix = str(path), "fetch it again"
    try:
        with path.open("rb") as file:
            _, _, page, *_ = first = _META.unpack(file.read(_META.size))
            file.seek(page)
            metas = [first, _META.unpack(file.read(_META.size))]
            length = file.seek(0, 2)
    except (OSError, struct.error) as error:
        raise UnreadableFile("is no sound LMDB environment", where=where, fix=fix) from error
    last = max(metas, key=lambda meta: meta[4])[3]
    if any(meta[0] != _MAGIC for meta in metas) or length < (last + 1) * page:
        what = "is no LMDB environment, or cut short"
        raise UnreadableFile(what, where=where, fix=fix)
