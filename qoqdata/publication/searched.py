"""Which files a search for secrets has found clean, so that a publication that goes on need not
search them again, and what shards became in which something changes, so that it need not make them
again to know.

A receipt is a keyed hash of everything the search depended on: name and digest of the file, the
data set's digest, the secrets, and the code that looks for them. Only whoever has the site's salt
makes one, and of anything else there is none: another byte, rule, key or salt searches again. The
file of them is lines of such hashes, which tell nobody anything. What a shard became stands beside
the hash of what it was made by, and under one of both.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from functools import cache
from pathlib import Path

import pyarrow as pa
from pydantic import TypeAdapter

from qoqdata import records
from qoqdata.atomic import digest, remove_tree
from qoqdata.contract.manifest import Shard
from qoqdata.records.identity import Salt, keyed
from qoqdata.version import VERSION

#: Digits of a keyed hash.
_HASH = 32
_SHARD = TypeAdapter[Shard | None](Shard | None)


class Searched:
    """The receipts of a data set in a `folder` of their own, of which those stay that `bound` is
    about: what every search of its files depends on."""

    def __init__(self, folder: Path, salt: Salt, bound: str) -> None:
        self._salt, self._bound = salt, digest([bound, code_digest(), VERSION, pa.__version__])
        self._path = folder / self._bound
        try:
            self._clean = set(self._path.read_bytes().split(b"\n"))
        except FileNotFoundError:
            self._clean = set[bytes]()
            if folder.exists():
                remove_tree(folder)
            folder.mkdir(parents=True)
        self._made = dict[bytes, list[bytes]]()
        for line in self._clean:
            if len(line) > _HASH and line[_HASH : _HASH + 1] == b" ":
                self._made.setdefault(line[: _HASH + 1], []).append(line[_HASH + 1 :])

    def is_clean(self, name: str, sha256: str) -> bool:
        """Whether a file of that name and content was searched, and nothing was found in it."""
        return self._receipt(name, sha256) in self._clean

    def note_clean(self, name: str, sha256: str) -> None:
        """Leave a receipt. One that a crash cuts off is none."""
        receipt = self._receipt(name, sha256)
        self._clean.add(receipt)
        self._append(receipt)

    def became(self, change: str) -> tuple[Shard | None] | None:
        """What the change of a shard gave that has this digest, None where no record was left; None
        where nobody has noted it."""
        begin = self._change(change) + b" "
        for line in self._made.get(begin, ()):
            seal, _, content = line.partition(b" ")
            if hmac.compare_digest(seal, self._seal(begin, content)):
                return (_SHARD.validate_json(content),)
        return None

    def note_became(self, change: str, after: Shard | None) -> None:
        """Leave a receipt of what a change gave."""
        if (before := self.became(change)) is not None:
            if before[0] == after:
                return
            # It is not made the same twice.
            self.forget()
        begin, content = self._change(change) + b" ", _SHARD.dump_json(after)
        line = self._seal(begin, content) + b" " + content
        self._made[begin] = [line]
        self._append(begin + line)

    def forget(self) -> None:
        """Remove all receipts."""
        self._clean.clear()
        self._made.clear()
        self._path.unlink(missing_ok=True)

    def _append(self, line: bytes) -> None:
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(handle, b"\n" + line)
        finally:
            os.close(handle)

    def _change(self, change: str) -> bytes:
        return keyed("changed", self._bound, change, salt=self._salt).encode()

    def _seal(self, begin: bytes, content: bytes) -> bytes:
        text = (begin + content).decode(errors="replace")
        return keyed("became", self._bound, text, salt=self._salt).encode()

    def _receipt(self, name: str, sha256: str) -> bytes:
        return keyed("searched", self._bound, f"{sha256} {name}", salt=self._salt).encode()


@cache
def code_digest() -> str:
    """sha256 over the modules of publication and of records, which say what is a secret and where
    it is looked for."""
    total = hashlib.sha256()
    for folder in (Path(__file__).parent, Path(records.__file__).parent):
        for path in sorted(folder.glob("*.py")):
            total.update(f"{path.name} {path.stat().st_size} ".encode() + path.read_bytes())
    return total.hexdigest()
