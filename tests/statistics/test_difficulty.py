"""Rollouts become difficulty rows or a BadTable; which table is used follows stated rules."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from qoqdata.contract.arrow import arrow_schema
from qoqdata.contract.side_tables import DIFFICULTY
from qoqdata.errors import BadTable, UsageError
from qoqdata.layout import Layout
from qoqdata.statistics import difficulty
from qoqdata.statistics.difficulty import PRIOR


def read(path: Path) -> pl.DataFrame:
    return difficulty.from_rollouts(path, policy="p", scorer="exact match")


def parquet(path: Path, **columns: Any) -> Path:
    pl.DataFrame(columns).write_parquet(path / "rollouts.parquet")
    return path / "rollouts.parquet"


def lines(path: Path, *rows: dict) -> Path:
    (path / "rollouts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path / "rollouts.jsonl"


EXPECTED = [
    {
        "id": "a",
        "rewards": [0.0, 0.5, 1.0],
        "success_rate": 0.5,
        "n_rollouts": 3,
        "policy": "p",
        "scorer": "exact match",
    },
    {
        "id": "b",
        "rewards": [1.0],
        "success_rate": 1.0,
        "n_rollouts": 1,
        "policy": "p",
        "scorer": "exact match",
    },
]


def test_a_row_a_rollout(tmp_path: Path) -> None:
    path = parquet(tmp_path, id=["a", "b", "a", "a"], reward=[1.0, 1.0, 0.0, 0.5])
    assert read(path).to_dicts() == EXPECTED


def test_a_list_a_question(tmp_path: Path) -> None:
    assert read(parquet(tmp_path, id=["b", "a"], rewards=[[1.0], [0.5, 0.0, 1.0]])).to_dicts() == (
        EXPECTED
    )


def test_json_lines(tmp_path: Path) -> None:
    rows = [{"id": "b", "rewards": [1]}, {"id": "a", "rewards": [1, 0, 0.5]}]
    assert read(lines(tmp_path, *rows)).to_dicts() == EXPECTED
    rows = [{"id": i, "reward": r} for i, r in (("a", 0.5), ("a", 0), ("b", 1), ("a", 1))]
    assert read(lines(tmp_path, *rows)).to_dicts() == EXPECTED


def test_a_folder_of_steps(tmp_path: Path) -> None:
    for step, rewards in enumerate(([1.0, 0.5], [0.0, 1.0])):
        columns = {"id": ["a", "a" if step else "b"], "reward": rewards}
        pl.DataFrame(columns).write_parquet(tmp_path / f"step-{step}.parquet")
    assert read(tmp_path)["rewards"].to_list() == [[0.0, 1.0, 1.0], [0.5]]


def test_other_columns_are_left_aside(tmp_path: Path) -> None:
    path = parquet(tmp_path, id=["b"], reward=[1.0], response=["text"], step=[3])
    assert read(path).to_dicts() == EXPECTED[1:]


def test_means_are_taken_in_double_precision(tmp_path: Path) -> None:
    path = parquet(tmp_path, id=["a"] * 10, reward=[0.1] * 9 + [0.2])
    assert read(path)["success_rate"][0] == pytest.approx(0.11, abs=1e-16)


def test_order_of_rollouts_does_not_matter(tmp_path: Path) -> None:
    rewards = [0.1, 0.7, 0.3, 0.9, 0.2]
    one = read(parquet(tmp_path, id=["a"] * 5, reward=rewards))
    assert read(parquet(tmp_path, id=["a"] * 5, reward=rewards[::-1])).equals(one)


FAULTS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda p: p / "none.parquet", "cannot be read as rollouts"),
    "missing lines": (lambda p: p / "none.jsonl", "cannot be read as rollouts"),
    "a folder": (lambda p: p, "cannot be read as rollouts"),
    "empty lines": (lines, "cannot be read as rollouts"),
    "no id": (lambda p: parquet(p, reward=[0.5]), "lacks the column 'id'"),
    "no id beside lists": (lambda p: parquet(p, rewards=[[0.5]]), "lacks the column 'id'"),
    "no reward": (lambda p: parquet(p, id=["a"], score=[0.5]), "lacks the column 'reward'"),
    "no row": (
        lambda p: parquet(
            p, id=pl.Series([], dtype=pl.String), reward=pl.Series([], dtype=pl.Float64)
        ),
        "holds no rollout",
    ),
    "null id": (lambda p: parquet(p, id=["a", None], reward=[0.5, 0.5]), "has no id"),
    "above 1": (lambda p: parquet(p, id=["a", "b"], reward=[0.5, 1.01]), "1 rewards are not in"),
    "below 0": (lambda p: parquet(p, id=["a"], reward=[-0.01]), "1 rewards are not in"),
    "NaN": (lambda p: parquet(p, id=["a"], reward=[float("nan")]), "1 rewards are not in"),
    "infinite": (lambda p: parquet(p, id=["a"], reward=[float("inf")]), "1 rewards are not in"),
    "null": (lambda p: parquet(p, id=["a", "a"], reward=[0.5, None]), "1 rewards are not in"),
    "words": (lambda p: parquet(p, id=["a"], reward=["high"]), "1 rewards are not in"),
    "null in a list": (
        lambda p: parquet(p, id=["a"], rewards=[[0.5, None]]),
        "1 rewards are not in",
    ),
    "a question without rollouts": (
        lambda p: parquet(p, id=["a", "b"], rewards=[[0.5], []]),
        "1 questions have no reward",
    ),
    "a null for a list": (
        lambda p: parquet(p, id=["a", "b"], rewards=[[0.5], None]),
        "1 questions have no reward",
    ),
    "no list": (lambda p: lines(p, {"id": "a", "rewards": 0.5}), "cannot be read as rollouts"),
    "lists in lists": (
        lambda p: parquet(p, id=["a"], rewards=[[[0.5]]]),
        "cannot be read as rollouts",
    ),
    "structs": (
        lambda p: parquet(p, id=["a"], reward=[{"value": 0.5}]),
        "cannot be read as rollouts",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faulty_rollouts(tmp_path: Path, name: str) -> None:
    make, said = FAULTS[name]
    with pytest.raises(BadTable, match=said):
        read(make(tmp_path))


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
@pytest.mark.parametrize("content", [b"", b"junk", b"\x00" * 100, b'{"id": "a", "reward": 0.5'])
def test_damaged_rollouts(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"rollouts.{suffix}"
    path.write_bytes(content)
    with pytest.raises(BadTable):
        read(path)


def test_cut_parquet(tmp_path: Path) -> None:
    path = parquet(tmp_path, id=[f"r{n}" for n in range(100)], reward=[0.5] * 100)
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(BadTable):
            read(path)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "set")


def save(layout: Layout, policy: str, mean: float = 0.5) -> Path:
    table = pl.DataFrame(
        {"id": ["a"], "rewards": [[mean]], "success_rate": [mean], "n_rollouts": [1]},
        schema_overrides={"rewards": pl.List(pl.Float32), "n_rollouts": pl.Int32},
    ).with_columns(policy=pl.lit(policy), scorer=pl.lit("s"))
    return difficulty.write_difficulty(layout, table)


def test_written_in_the_schema_of_the_contract(layout: Layout) -> None:
    path = save(layout, "qwen2.5-vl-7b")
    assert path == layout.root / "difficulty" / "qwen2.5-vl-7b.parquet"
    found, contract = pq.read_schema(path), arrow_schema(DIFFICULTY)
    assert found == contract and found.metadata == contract.metadata


def test_none_at_all(layout: Layout) -> None:
    assert difficulty.choose(layout) is None


def test_the_prior_where_nothing_better_is_known(layout: Layout) -> None:
    save(layout, PRIOR)
    chosen = difficulty.choose(layout)
    assert chosen is not None and chosen["policy"].to_list() == [PRIOR]


def test_a_real_policy_goes_before_the_prior(layout: Layout) -> None:
    save(layout, PRIOR)
    save(layout, "zeta")
    chosen = difficulty.choose(layout)
    assert chosen is not None and chosen["policy"].to_list() == ["zeta"]


def test_two_real_policies_leave_the_choice_to_the_user(layout: Layout) -> None:
    for policy in (PRIOR, "one", "two"):
        save(layout, policy)
    with pytest.raises(UsageError, match="2 policies: one, two"):
        difficulty.choose(layout)
    for policy in ("one", "two", PRIOR):
        chosen = difficulty.choose(layout, policy)
        assert chosen is not None and chosen["policy"].to_list() == [policy]


def test_an_unknown_policy_lists_the_known_ones(layout: Layout) -> None:
    with pytest.raises(UsageError, match="there is: none"):
        difficulty.choose(layout, "x")
    save(layout, "one")
    with pytest.raises(UsageError, match="there is: one"):
        difficulty.choose(layout, "x")


def test_new_rollouts_of_a_policy_replace_its_old_ones(layout: Layout) -> None:
    save(layout, "one", 0.25)
    save(layout, "one", 0.75)
    chosen = difficulty.choose(layout)
    assert chosen is not None and chosen["success_rate"].to_list() == [0.75]
