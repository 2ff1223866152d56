"""Which files a search for secrets has found clean, so that a publication that goes on need not
search them again.

A receipt is a keyed hash of everything the search depended on: name and digest of the file, the
data set's digest, the secrets, and the code that looks for them. Only whoever has the site's salt
makes one, and of anything else there is none: another byte, rule, key or salt searches again. The
file of them is lines of such hashes, which tell nobody anything.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path

import pyarrow as pa

from qoqdata import records
from qoqdata.atomic import digest, remove_tree
from qoqdata.records.identity import Salt, keyed
from qoqdata.version import VERSION


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

    def is_clean(self, name: str, sha256: str) -> bool:
        """Whether a file of that name and content was searched, and nothing was found in it."""
        return self._receipt(name, sha256) in self._clean

    def note_clean(self, name: str, sha256: str) -> None:
        """Leave a receipt. One that a crash cuts off is none."""
        receipt = self._receipt(name, sha256)
        self._clean.add(receipt)
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(handle, b"\n" + receipt)
        finally:
            os.close(handle)

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
