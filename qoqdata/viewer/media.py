"""What a record shows, as a browser can draw it: thumbnails, images, masks, sheets of ECG."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from PIL import Image, UnidentifiedImageError

from qoqdata.dataset import Dataset
from qoqdata.errors import InputError
from qoqdata.items import read_records
from qoqdata.viewer.ecg_paper import sheet_svg
from qoqdata.viewer.record_index import RecordIndex

#: Longer side of a thumbnail in pixels.
SIDE = 224
#: Colours of labels in their order: Okabe and Ito's, told apart by the colour-blind.
COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")
#: Formats that every browser draws; others go as PNG.
_DRAWN = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}
#: Thumbnails and whole records that are remembered.
_THUMBNAILS, _RECORDS = 4000, 3
#: Seconds of ECG on a thumbnail.
_GLIMPSE = 4.0
#: How much of what a mask covers still shows.
_OPAQUE = 120


class Drawing(NamedTuple):
    """Bytes and their media type."""

    content: bytes
    kind: str


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
            self._thumbnails[number] = _thumbnail(record)
        while len(self._thumbnails) > _THUMBNAILS + len(rows):
            self._thumbnails.popitem(last=False)


def _thumbnail(record: Mapping[str, Any]) -> Drawing | None:
    if record["images"]:
        try:
            with Image.open(BytesIO(record["images"][0]["bytes"])) as image, BytesIO() as stream:
                image.draft("RGB", (SIDE * 2, SIDE * 2))
                small = image.convert("RGB")
                small.thumbnail((SIDE, SIDE))
                small.save(stream, "JPEG", quality=85)
                return Drawing(stream.getvalue(), "image/jpeg")
        except (OSError, ValueError, UnidentifiedImageError, Image.DecompressionBombError):
            return None
    if record["ecg"]:
        leads = record["ecg"]["leads"]
        shown = [leads.index(name) for name in ("II", "V2", "V5") if name in leads] or [0]
        svg = sheet_svg(record["ecg"], leads=shown, seconds=_GLIMPSE)
        return Drawing(svg.encode(), "image/svg+xml")
    return None


def drawn_image(content: bytes) -> Drawing:
    """A stored image as a browser can draw it: its own bytes, or PNG of them.

    Raises InputError where it cannot be decoded.
    """
    try:
        with Image.open(BytesIO(content)) as image:
            if image.format in _DRAWN:
                return Drawing(content, _DRAWN[image.format])
            with BytesIO() as stream:
                image.save(stream, "PNG")
                return Drawing(stream.getvalue(), "image/png")
    except (OSError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise InputError(f"the image cannot be decoded: {error}") from error


def mask_codes(content: bytes) -> list[int]:
    """The codes of a label map other than background, ascending. Raises InputError."""
    return [int(code) for code in np.unique(_codes(content)) if code]


def drawn_mask(content: bytes, code: int, colour: int) -> Drawing:
    """Where a label map has `code`: half-transparent, of a colour in COLOURS, as PNG. Raises
    InputError."""
    codes = _codes(content)
    hexadecimal = COLOURS[colour % len(COLOURS)]
    rgb = [int(hexadecimal[place : place + 2], 16) for place in (1, 3, 5)]
    pixels = np.zeros((*codes.shape, 4), np.uint8)
    pixels[codes == code] = [*rgb, _OPAQUE]
    with BytesIO() as stream:
        Image.fromarray(pixels, "RGBA").save(stream, "PNG", compress_level=1)
        return Drawing(stream.getvalue(), "image/png")


def _codes(content: bytes) -> np.ndarray:
    try:
        with Image.open(BytesIO(content)) as image:
            # A palette image's indices are its codes.
            codes = np.asarray(image)
    except (OSError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise InputError(f"the mask cannot be decoded: {error}") from error
    return codes if codes.ndim == 2 else codes[..., 0]
