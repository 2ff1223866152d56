"""One file of a store brought here, bounded: a server may say a length and go on sending."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fsspec.callbacks import Callback

from qoqdata.errors import DatasetError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


class _Bound(Callback):  # type: ignore[misc]
    """Ends a transfer of which more than `most` bytes have come."""

    def __init__(self, most: int, url: str) -> None:
        super().__init__()
        self._most, self._url = most, url

    def call(self, *args: Any, **kwargs: Any) -> None:
        if self.value > self._most:
            what = f"the store sent more than {self._most:,} bytes"
            fix = "check the URL; else publish the data set again"
            raise DatasetError(what, where=self._url, fix=fix)


def fetch(system: AbstractFileSystem, source: str, target: Path, *, most: int, url: str) -> None:
    """Write the store's file `source` to `target`; raises DatasetError, which names `url`, once
    more than `most` bytes have come, and what the file system raises."""
    system.get_file(source, str(target), callback=_Bound(most, url))
