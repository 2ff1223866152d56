"""Units, calibration and the comments of a header."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.readers.ecg import comments
from qoqdata.readers.ecg.units import millivolts_per, to_millivolts


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("mV", 1.0),
        ("mv", 1.0),
        ("MV", 1.0),
        ("millivolts", 1.0),
        ("uV", 1e-3),
        ("uv", 1e-3),
        ("\u00b5V", 1e-3),
        ("\u03bcV", 1e-3),
        ("microvolt", 1e-3),
        ("V", 1e3),
        ("volts", 1e3),
        ("nV", 1e-6),
        ("", 1.0),
        (" mV ", 1.0),
    ],
)
def test_voltages(unit: str, factor: float) -> None:
    assert millivolts_per(unit) == factor


@pytest.mark.parametrize(
    "unit", ["NV", "NU", "nv", "mmHg", "%", "adu", "m", "undef", "mV/s", "kV?"]
)
def test_what_is_no_voltage(unit: str) -> None:
    assert millivolts_per(unit) is None


@given(st.text(max_size=8))
def test_any_text_has_a_positive_factor_or_none(unit: str) -> None:
    factor = millivolts_per(unit)
    assert factor is None or factor > 0


@given(
    st.integers(-(2**31), 2**31 - 1),
    st.floats(0.01, 1e7),
    st.integers(-(2**31), 2**31 - 1),
    st.sampled_from(["mV", "uV", "V", "nV"]),
)
def test_the_same_voltage_in_any_unit(sample: int, gain: float, baseline: int, unit: str) -> None:
    factor = millivolts_per(unit)
    assert factor is not None
    stored = np.array([sample])
    reference = to_millivolts(stored, gain, baseline, 1.0)
    assert to_millivolts(stored, gain * factor, baseline, factor) == pytest.approx(
        reference, rel=1e-12
    )


def test_calibration_by_hand() -> None:
    # 1224 at 200 per mV around 1024 is 1 mV; the same gain per uV is 1 uV = 0.001 mV.
    assert to_millivolts(np.array([1224], np.int16), 200.0, 1024, 1.0).tolist() == [1.0]
    assert to_millivolts(np.array([1224], np.int16), 200.0, 1024, 1e-3).tolist() == [0.001]


@pytest.mark.parametrize(
    ("lines", "years"),
    [
        (["Age: 85"], 85),
        (["age: 81"], 81),
        (["<age>: 53  <sex>: F  <diagnoses> (none)"], 53),
        (["Age: 57.0"], 57),
        (["Age: NaN"], None),
        (["Age: Unknown"], None),
        (["Age:"], None),
        (["Age: -3"], None),
        (["Page: 12", "average: 7"], None),
        (["Age: 40", "age: 40"], 40),
        ([], None),
    ],
)
def test_age(lines: list[str], years: int | None) -> None:
    assert comments.age(lines) == (years, [])


def test_implausible_and_contradictory_ages_are_left_out_and_noted() -> None:
    assert comments.age(["Age: 300"]) == (None, ["the stated age is above 120; age left out"])
    years, notes = comments.age(["Age: 40", "Age: 50"])
    assert years is None and "different ages" in notes[0]


@pytest.mark.parametrize(
    ("line", "sex"),
    [
        ("Sex: Male", "male"),
        ("Sex: Female", "female"),
        ("sex: f", "female"),
        ("Gender: M", "male"),
        ("<age>: 53 <sex>: F", "female"),
        ("Sex: Unknown", None),
        ("Sex: NaN", None),
        ("Sx: Unknown", None),
        ("Sex: 1", None),
    ],
)
def test_sex(line: str, sex: str | None) -> None:
    assert comments.sex([line]) == (sex, [])


def test_contradictory_sexes_are_left_out_and_noted() -> None:
    sex, notes = comments.sex(["Sex: M", "Sex: F"])
    assert sex is None and len(notes) == 1


@pytest.mark.parametrize(
    ("lines", "codes"),
    [
        (["Dx: 164889003,59118001,164934002"], ("164889003", "59118001", "164934002")),
        (["Dx:426177001"], ("426177001",)),
        (["dx : 1 , 2,2,"], ("1", "2")),
        (["Dx: RBBB"], ("RBBB",)),
        (["Dx: Unknown"], ()),
        (["Dx:"], ()),
        (["Rx: 5", "Hx: 6"], ()),
        (["Dx: 1", "Dx: 2"], ("1", "2")),
        ([], ()),
    ],
)
def test_dx(lines: list[str], codes: tuple[str, ...]) -> None:
    assert comments.dx(lines) == codes
