"""Row groups: each rank reads those of its own draws, each once, and a machine reads each once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qoqdata.dataset import Dataset
from qoqdata.errors import UsageError
from qoqdata.stream.shared_tables import SharedTables, shared_tables

MIX = "domain:uniform"


@contextmanager
def reads() -> Iterator[Counter[tuple[str, int]]]:
    """Counts the row groups that are read from Parquet, by file and number."""
    seen: Counter[tuple[str, int]] = Counter()
    plain, opened = pq.ParquetFile.read_row_group, pq.ParquetFile.__init__

    def noting_init(self: Any, source: Any, *given: Any, **named: Any) -> None:
        self.noted = str(source)
        opened(self, source, *given, **named)

    def noting(self: Any, number: int, *given: Any, **named: Any) -> pa.Table:
        seen[Path(self.noted).parent.name + "/" + Path(self.noted).name, number] += 1
        return plain(self, number, *given, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pq.ParquetFile, "__init__", noting_init)
        patch.setattr(pq.ParquetFile, "read_row_group", noting)
        yield seen


def drawn(dataset: Dataset, rank: int, world: int, **settings: Any) -> list[dict[str, Any]]:
    """An epoch of one rank."""
    stream = dataset.stream(
        "train", seed=3, rank=rank, world=world, epochs=1, workers=0, columns=("id",), **settings
    )
    try:
        return list(stream)
    finally:
        stream.close()


def needed(dataset: Dataset, rank: int, world: int, **settings: Any) -> set[tuple[str, int]]:
    """The row groups of a rank's draws, by the order that the stream tells."""
    stream = dataset.stream("train", seed=3, columns=("id",), workers=0, **settings)
    order = stream.order(0, stream.n_records).filter(pl.col("position") % world == rank)
    shards = [path.removeprefix("data/") for path in order["shard"].to_list()]
    return set(zip(shards, order["row_group"].to_list(), strict=True))


@pytest.mark.parametrize("mix", [None, MIX])
@pytest.mark.parametrize("world", [1, 2, 5])
def test_a_rank_reads_the_row_groups_of_its_own_draws_and_no_other(
    mixed: Dataset, mix: str | None, world: int
) -> None:
    for rank in range(world):
        with reads() as seen:
            drawn(mixed, rank, world, mix=mix)
        assert set(seen) == needed(mixed, rank, world, mix=mix)


def test_without_a_mix_no_row_group_is_read_twice(mixed: Dataset) -> None:
    for rank in range(2):
        with reads() as seen:
            drawn(mixed, rank, 2)
        assert set(seen.values()) == {1}


@pytest.mark.parametrize("mix", [None, MIX])
def test_ranks_of_a_machine_read_each_row_group_once(
    mixed: Dataset, mix: str | None, tmp_path: Path
) -> None:
    world, shared = 4, tmp_path / "shared"
    apart = [drawn(mixed, rank, world, mix=mix) for rank in range(world)]
    every = set().union(*(needed(mixed, rank, world, mix=mix) for rank in range(world)))
    found: dict[int, list[dict[str, Any]]] = {}

    def run(rank: int) -> None:
        found[rank] = drawn(mixed, rank, world, mix=mix, shared=shared)

    with reads() as seen:
        ranks = [threading.Thread(target=run, args=(rank,)) for rank in range(world)]
        for one in ranks:
            one.start()
        for one in ranks:
            one.join()
    assert [found[rank] for rank in range(world)] == apart
    assert seen == dict.fromkeys(every, 1)
    # A run that goes on finds what the former one left.
    with reads() as seen:
        assert drawn(mixed, 0, world, mix=mix, shared=shared) == apart[0]
    assert not seen


def test_images_that_are_stored_once_stay_so(tmp_path: Path) -> None:
    indices = pa.array([0, 1, 0], pa.int32())
    once = pa.DictionaryArray.from_arrays(indices, pa.array([b"a" * 9, b"b" * 9]))
    table = pa.table({"images": once, "n": [1, 2, 3]})
    tables = shared_tables(tmp_path / "shared", 2**20)
    found = tables.get("x", lambda: table)
    assert found.equals(table)
    assert pa.types.is_dictionary(found["images"].type)
    assert tables.get("x", lambda: pytest.fail("read again")).equals(table)


def test_the_oldest_go_and_stay_with_whoever_holds_them(tmp_path: Path) -> None:
    table = pa.table({"n": list(range(1000))})
    tables = SharedTables(tmp_path, 20_000)
    held = [tables.get(f"t{number}", lambda: table) for number in range(5)]
    left = sorted(path.stem for path in tmp_path.glob("*.arrow"))
    assert left == ["t3", "t4"]
    assert all(one.equals(table) for one in held)


def test_where_nothing_can_be_kept_what_was_read_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pa.table({"n": [1]})

    def full(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pa, "OSFile", full)
    assert SharedTables(tmp_path, 100).get("x", lambda: table) is table
    assert list(tmp_path.glob("*.arrow")) == []
    assert SharedTables(tmp_path / "gone", 100).get("x", lambda: table) is table


def test_a_folder_that_others_may_look_into_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    with pytest.raises(UsageError, match="this user alone"):
        shared_tables(tmp_path / "open", 1)
    assert (shared_tables(tmp_path / "own", 1).folder.stat().st_mode & 0o777) == 0o700
    (tmp_path / "link").symlink_to(tmp_path / "own")
    with pytest.raises(UsageError, match="this user alone"):
        shared_tables(tmp_path / "link", 1)
