"""What the pages of the viewer show of records: read from their shards, and remembered."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import polars as pl

from qoqdata.dataset import Dataset
from qoqdata.drawing.pixels import Drawing, glimpse
from qoqdata.items import read_records
from qoqdata.viewer.record_index import RecordIndex

#: Longer side of a thumbnail in pixels.
SIDE = 224
#: Thumbnails and whole records that are remembered.
_THUMBNAILS, _RECORDS = 4000, 3


class MediaReader:
    """Reads records from their shards; any thread may ask, one at a time reads.

    A row group is read once for all thumbnails of a page that lie in it.
    """

    def __init__(self, dataset: Dataset, index: RecordIndex) -> None:
        self.dataset, self.index = dataset, index
        self._thumbnails: OrderedDict[int, Drawing | None] = OrderedDict()
        self._records: OrderedDict[int, dict[str, Any]] = OrderedDict()
        self._page: list[int] = []
        self._lock = threading.Lock()

    def expect(self, rows: Sequence[int]) -> None:
        """Say which rows a page shows, whose thumbnails will be asked for."""
        self._page = list(rows)

    def thumbnail(self, row: int) -> Drawing | None:
        """The first image of a record made small, or a part of its ECG; None where it shows neither
        or the image cannot be decoded. Raises DatasetError for a shard that cannot be read."""
        with self._lock:
            if row not in self._thumbnails:
                self._read_thumbnails(row)
            self._thumbnails.move_to_end(row)
            return self._thumbnails[row]

    def record(self, row: int) -> dict[str, Any]:
        """The whole record of a row; raises DatasetError for a shard that cannot be read."""
        with self._lock:
            if row not in self._records:
                self._records[row] = self._read([row], None)[0]
                while len(self._records) > _RECORDS:
                    self._records.popitem(last=False)
            self._records.move_to_end(row)
            return self._records[row]

    def _read(self, rows: Sequence[int], columns: Sequence[str] | None) -> list[dict[str, Any]]:
        places = self.index.places[list(rows)]
        return list(read_records(self.dataset.files, self.dataset.manifest, places, columns))

    def _read_thumbnails(self, row: int) -> None:
        group = self.index.places.row(row)[:2]
        page = pl.DataFrame({"number": [row, *self._page]}, schema={"number": pl.Int64}).unique()
        rows = [
            number
            for number in page["number"].sort().to_list()
            if self.index.places.row(number)[:2] == group and number not in self._thumbnails
        ]
        for number, record in zip(rows, self._read(rows, ("images", "ecg")), strict=True):
            self._thumbnails[number] = glimpse(record, SIDE)
        while len(self._thumbnails) > _THUMBNAILS + len(rows):
            self._thumbnails.popitem(last=False)
