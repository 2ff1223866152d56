"""Prompts of similar length together, so that little is padded."""

from __future__ import annotations

from collections.abc import Sequence


def buckets(lengths: Sequence[int], *, rows: int, extra: int, limit: int) -> list[list[int]]:
    """Indices of prompts cut into buckets, longest first, equal lengths in the order given.

    `rows` sequences stand for each prompt (its rollouts), each as long as the bucket's longest
    prompt and `extra` tokens; a bucket holds at most `limit` such tokens, but at least one prompt.
    """
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    found: list[list[int]] = []
    for index in order:
        if found:
            tokens = (len(found[-1]) + 1) * rows * (lengths[found[-1][0]] + extra)
            if tokens <= limit:
                found[-1].append(index)
                continue
        found.append([index])
    return found
