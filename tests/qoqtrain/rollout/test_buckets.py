"""Buckets of prompts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qoqtrain.rollout.buckets import buckets


def test_by_hand():
    # Three rollouts a prompt, 10 tokens each behind it: 3 x (40 + 10) = 150 a prompt of 40.
    assert buckets([40, 5, 40, 6], rows=3, extra=10, limit=300) == [[0, 2], [3, 1]]
    assert buckets([40, 5], rows=3, extra=10, limit=1) == [[0], [1]]
    assert buckets([], rows=3, extra=10, limit=1) == []


@given(
    lengths=st.lists(st.integers(1, 500), max_size=30),
    rows=st.integers(1, 8),
    extra=st.integers(1, 100),
    limit=st.integers(1, 5000),
)
def test_every_prompt_once_and_within_the_limit(lengths, rows, extra, limit):
    found = buckets(lengths, rows=rows, extra=extra, limit=limit)
    assert sorted(index for bucket in found for index in bucket) == list(range(len(lengths)))
    for bucket in found:
        longest = max(lengths[index] for index in bucket)
        assert len(bucket) == 1 or len(bucket) * rows * (longest + extra) <= limit
    order = [lengths[index] for bucket in found for index in bucket]
    assert order == sorted(lengths, reverse=True)
