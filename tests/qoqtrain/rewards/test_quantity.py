"""A number and its unit, read from an answer and held against the right one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.errors import UsageError
from qoqdata.units import unit_name
from qoqtrain.rewards.quantity import quantity
from tests.qoqtrain.rewards.responses import one, respond


@pytest.mark.parametrize(
    ("answer", "unit", "value"),
    [
        ("12.5 mm", "mm", 12.5),
        ("12.5", "mm", 12.5),
        ("**12.5** mm", "mm", 12.5),
        ("$12$ mm", "mm", 12),
        ("12-mm", "mm", 12),
        ("12 millimetres.", "mm", 12),
        ("12 mm in diameter", "mm", 12),
        ("12 (approx.)", "mm", 12),
        ("EF = 55 \\%", "%", 55),
        ("55 percent", "%", 55),
        ("-35 HU", "[hnsf'U]", -35),
        ("\u221235 hu", "[hnsf'U]", -35),
        ("EF - 55 %", "%", 55),
        ("72 bpm", "{beats}/min", 72),
        ("72 beats per minute", "/min", 72),
        ("1,200 mL", "mL", 1200),
        ("4 cm\u00b3", "mL", 4),
        ("4 cm^{3}", "cm3", 4),
        ("4 cc", "mL", 4),
        ("120 mm Hg", "mm[Hg]", 120),
        ("\\text{45 ms}", "ms", 45),
        ("45\\,ms", "ms", 45),
        ("T2 45 ms", "ms", 45),
        ("2 \u00b5m", "um", 2),
        ("2 \\mu m", "um", 2),
        ("30^\\circ", "deg", 30),
        ("3.2 \\times 10^{3} mL", "mL", 3200),
        ("3*10^2 mL", "mL", 300),
        ("1e3 mm", "mm", 1000),
        ("-.5", "mm", -0.5),
        ("5 lesions", None, 5),
        ("5", "{lesions}", 5),
        ("5", "1", 5),
        ("40 mL/m2", "mL/m2", 40),
    ],
)
def test_numbers_that_are_read(answer: str, unit: str | None, value: float) -> None:
    assert quantity(answer, unit) == (pytest.approx(value), "ok", None)


@pytest.mark.parametrize(
    "answer",
    [
        "five",
        "",
        "10-14 mm",
        "10\u201314 mm",
        "3 or 4",
        "1/2",
        "\\frac{1}{2}",
        "12 \u00b1 2 mm",
        "1.2 cm (12 mm)",
        "< 5 mm",
        "\u2265 5",
        "\\geq 5",
        "12,5 mm",
        "1,2345 mm",
        "12.5.3",
        "10\u00b2",
        "2**3",
        "5^2",
        "1e999",
        "9" * 300,
    ],
)
def test_what_is_no_one_number_is_unparsable(answer: str) -> None:
    value, status, reason = quantity(answer, "mm")
    assert (value, status) == (None, "unparsable") and reason


@pytest.mark.parametrize(
    ("answer", "unit"),
    [
        ("1.2 cm", "mm"),
        ("12 pixels", "mm"),
        ("12 quux", "mm"),
        ("120 mm Hg", "mm"),
        ("12 mm2", "mm"),
        ("0.5 %", "1"),
        ("5 mm", None),
        ("40 mL", "mL/m2"),
        ("2 h", "min"),
    ],
)
def test_another_unit_is_named_and_not_converted(answer: str, unit: str | None) -> None:
    value, status, reason = quantity(answer, unit)
    assert (value, status) == (None, "wrong_unit") and str(reason).startswith("the answer is in")


@given(st.floats(-1e6, 1e6), st.sampled_from(["mm", "%", "{beats}/min", None, "mm[Hg]"]))
def test_what_is_written_plainly_is_read_back(value: float, unit: str | None) -> None:
    name = "" if unit is None else unit_name(unit)
    assert quantity(f"{value!r} {name}", unit).value == value


@given(st.text(st.sampled_from("0123456789.,-+e^*x\u00d7 <mc%\\{}"), max_size=256))
def test_no_answer_raises(answer: str) -> None:
    value, status, _ = quantity(answer, "mm")
    assert (value is None) == (status != "ok")


def measured(answer: str, **number: Any) -> dict[str, Any]:
    truth = {
        "kind": "number",
        "answer": "12.3 mm",
        "number": {"value": 12.3, "unit": "mm", **number},
    }
    return one(respond(answer), truth, "accuracy")


@pytest.mark.parametrize(
    ("answer", "tolerance", "right"),
    [
        ("12.3 mm", 0, True),
        ("12.30", 0, True),
        ("12.4 mm", 0, False),
        ("12.4 mm", 0.1, True),  # 12.4 - 12.3 is 0.0999... or 0.1000...1 in binary
        ("12.2", 0.1, True),
        ("12.41", 0.1, False),
        ("1.23 cm", 5, False),
        ("about", 5, False),
    ],
)
def test_a_quantity_is_right_within_its_tolerance(
    answer: str, tolerance: float, right: bool
) -> None:
    assert measured(answer, tolerance=tolerance)["answer"] == float(right)


def test_statuses_reach_the_score() -> None:
    found = measured("1.23 cm", tolerance=5)
    assert (found["status"]["answer"], found["number"]) == ("wrong_unit", None)
    assert measured("about")["status"]["answer"] == "unparsable"
    read = measured("11 mm")
    assert (read["status"]["answer"], read["number"], read["labels"]) == ("ok", 11.0, None)
    assert one("no box", {"kind": "number", "number": {"value": 1}})["answer"] == 0.0
    assert one(respond("1"), {"kind": "number", "answer": "1"})["answer"] is None
    with pytest.raises(UsageError, match="is no number"):
        one(respond("1"), {"kind": "number", "number": "12 mm"})
    with pytest.raises(UsageError, match="kind 'quantity'"):
        one(respond("1"), {"kind": "quantity", "answer": "1"})
