"""Row groups whose records share an image: read as stored, once."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pyarrow as pa

from qoqdata.pipeline.shards import write_shard
from qoqdata.remote.files import LocalFiles
from qoqdata.stream.row_groups import RowGroups
from tests.records.sound_rows import image_row

SIZE = 500_000


def _now(call: Any, *arguments: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(call(*arguments))
    return future


def test_an_image_that_a_hundred_records_share_is_in_memory_once(tmp_path):
    first, second = bytes([1]) * SIZE, bytes([2]) * SIZE
    pictures = [{"bytes": first, "path": "a.png"}, {"bytes": second, "path": "b.png"}]
    rows = [image_row(images=pictures[: 1 + n % 2], masks=None) for n in range(100)]
    rows[7] |= {"images": None}
    path = tmp_path / "data/films/train-00000.parquet"
    shard = write_shard(path, rows, source="films", split="train")
    assert shard is not None and shard.bytes < 3 * SIZE
    before = pa.total_allocated_bytes()
    groups = RowGroups(LocalFiles(tmp_path, None), [shard], ["id", "images"], _now, verify=True)
    groups.open([0])
    value = dict(groups.get(0))["images"]
    assert pa.total_allocated_bytes() - before < 4 * SIZE
    for number, row in enumerate(rows):
        wanted = row["images"] and [image["bytes"] for image in row["images"]]
        assert value(number) == wanted
