"""Rows of a verl batch: padding, ragged groups, sessions with several outputs; options."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.errors import DatasetError, UsageError
from qoqtrain.adapters.verl_inputs import drpo_of, sessions_of
from tests.records.sound_rows import image_row
from tests.statistics.written import write_stats
from tests.validation.written_set import write

PAD = {"is_padding": True}


def test_padding_and_earlier_outputs_do_not_count() -> None:
    rows: list[tuple[str, dict[str, Any]]] = [
        ("a_0_0", {}),
        ("padf00d_0_0", PAD),
        ("a_1_1", {}),
        ("b_0_0", {}),
        ("a_1_0", {}),
        ("padf00d_1_0", {}),  # the name alone tells
    ]
    keys, tags = zip(*rows, strict=True)
    sessions = sessions_of(keys, tags)
    assert sessions.last.tolist() == [0, 2, 3]
    assert sessions.questions == ("a", "a", "b")
    assert sessions.session.tolist() == [0, -1, 1, 2, 1, -1]
    assert sessions.spread(np.array([0.5, -0.5, 2.0])).tolist() == [0.5, 0, -0.5, 2.0, -0.5, 0]


def test_the_tag_alone_tells_padding_too() -> None:
    sessions = sessions_of(["a_0_0", "b_0_0"], [{}, PAD])
    assert sessions.questions == ("a",) and sessions.session.tolist() == [0, -1]


def test_outputs_are_counted_as_numbers() -> None:
    keys = [f"a_0_{output}" for output in (9, 10, 2)]
    assert sessions_of(keys, [{}] * 3).last.tolist() == [1]


def test_uids_may_hold_underscores() -> None:
    sessions = sessions_of(["my_set_7_0_0", "my_set_7_1_0"], [{}] * 2)
    assert sessions.questions == ("my_set_7", "my_set_7")


@pytest.mark.parametrize("key", ["a", "a_0", "a_0_x", "_0_0", "a__0", ""])
def test_another_form_of_key_is_refused(key: str) -> None:
    with pytest.raises(UsageError, match="uid_session_output"):
        sessions_of([key], [{}])


@given(
    groups=st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=4), max_size=4),
    padding=st.integers(0, 3),
    seed=st.integers(0, 99),
)
def test_any_order_of_the_rows_gives_the_same_rollouts(
    groups: list[list[int]], padding: int, seed: int
) -> None:
    """`groups`: outputs of each session of each question, ragged as they come."""
    keys = [
        f"q{q}_{s}_{o}"
        for q, group in enumerate(groups)
        for s, outputs in enumerate(group)
        for o in range(outputs)
    ] + [f"pad_{i}_0" for i in range(padding)]
    random.Random(seed).shuffle(keys)
    sessions = sessions_of(keys, [{}] * len(keys))
    found = sorted(keys[row] for row in sessions.last)
    assert found == sorted(
        f"q{q}_{s}_{outputs - 1}"
        for q, group in enumerate(groups)
        for s, outputs in enumerate(group)
    )
    assert [keys[row].split("_")[0] for row in sessions.last] == list(sessions.questions)
    members = defaultdict(set)
    for key, session in zip(keys, sessions.session.tolist(), strict=True):
        members[session].add(key.rpartition("_")[0] if session >= 0 else "pad")
    assert all(len(names) == 1 for names in members.values())
    spread = sessions.spread(np.arange(1.0, len(sessions.last) + 1))
    assert spread.tolist() == [session + 1 for session in sessions.session.tolist()]


def test_an_estimator_from_options(tmp_path: Path) -> None:
    drpo, column = drpo_of({"priors": {"ct": 90}, "settings": {"alpha": 0.5}})
    assert (column, drpo.settings.alpha, drpo.priors.domains["ct"].n_records) == ("domain", 0.5, 90)
    drpo, column = drpo_of({"preset": "grpo", "domain_key": "source", "domain_column": "data"})
    assert (drpo.domain_key, column, drpo.settings.alpha) == ("source", "data", 0.0)
    dataset = write(tmp_path / "set", [image_row(id=f"r{i}", patient=f"p{i}") for i in range(3)])
    with pytest.raises(DatasetError, match="no statistics yet"):
        drpo_of({"dataset": str(dataset.root)})
    stats = write_stats(dataset)
    drpo, _ = drpo_of({"dataset": str(dataset.root)})
    assert drpo.priors.digest == stats.digest
    assert {prior.n_records for prior in drpo.priors.domains.values()} == {3}
    with pytest.raises(UsageError, match="unknown DRPO options: colour"):
        drpo_of({"colour": "red"})
