"""What cannot be read is named, and stops the run or is replaced by the order's next record."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError
from qoqdata.stream import Stream
from qoqdata.stream.plan import Share
from tests.stream.sets import Part, entry, rows_of, seal, write, write_rows

PARTS = (Part("films", "chest_xray", (40, 30)), Part("scans", "ct", (25,)))
N = 95


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return write(tmp_path / "set", PARTS)


def opened(dataset: Dataset, **asked: Any) -> Stream:
    return dataset.stream(**{"columns": ["id", "images"], "workers": 0, "epochs": 1} | asked)


def flip(dataset: Dataset, shard: int, row_group: int) -> None:
    """Turn a bit of the images of a row group, so that its page fails the checksum."""
    path = dataset.root / dataset.manifest.shards[shard].path
    chunks = pq.read_metadata(path).row_group(row_group)
    names = {chunks.column(i).path_in_schema: chunks.column(i) for i in range(chunks.num_columns)}
    chunk = names["images.list.element.bytes"]
    content = bytearray(path.read_bytes())
    content[chunk.data_page_offset + chunk.total_compressed_size // 2] ^= 16
    path.write_bytes(content)


def cut(dataset: Dataset, shard: int) -> None:
    path = dataset.root / dataset.manifest.shards[shard].path
    path.write_bytes(path.read_bytes()[:-200])


def remove(dataset: Dataset, shard: int) -> None:
    (dataset.root / dataset.manifest.shards[shard].path).unlink()


def test_a_damaged_row_group_stops_the_run_where_it_is_met(dataset: Dataset) -> None:
    order = opened(dataset).order(0, N)
    flip(dataset, 0, 3)
    first = order.with_row_index().filter(
        (order["shard"] == dataset.manifest.shards[0].path) & (order["row_group"] == 3)
    )
    at, name = first["index"][0], first["id"][0]
    for workers in (0, 2):
        stream = opened(dataset, workers=workers)
        got = []
        with pytest.raises(DatasetError, match=f"films/train-00000.*row group 3.*{name}.*CRC"):
            for record in stream:
                got.append(record["id"])
        assert got == order["id"][:at].to_list()
        assert stream.state_dict()["position"] == at
        with pytest.raises(DatasetError, match="row group 3"):
            next(iter(stream))
        stream.close()


def test_damaged_rows_are_replaced_by_the_next(dataset: Dataset, tmp_path: Path) -> None:
    order = opened(dataset).order(0, N)
    flip(dataset, 0, 3)
    lost = {f"films/train/0/{row}" for row in range(15, 20)}
    log = tmp_path / "logs" / "bad.jsonl"
    stream = opened(dataset, on_bad="next", bad_log=log, workers=2)
    records = list(stream)
    assert [r["position"] for r in records] == list(range(N))
    ids = order["id"].to_list()
    for at, record in enumerate(records):
        if ids[at] in lost:
            following = next(name for name in ids[at:] + ids if name not in lost)
            assert (record["id"], record["instead_of"]) == (following, ids[at])
        else:
            assert (record["id"], record["instead_of"]) == (ids[at], None)
    assert {row.id for row in stream.bad} == lost
    assert {(row.shard, row.row_group) for row in stream.bad} == {
        ("data/films/train-00000.parquet", 3)
    }
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {(row["id"], row["row"]) for row in lines} == {
        (f"films/train/0/{row}", row - 15) for row in range(15, 20)
    }
    assert all(row["instead"] and row["reason"] for row in lines)
    again = list(stream)
    assert len(again) == N and len(stream.bad) == 5


@pytest.mark.parametrize("mix", [None, "domain:uniform"])
def test_substitutes_do_not_depend_on_who_reads(dataset: Dataset, mix: str | None) -> None:
    flip(dataset, 0, 2)
    flip(dataset, 1, 1)
    flip(dataset, 2, 0)
    whole = opened(dataset, on_bad="next", mix=mix)
    want = {r["position"]: (r["id"], r["instead_of"]) for r in whole}
    got = {}
    for rank in range(3):
        one = opened(dataset, on_bad="next", mix=mix, workers=1).shared(Share(rank, 3))
        for record in islice(one, 7):
            got[record["position"]] = (record["id"], record["instead_of"])
        rest = opened(dataset, on_bad="next", mix=mix).shared(Share(rank, 3))
        rest.load_state_dict(one.state_dict())
        got |= {r["position"]: (r["id"], r["instead_of"]) for r in rest}
    assert got == want
    if mix is None:
        assert sum(instead is not None for _, instead in want.values()) == 15
    else:
        # A substitute is of the component that was drawn.
        assert all(i is None or i.split("/")[0] == n.split("/")[0] for n, i in want.values())


def test_a_image_that_is_none(tmp_path: Path) -> None:
    """The bytes were stored so: only decoding can tell."""
    part = Part("films", "chest_xray", (12,))
    rows = rows_of(part, 0)
    rows[4]["images"] = [{"bytes": b"no image at all", "path": "0.png"}]
    dataset = seal(
        tmp_path,
        [write_rows(tmp_path, part, 0, rows, row_group=5)],
        {"films": entry("chest_xray")},
    )
    with pytest.raises(DatasetError, match=r"row group 0, row 4.*films/train/0/4"):
        list(opened(dataset, images="array"))
    stream = opened(dataset, images="array", on_bad="next", workers=1)
    marked = [r for r in stream if r["instead_of"]]
    assert [r["instead_of"] for r in marked] == ["films/train/0/4"]
    assert marked[0]["images"][0].shape == (4, 6, 3)
    assert stream.bad[0].instead == marked[0]["id"]


@pytest.mark.parametrize("damage", [cut, remove])
def test_a_lost_shard(dataset: Dataset, damage: Callable[[Dataset, int], None]) -> None:
    """Its rows keep their places, so the order of all others and a state of before hold."""
    before = opened(dataset, on_bad="next")
    order = before.order(0, N)
    list(islice(before, 30))
    state = before.state_dict()
    damage(dataset, 1)
    with pytest.raises(
        DatasetError, match=r"films/train-00001.parquet: (is missing|\d+ bytes, \d+)"
    ):
        opened(dataset)
    stream = opened(dataset, on_bad="next")
    assert stream.n_records == N and stream.order(0, N).equals(order)
    records = list(stream)
    lost = [f"films/train/1/{row}" for row in range(30)]
    assert [r["instead_of"] or r["id"] for r in records] == order["id"].to_list()
    assert sorted(r["instead_of"] for r in records if r["instead_of"]) == sorted(lost)
    assert {r["id"] for r in records}.isdisjoint(lost)
    assert sorted(row.id for row in stream.bad) == sorted(lost)
    stream.load_state_dict(state)
    assert [r["instead_of"] or r["id"] for r in stream] == order["id"].to_list()[30:]


def test_a_lost_shard_in_row_groups_of_the_writer(tmp_path: Path) -> None:
    dataset = write(
        tmp_path,
        [Part("films", "chest_xray", (150, 230)), Part("scans", "ct", (90,))],
        row_group=100,
    )
    before = opened(dataset, on_bad="next")
    order = before.order(0, 470)
    list(islice(before, 30))
    cut(dataset, 1)
    stream = opened(dataset, on_bad="next")
    stream.load_state_dict(before.state_dict())
    want = order.slice(30)["id"].to_list()
    got = [r["id"] for r in stream]
    assert len(got) == 440
    assert all(a == b for a, b in zip(got, want, strict=True) if "/1/" not in b)


def test_nothing_left(dataset: Dataset) -> None:
    for shard in range(2):
        cut(dataset, shard)
    with pytest.raises(DatasetError, match="cannot be read"):
        list(opened(dataset, mix="domain:uniform", on_bad="next"))
    cut(dataset, 2)
    with pytest.raises(DatasetError, match="cannot be read"):
        list(opened(dataset, on_bad="next"))


def test_lost_metadata(dataset: Dataset) -> None:
    path = dataset.layout.metadata("films")
    content = path.read_bytes()
    for damage in (lambda: path.write_bytes(content[:-100]), path.unlink):
        damage()
        with pytest.raises(
            DatasetError, match=r"meta/films.parquet: .*Fix: run the same `qoqdata b"
        ):
            opened(dataset, on_bad="next")


def test_verify_finds_what_still_reads_well(dataset: Dataset) -> None:
    """A shard that was exchanged for another sound one of the same shape."""
    path = dataset.root / dataset.manifest.shards[0].path
    rows = rows_of(PARTS[0], 0)
    for row in rows:
        row["answer"] = "Effusion, Opacity"
    write_rows(dataset.root, PARTS[0], 0, rows, row_group=5)
    assert path.is_file()
    assert len(list(opened(dataset))) == N
    with pytest.raises(DatasetError, match="differs from its digest"):
        list(opened(dataset, verify=True))


def test_a_shard_of_another_length(dataset: Dataset) -> None:
    write_rows(dataset.root, PARTS[0], 0, rows_of(PARTS[0], 0)[:-1], row_group=5)
    with pytest.raises(DatasetError, match=r"films/train-00000.parquet: \d+ bytes, \d+ by the"):
        opened(dataset)
    stream = opened(dataset, on_bad="next")
    assert len(list(stream)) == N
    reasons = {(row.row_group, row.reason) for row in stream.bad}
    assert [group for group, _ in reasons] == [7] and len(stream.bad) == 5
    assert "row group 7 has 4 rows, 5 by the manifest" in next(iter(reasons))[1]


def test_a_shard_of_fewer_row_groups(dataset: Dataset) -> None:
    write_rows(dataset.root, PARTS[0], 0, rows_of(PARTS[0], 0)[:-5], row_group=5)
    stream = opened(dataset, on_bad="next")
    assert len(list(stream)) == N
    assert {row.row_group for row in stream.bad} == {7} and len(stream.bad) == 5
