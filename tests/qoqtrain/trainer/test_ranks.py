"""What a single process knows of ranks, and what it says when others are lost."""

from __future__ import annotations

from typing import Any

import pytest

from qoqdata.errors import QoqdataError, UsageError
from qoqtrain.trainer.engine.ranks import (
    Ranks,
    dead_rank,
    first_difference,
    join,
    require_agreement,
)
from tests.qoqtrain.adapters.small_batch import stepped


def test_alone_everything_is_its_own():
    ranks = Ranks()
    assert ranks.gather("x") == ["x"]
    assert ranks.total(2.5) == 2.5
    with pytest.raises(UsageError, match="broken"):
        ranks.agree(UsageError("broken"))


def test_a_launcher_that_names_no_rendezvous(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(UsageError, match="MASTER_ADDR"):
        join()


def test_a_lost_rank_is_said_in_one_line():
    error = dead_rank(1, RuntimeError("Connection closed by peer\nstack\nstack"))
    assert isinstance(error, QoqdataError)
    assert "another rank died" in str(error)
    assert "\n" not in str(error)


def test_ranks_that_differ_are_told_where() -> None:
    states = [stepped().state_dict() for _ in range(3)]
    require_agreement(states)
    states[2]["history"]["ct"]["counts"][1] += 1.0
    with pytest.raises(UsageError) as caught:
        require_agreement(states)
    assert caught.value.what == "history.ct.counts[1] is 1.0 on rank 0 and 2.0 on rank 2"


@pytest.mark.parametrize(
    ("ours", "theirs", "difference"),
    [
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}, None),
        ({"a": 1, "b": 2}, {"b": 3, "a": 1}, ("b", 2, 3)),
        ({"a": {}}, {"a": {"ct": 1}}, ("a.ct", None, 1)),
        ({"a": [1, 2]}, {"a": [1]}, ("a[1]", 2, None)),
        ({"a": [1]}, {"a": 1}, ("a", [1], 1)),
    ],
)
def test_the_first_difference(ours: Any, theirs: Any, difference: Any) -> None:
    assert first_difference(ours, theirs) == difference
