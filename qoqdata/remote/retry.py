"""Trying again what may pass."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from qoqdata.errors import DatasetError
from qoqdata.remote.faults import explained, missing, transient

#: Seconds before each further attempt, half to one and a half times, so that ranks spread.
WAITS = (0.5, 1.0, 2.0, 4.0)

_T = TypeVar("_T")


def retried(attempt: Callable[[], _T], *, url: str) -> _T:
    """The result of `attempt`, called up to `1 + len(WAITS)` times while its faults may pass.

    A DatasetError of `attempt` is damage: it gets one more try, as whole files are at stake.
    Raises FileNotFoundError when the store says that there is no such file, else the DatasetError
    or UsageError that `faults.explained` makes of the last fault.
    """
    damaged = False
    for wait in (*WAITS, None):
        try:
            return attempt()
        except Exception as error:
            if missing(error):
                raise FileNotFoundError(url) from error
            if wait is None or damaged or not transient(error):
                raise explained(error, url) from error
            damaged = isinstance(error, DatasetError)
        time.sleep(wait * random.uniform(0.5, 1.5))
    raise AssertionError("unreachable: the last attempt returns or raises")
