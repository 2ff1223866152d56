"""Records are sorted as a stable sort sorts their values, unknown ones last, whatever they are."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.viewer.selection import _order

AGES = st.integers(0, 90).map(float)
COUNTS = st.integers(0, 70_000).map(float)
RATES = st.floats(0, 1, width=32)
UNKNOWN = st.just(float("nan"))


@given(st.one_of(*(st.lists(kind | UNKNOWN) for kind in (AGES, COUNTS, RATES))), st.booleans())
def test_the_order_is_that_of_a_stable_sort(values: list[float], descending: bool) -> None:
    rows = range(len(values))
    unknown = [row for row in rows if np.isnan(values[row])]
    known = [row for row in rows if not np.isnan(values[row])]
    # Python's sort keeps equal ones in order, also in reverse.
    known.sort(key=lambda row: values[row], reverse=descending)
    assert _order(np.array(values, np.float32), descending).tolist() == [*known, *unknown]
