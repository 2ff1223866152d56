"""Rows that cannot be read: named, kept in a list, and written down."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from qoqdata.atomic import canonical
from qoqdata.errors import DatasetError


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be read.

    `row` counts within its row group. `position` is where the order first met it and `instead` the
    id of the record that was given in its place.
    """

    shard: str
    row_group: int
    row: int
    id: str
    reason: str
    position: int | None = None
    instead: str | None = None

    def error(self) -> DatasetError:
        """The error that stops a run at this row."""
        where = f"{self.shard}, row group {self.row_group}, row {self.row}"
        what = f"record {self.id} cannot be read: {self.reason}"
        fix = 'restore the shard, or stream with on_bad="next"'
        return DatasetError(what, where=where, fix=fix)


@dataclass
class BadRows:
    """All bad rows of a stream, each once; `log` gets one JSON line a row."""

    log: Path | None = None
    rows: list[BadRow] = field(default_factory=list)
    _known: set[tuple[str, int, int]] = field(default_factory=set, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state | {"_lock": threading.Lock()})

    def add(self, row: BadRow) -> None:
        """Remember a row and write it down, if it is new. Any thread may call."""
        key = (row.shard, row.row_group, row.row)
        with self._lock:
            if key in self._known:
                return
            self._known.add(key)
            self.rows.append(row)
            if self.log is not None:
                self.log.parent.mkdir(parents=True, exist_ok=True)
                with self.log.open("a", encoding="utf-8") as stream:
                    stream.write(canonical(asdict(row)) + "\n")
