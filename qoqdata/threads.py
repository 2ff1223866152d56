"""Calls side by side in threads, whose results come in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from typing import Any, TypeVar

_T = TypeVar("_T")
_Item = TypeVar("_Item")
_NONE: Any = object()
#: Requests to a store at a time, which wait, and calls that compute, each of which has its arrays.
_REQUESTS, _CORES = 16, min(4, os.cpu_count() or 1)


def several(
    call: Callable[[_Item], _T], items: Iterable[_Item], *, at_a_time: int = _REQUESTS
) -> Iterator[_T]:
    """Results in order, several calls at a time; no more than these are made ahead."""
    return _in_order(call, items, at_a_time, at_a_time)


def computed(call: Callable[[_Item], _T], items: Iterable[_Item]) -> Iterator[_T]:
    """Results in order, of calls that compute outside of the interpreter, as NumPy, Arrow and
    OpenCV do. Behind one that takes long as many again are made ahead as there are cores."""
    return _in_order(call, items, _CORES, 2 * _CORES)


def _in_order(
    call: Callable[[_Item], _T], items: Iterable[_Item], at_a_time: int, ahead: int
) -> Iterator[_T]:
    rest = iter(items)
    first = list(islice(rest, ahead))
    if at_a_time < 2 or len(first) < 2:
        yield from map(call, chain(first, rest))
        return
    with ThreadPoolExecutor(min(at_a_time, len(first))) as pool:
        made = deque(pool.submit(call, one) for one in first)
        while made:
            result = made.popleft().result()
            if (one := next(rest, _NONE)) is not _NONE:
                made.append(pool.submit(call, one))
            yield result
