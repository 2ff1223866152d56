"""The stream: one global order for any number of processes and threads, resumed exactly."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError, UsageError
from qoqdata.stream import Mix, Stream
from qoqdata.stream.decode import Budget
from qoqdata.stream.plan import Share
from tests.stream.sets import Part, write

few = settings(max_examples=10)
N = 143
WORLDS = st.sampled_from([1, 2, 3, 4, 5, 8, 13])
RUNS = st.tuples(WORLDS, st.integers(0, 4), st.integers(0, 40))


def ids(stream: Stream, count: int | None = None) -> list[str]:
    return [record["id"] for record in islice(stream, count)]


def opened(dataset: Dataset, **asked: Any) -> Stream:
    return dataset.stream(**{"columns": ["id"], "workers": 0} | asked)


def truth(dataset: Dataset, start: int, stop: int, **asked: Any) -> list[str]:
    """The global order, by the pure function alone."""
    return opened(dataset, **asked).order(start, stop)["id"].to_list()


@few
@given(
    st.sampled_from([1, 2, 3, 7, 16, 64]),
    st.integers(0, 4),
    st.integers(0, 2**40),
    st.sampled_from(["", "mix"]),
)
def test_ranks_together_give_the_global_order(
    mixed: Dataset, world: int, workers: int, seed: int, mix: str
) -> None:
    asked = {"seed": seed, "mix": "domain:uniform" if mix else None}
    want = truth(mixed, 0, N, **asked)
    got: dict[int, str] = {}
    whole = opened(mixed, **asked, workers=workers, epochs=1)
    for rank in range(world):
        with_rank = whole.shared(Share(rank, world))
        records = list(with_rank)
        assert [r["position"] for r in records] == list(range(rank, N, world))
        got |= {r["position"]: r["id"] for r in records}
        with_rank.close()
    assert [got[position] for position in range(N)] == want
    if not mix:
        assert len(set(want)) == N


@pytest.mark.slow
@settings(max_examples=8)
@given(st.lists(RUNS, min_size=2, max_size=4), st.sampled_from([None, "domain:temperature"]))
def test_resumed_any_number_of_times(
    mixed: Dataset, runs: list[tuple[int, int, int]], mix: str | None
) -> None:
    """Each run has another world and other workers, and stops after some records a rank."""
    got: dict[int, str] = {}
    state: dict[str, Any] | None = None
    for world, workers, count in runs:
        states = []
        whole = opened(mixed, mix=mix, workers=workers)
        for rank in range(world):
            stream = whole.shared(Share(rank, world))
            if state is not None:
                stream.load_state_dict(json.loads(json.dumps(state)))
            for record in islice(stream, count):
                assert record["position"] not in got
                got[record["position"]] = record["id"]
            states.append(stream.state_dict())
            stream.close()
        assert all(one == states[0] for one in states)
        state = states[0]
    total = sum(world * count for world, _, count in runs)
    assert sorted(got) == list(range(total))
    if total:
        assert [got[p] for p in range(total)] == truth(mixed, 0, total, mix=mix)


@few
@given(st.integers(0, 3 * N), st.booleans(), st.sampled_from(["row_group", "shard"]))
def test_epochs_hold_every_record_once(mixed: Dataset, at: int, shuffle: bool, unit: str) -> None:
    stream = opened(mixed, shuffle=shuffle, unit=unit)
    assert len(set(truth(mixed, 0, N))) == N
    epoch = at // N
    want = stream.order(epoch * N, (epoch + 1) * N)
    assert sorted(want["id"]) == sorted(truth(mixed, 0, N, shuffle=False))
    stream.load_state_dict(stream.state_dict() | {"position": at})
    assert ids(stream, 5) == stream.order(at, at + 5)["id"].to_list()
    stream.close()


def test_epochs_differ_and_manifest_order_does_not(mixed: Dataset) -> None:
    assert truth(mixed, 0, N) != truth(mixed, N, 2 * N)
    in_order = truth(mixed, 0, N, shuffle=False)
    assert truth(mixed, N, 2 * N, shuffle=False) == in_order
    want = [s for s in mixed.manifest.shards if s.split == "train"]
    assert in_order == [
        f"{s.source}/train/{int(s.path[-13:-8])}/{row}" for s in want for row in range(s.rows)
    ]


def test_a_loop_ends_after_its_epochs_and_the_next_goes_on(mixed: Dataset) -> None:
    stream = opened(mixed, epochs=1, rank=1, world=4)
    first, second = ids(stream), ids(stream)
    assert first == truth(mixed, 0, N)[1::4]
    assert second == truth(mixed, N, 2 * N)[1::4]
    assert stream.position == 2 * N and stream.epoch == 2


def test_a_run_killed_at_the_end_of_an_epoch_does_not_begin_another(mixed: Dataset) -> None:
    """After the last record the loop has yet to end; after its end the next epoch comes."""
    stream = opened(mixed, epochs=1, world=3)
    loop = iter(stream)
    for _ in range(48):
        next(loop)
    last = stream.state_dict()
    assert next(loop, None) is None
    after = stream.state_dict()
    second, third = truth(mixed, N, 2 * N)[::3], truth(mixed, 2 * N, 3 * N)[::3]
    for state, loops in ((last, [[], second]), (after, [second, third])):
        assert state["position"] == N
        resumed = opened(mixed, epochs=1, world=3)
        resumed.load_state_dict(json.loads(json.dumps(state)))
        assert [ids(resumed), ids(resumed)] == loops


def test_weights_may_change_at_the_end_of_a_loop(mixed: Dataset) -> None:
    stream = opened(mixed, epochs=1, mix="domain:uniform")
    count = 0
    for _ in stream:
        count += 1
        if count == N:
            stream.reweight({"chest_xray": 1, "ct": 2, "ecg": 3})
    assert count == N and stream.position == N


def test_a_loop_that_was_left_goes_on(mixed: Dataset) -> None:
    stream = opened(mixed, workers=2)
    found = [name for _ in range(30) for name in ids(stream, 7)]
    assert found == truth(mixed, 0, 210)
    stream.close()
    assert ids(stream, 3) == truth(mixed, 210, 213)
    stream.close()


def test_delivered_tells_what_training_used(mixed: Dataset) -> None:
    """A loader may take more than training has used."""
    stream = opened(mixed, rank=1, world=3)
    ids(stream, 10)
    state = stream.state_dict(deliveries=4)
    other = opened(mixed)
    other.load_state_dict(state)
    assert other.position == 12
    ids(stream, 1)
    assert stream.state_dict()["position"] == 33


def test_the_state_is_small(mixed: Dataset) -> None:
    stream = opened(mixed, mix="domain:uniform")
    stream.load_state_dict(stream.state_dict() | {"position": 10**11})
    stream.reweight({"chest_xray": 1e-9, "ct": 1 / 3, "ecg": 2})
    state = stream.state_dict()
    assert len(json.dumps(state)) < 1000
    assert state["data"] == mixed.manifest.digest


def test_another_data_set_is_refused(mixed: Dataset, tmp_path: Path) -> None:
    other = write(tmp_path, [Part("films", "chest_xray", (30,))])
    stream = opened(mixed)
    ids(stream, 20)
    state = stream.state_dict()
    into = opened(other)
    with pytest.raises(DatasetError, match=r"is of the data set .*other_data=True"):
        into.load_state_dict(state)
    assert into.position == 0
    into.load_state_dict(state, other_data=True)
    assert ids(into, 3) == truth(other, 20, 23)


@pytest.mark.parametrize(
    ("asked", "kind", "said"),
    [
        ({"seed": 1}, UsageError, "seed"),
        ({"lanes": 8}, UsageError, "lanes"),
        ({"shuffle": False}, UsageError, "shuffle"),
        ({"mix": "domain"}, UsageError, "mix"),
        ({"where": pl.col("age") > 3}, DatasetError, "other records"),
        ({"split": "validation"}, DatasetError, "other records"),
    ],
)
def test_another_order_is_refused(
    mixed: Dataset, asked: dict, kind: type[Exception], said: str
) -> None:
    state = opened(mixed).state_dict()
    with pytest.raises(kind, match=said):
        opened(mixed, **asked).load_state_dict(state)


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"version": 2},
        {"version": 1},
        {"version": 1, "position": -1},
        {"version": 1, "position": "x"},
    ],
)
def test_what_is_no_state(mixed: Dataset, state: dict) -> None:
    with pytest.raises(UsageError, match="stream state"):
        opened(mixed).load_state_dict(state)


def test_a_damaged_mix_in_a_state(mixed: Dataset) -> None:
    stream = opened(mixed, mix="domain:uniform")
    ids(stream, 3)
    stream.reweight({"chest_xray": 1, "ct": 1, "ecg": 3})
    state = stream.state_dict()
    for change in ({"units": "00000"}, {"before": "!"}, {"start": None}):
        with pytest.raises(UsageError, match="is no state"):
            stream.load_state_dict(state | {"mix": state["mix"] | change})


def test_verdicts_splits_and_filters(tmp_path: Path) -> None:
    dataset = write(tmp_path, [Part("films", "chest_xray", (50,)), Part("scans", "ct", (9,))])
    dataset.layout.verdicts.parent.mkdir()
    dropped = [f"films/train/0/{row}" for row in (0, 7, 49)]
    verdicts = pl.DataFrame({"id": [*dropped, "films/train/0/1"], "keep": [False] * 3 + [True]})
    verdicts = verdicts.with_columns(rule=pl.lit("leakage"))
    verdicts.write_parquet(dataset.layout.verdicts)
    stream = opened(dataset)
    for _ in range(2):
        epoch = ids(stream, stream.n_records)
        assert len(set(epoch)) == 56 and not set(epoch) & set(dropped)
    where = (pl.col("domain") == "ct") & (pl.col("age") < 5)
    assert sorted(ids(opened(dataset, where=where, epochs=1))) == [
        f"scans/train/0/{row}" for row in range(5)
    ]
    # Images are 6 x 4 pixels; question 18 and options 5 + 7 + 8 characters make 13 tokens.
    assert opened(dataset, max_pixels=24, max_tokens=13).n_records == 56
    for asked in ({"max_pixels": 23}, {"max_tokens": 12}, {"split": "test"}):
        with pytest.raises(DatasetError, match="no record"):
            opened(dataset, **asked)


def test_filters_see_light_columns_only(mixed: Dataset) -> None:
    for name in ("images", "ecg", "colour"):
        with pytest.raises(UsageError, match="no light column"):
            opened(mixed, where=pl.col(name).is_null())
    with pytest.raises(UsageError, match="where"):
        opened(mixed, where=pl.col("age").str.len_chars() > 3)
    assert opened(mixed, where=pl.col("n_images") == 1).n_records == N
    assert opened(mixed, where=pl.col("labels").list.contains("AFIB")).n_records == 5


def test_values_are_those_of_the_shards(mixed: Dataset) -> None:
    """All columns, against a plain read of the Parquet files."""
    want = {row["id"]: row for row in mixed.records.collect().to_dicts()}
    for record in opened(mixed, columns=None, epochs=1, workers=1):
        row = want[record["id"]]
        row["images"] = [image["bytes"] for image in row["images"]]
        assert record == row | {"position": record["position"]}


def test_a_subset_of_columns(mixed: Dataset) -> None:
    record = next(iter(opened(mixed, columns=["images", "answer"])))
    assert list(record) == ["images", "answer", "position"]


@pytest.mark.parametrize(
    "asked",
    [
        {"split": "dev"},
        {"images": "tensor"},
        {"unit": "row"},
        {"on_bad": "skip"},
        {"lanes": 0},
        {"world": 0},
        {"rank": 2, "world": 2},
        {"rank": -1},
        {"workers": -1},
        {"epochs": 0},
        {"columns": ["pixels"]},
        {"mix": "colour"},
        {"mix": "domain:often"},
        {"mix": "domain", "shuffle": False},
        {"colour": 1},
        {"budget": Budget()},
        {"mix": Mix("domain", "rarity"), "split": "train"},
    ],
)
def test_settings_that_cannot_be(mixed: Dataset, asked: dict) -> None:
    with pytest.raises((UsageError, DatasetError)):
        opened(mixed, **asked)


@pytest.mark.parametrize("world", [2, 3, 5, 7])
def test_every_process_of_an_even_loop_has_as_many(mixed: Dataset, world: int) -> None:
    """Also of the second loop, which all begin together where the first one nominally ended."""
    rest = N % world
    for even, length in (("drop", N - rest), ("pad", N + (world - rest) % world)):
        streams = [
            opened(mixed, epochs=1, even=even, rank=rank, world=world) for rank in range(world)
        ]
        for start in (0, N):
            parts = [ids(stream) for stream in streams]
            assert {len(part) for part in parts} == {length // world}
            dealt = [part[turn] for turn in range(length // world) for part in parts]
            assert dealt == truth(mixed, start, start + length)
            assert {stream.position for stream in streams} == {start + N}


def test_an_even_loop_goes_on_from_a_state(mixed: Dataset) -> None:
    asked: dict[str, Any] = {"epochs": 1, "even": "drop", "rank": 1, "world": 5}
    stream = opened(mixed, **asked)
    begun = [record["id"] for record in islice(stream, 2)]
    resumed = opened(mixed, **asked)
    resumed.load_state_dict(stream.state_dict())
    assert begun + ids(resumed) == ids(opened(mixed, **asked)) == truth(mixed, 0, N - N % 5)[1::5]


def test_even_needs_a_loop_that_ends(mixed: Dataset) -> None:
    with pytest.raises(UsageError, match=r"even: needs loops that end.*epochs"):
        opened(mixed, even="drop")
    with pytest.raises(UsageError, match=r"even: 'more' is not known.*drop or pad"):
        opened(mixed, even="more", epochs=1)
