"""Boxes made black in the images of what leaves; the data set itself stays as it is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from qoqdata.readers import encode
from qoqdata.readers.image.reader import image_from_bytes

#: Note of a record whose images were blanked.
BLANKED = "text burned into images: blanked"

#: Corners (x0, y0, x1, y1) in stored pixels by record id and number of the image.
Boxes = Mapping[str, Mapping[int, list[tuple[int, int, int, int]]]]


def boxes_to_blank(findings: pl.DataFrame) -> Boxes:
    """The boxes of findings whose outcome is `blank`."""
    boxes: dict[str, dict[int, list[tuple[int, int, int, int]]]] = defaultdict(dict)
    chosen = findings.filter(pl.col("outcome") == "blank")
    for id_, image, *corners in chosen.select("id", "image", "x0", "y0", "x1", "y1").iter_rows():
        boxes[id_].setdefault(image, []).append(tuple(corners))
    return boxes


@dataclass(frozen=True)
class Blanking:
    """Makes boxes of findings black in the records that are given to it, as in what is published.

    A record without boxes is returned as it is. Others need `id`; `provenance`, where it is there,
    gets a note.
    """

    boxes: Boxes

    def __call__(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The record with its encoded images blanked."""
        own, row = self.boxes.get(record["id"], {}), dict(record)
        if own and row.get("images"):
            row["images"] = [
                _blanked(image, own[number]) if number in own else image
                for number, image in enumerate(row["images"])
            ]
        if own and row.get("provenance"):
            notes = [*(row["provenance"]["notes"] or ()), BLANKED]
            row["provenance"] = {**row["provenance"], "notes": notes}
        return row


def blank_rows(table: pa.Table, boxes: Boxes) -> pa.Table:
    """The rows of a shard with the boxes of their images black, and a note in those records."""
    ids = pa.array(list(boxes), pa.string())
    if not pc.any(pc.is_in(table.column("id"), ids)).as_py():
        return table
    rows = map(Blanking(boxes), table.to_pylist())
    return pa.Table.from_pylist(list(rows), schema=table.schema)


def _blanked(image: Any, corners: list[tuple[int, int, int, int]]) -> Any:
    """An image as a record has it, or as its bytes alone, which a stream gives."""
    if isinstance(image, bytes):
        return blank(image, corners)
    return {**image, "bytes": blank(image["bytes"], corners)}


def blank(data: bytes, corners: list[tuple[int, int, int, int]]) -> bytes:
    """An encoded image with boxes made black, in the format it had; JPEG is encoded once more."""
    pixels: Any = image_from_bytes(data, where="images").pixels.copy()
    for x0, y0, x1, y1 in corners:
        pixels[max(y0, 0) : y1, max(x0, 0) : x1] = 0
    return encode.jpeg(pixels) if data[:2] == b"\xff\xd8" else encode.png(pixels)
