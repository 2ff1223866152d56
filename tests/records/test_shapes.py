"""The quick answer passes sound rows, and never one in which the exact answer finds a breach."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.contract.record import RECORD
from qoqdata.records.shapes import is_shaped, shape_breaches
from tests.records.sound_rows import ecg_row, facts, image_row, region

WINDOW = {"name": None, "centre": 40.0, "width": 400.0, "function": "LINEAR"}
ROWS = {
    "image": image_row(),
    "ECG": ecg_row(),
    "window without a name": image_row(image_info=[facts(window=WINDOW)]),
    "two boxes": image_row(regions=[region(), region(role="given", reader="r1")]),
    "empty lists": image_row(labels=[], uncertain=[], absent=[], regions=[]),
    "number": image_row(kind="number", number={"value": 1.0, "unit": None, "tolerance": 0.0}),
}

#: What may stand in place of any value: nulls, other types and vocabularies, lists with holes.
INJECTED = st.sampled_from(
    [None, "x", "train", "ecg", 3, [], {}, [None], ["Opacity", None], [{}], [[None]], {"name": "x"}]
)


@pytest.mark.parametrize("name", ROWS)
def test_rows_of_sound_shape_are_told_quickly(name: str) -> None:
    assert list(shape_breaches(ROWS[name], RECORD)) == []
    assert is_shaped(ROWS[name])


@given(st.sampled_from(sorted(ROWS)), st.data())
def test_a_row_with_a_breach_is_never_taken_for_sound(name: str, data: st.DataObject) -> None:
    row = copy.deepcopy(ROWS[name])
    for _ in range(data.draw(st.integers(1, 3))):
        place: Any = row
        # Down into a random column, member or item.
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = data.draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and data.draw(st.booleans()):
                place = place[key]
                continue
            if isinstance(place, dict) and data.draw(st.booleans()):
                change = data.draw(st.sampled_from(["remove", "add"]))
                place.pop(key) if change == "remove" else place.update(unheard=1)
            else:
                # A copy: the next change may go into it.
                place[key] = copy.deepcopy(data.draw(INJECTED))
            break
    try:
        breaches = list(shape_breaches(row, RECORD))
    except (TypeError, KeyError, AttributeError):
        # Not even the exact answer can walk it; then the quick one must not pass it.
        assert not is_shaped(row)
    else:
        assert not (breaches and is_shaped(row))
