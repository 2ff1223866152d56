"""Calls side by side in threads, whose results come in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

_T = TypeVar("_T")
_Item = TypeVar("_Item")
#: At a time: requests to a store, which wait; what computes outside of the interpreter, such as
#: NumPy, Arrow and OpenCV, and holds its arrays meanwhile.
REQUESTS, COMPUTING = 16, min(4, os.cpu_count() or 1)


def several(
    call: Callable[[_Item], _T], items: Iterable[_Item], *, at_a_time: int = REQUESTS
) -> Iterator[_T]:
    """Results in order, several calls at a time; no more than these are made ahead."""
    rest = iter(items)
    first = list(islice(rest, at_a_time))
    if len(first) < 2:
        yield from map(call, first)
        return
    with ThreadPoolExecutor(len(first)) as pool:
        ahead = deque(pool.submit(call, one) for one in first)
        while ahead:
            result = ahead.popleft().result()
            if (one := next(rest, None)) is not None:
                ahead.append(pool.submit(call, one))
            yield result
