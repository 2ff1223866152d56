"""Calls side by side: all results, in order, and no more made ahead than is said."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from qoqdata import threads
from qoqdata.threads import computed, several


@pytest.mark.parametrize("cores", [1, 2, 4])
@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_every_item_is_called_once_and_in_order(
    cores: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One core, or one at a time, took the first item alone.
    monkeypatch.setattr(threads, "_CORES", cores)
    squares = [n * n for n in range(count)]
    assert list(computed(lambda n: n * n, range(count))) == squares
    assert list(several(lambda n: n * n, range(count), at_a_time=cores)) == squares


def test_an_item_that_is_none_is_not_the_end() -> None:
    assert list(several(str, [1, None, None, 2], at_a_time=2)) == ["1", "None", "None", "2"]


@pytest.mark.parametrize(
    ("side_by_side", "ahead"),
    [(computed, 4), (lambda call, items: several(call, items, at_a_time=2), 2)],
)
def test_no_more_is_made_ahead_than_is_said(
    side_by_side: Callable[..., Iterator[int]], ahead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "_CORES", 2)
    taken: list[int] = []

    def items() -> Iterator[int]:
        for n in range(20):
            taken.append(n)
            yield n

    results = side_by_side(lambda n: n, items())
    assert next(results) == 0
    assert taken == list(range(ahead + 1))


def test_a_fault_of_a_call_is_raised_where_its_result_would_come() -> None:
    def call(n: int) -> int:
        if n == 2:
            raise ValueError("two")
        return n

    results = computed(call, range(5))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(results)


def test_calls_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_CORES", 2)
    both = threading.Barrier(2, timeout=20)
    waited: list[Any] = list(computed(lambda _: both.wait(), range(4)))
    assert sorted(waited) == [0, 0, 1, 1]
