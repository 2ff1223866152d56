"""What a single process knows of ranks, and what it says when others are lost."""

from __future__ import annotations

import pytest

from qoqdata.errors import QoqdataError, UsageError
from qoqtrain.trainer.ranks import Ranks, dead_rank, join


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
