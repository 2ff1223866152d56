"""Whether ranks hold the same state, and where they part."""

from __future__ import annotations

from typing import Any

import pytest

from qoqdata.errors import UsageError
from qoqtrain.adapters.agreement import first_difference, require_agreement
from tests.qoqtrain.adapters.small_batch import stepped


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
