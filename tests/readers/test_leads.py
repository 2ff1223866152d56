"""Lead names, canonical order, duplicates, Einthoven and Goldberger."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.errors import UnreadableFile
from qoqdata.readers.ecg.leads import (
    ORDER,
    TWELVE,
    arrange,
    canonical,
    derive_limb,
)
from tests.readers.einthoven import einthoven_residuals


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("AVR", "aVR"),
        ("avl", "aVL"),
        ("aVF", "aVF"),
        ("aV R", "aVR"),
        ("i", "I"),
        ("ii", "II"),
        ("DIII", "III"),
        ("dI", "I"),
        ("v1", "V1"),
        ("V 6", "V6"),
        ("V_2", "V2"),
        ("vx", "X"),
        ("VZ", "Z"),
        ("y", "Y"),
        ("Lead I (Einthoven)", "I"),
        ("Lead aVR", "aVR"),
        ("ECG II", "II"),
        ("ECG lead V3", "V3"),
        ("MDC_ECG_LEAD_V5", "V5"),
        ("lead-II", "II"),
        ("II (mV)", "II"),
        ("  V4  ", "V4"),
        ("v4r", "V4R"),
        ("V9", "V9"),
    ],
)
def test_known_spellings(written: str, name: str) -> None:
    assert canonical(written) == name


@pytest.mark.parametrize(
    "name",
    [
        "MLII",
        "MLI",
        "-aVR",
        "V1-V2",
        "C3",
        "C4",
        "V",
        "ECG",
        "ECG1",
        "PLETH",
        "V10",
        "IV",
        "aVX",
        "",
    ],
)
def test_other_leads_keep_their_names(name: str) -> None:
    assert canonical(name) == name


@given(st.sampled_from(ORDER), st.data())
def test_every_case_and_padding_of_a_standard_lead_is_known(lead: str, data: st.DataObject) -> None:
    upper = data.draw(st.lists(st.booleans(), min_size=len(lead), max_size=len(lead)))
    spelled = "".join(c.upper() if up else c.lower() for c, up in zip(lead, upper, strict=True))
    prefix = data.draw(
        st.sampled_from(["", "lead ", "Lead_", "ECG ", "ecg lead ", "MDC_ECG_LEAD_"])
    )
    assert canonical(f" {prefix}{spelled}\t") == lead


@given(st.text(max_size=20))
def test_canonical_is_idempotent(name: str) -> None:
    assert canonical(canonical(name)) == canonical(name)


@given(st.permutations(ORDER))
def test_arrange_sorts_any_order_and_points_back(order: list[str]) -> None:
    signals = [np.full(3, k, np.float32) for k in range(len(order))]
    names, indices, repairs = arrange(order, signals, where="x")
    assert names == ORDER
    assert [order[index] for index in indices] == list(ORDER)
    assert repairs == []


def test_mimic_order_with_avf_before_avl() -> None:
    written = ["I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6"]
    names, indices, _ = arrange(written, [np.full(1, k) for k in range(12)], where="x")
    assert names == TWELVE
    assert indices == [0, 1, 2, 3, 5, 4, 6, 7, 8, 9, 10, 11]


def test_others_follow_in_file_order() -> None:
    written = ["PLETH", "v5", "ABP", "II"]
    names, indices, _ = arrange(written, [np.full(1, k) for k in range(4)], where="x")
    assert names == ("II", "V5", "PLETH", "ABP")
    assert indices == [3, 1, 0, 2]


def test_identical_copies_of_a_lead_become_one() -> None:
    same = np.arange(5)
    names, indices, repairs = arrange(["II", "ii"], [same, same.copy()], where="x")
    assert (names, indices) == (("II",), [0])
    assert "twice" in repairs[0]


def test_two_signals_that_claim_one_lead_are_refused() -> None:
    with pytest.raises(UnreadableFile, match="both lead II"):
        arrange(["II", "ii"], [np.arange(5), np.arange(5) + 1], where="x")


def test_other_repeated_and_empty_names_are_numbered() -> None:
    signals = [np.full(2, k) for k in range(4)]
    names, _, repairs = arrange(["ECG", "ECG", "", "ECG"], signals, where="x")
    assert names == ("ECG", "ECG #2", "signal 2", "ECG #3")
    assert len(repairs) == 3


def test_derived_limb_leads_by_hand() -> None:
    derived = derive_limb(np.array([1.0]), np.array([3.0]))
    assert {name: float(value[0]) for name, value in derived.items()} == {
        "III": 2.0,
        "aVR": -2.0,
        "aVL": -0.5,
        "aVF": 2.5,
    }


def _limb_record(rng: np.random.Generator) -> dict[str, np.ndarray]:
    one, two = rng.normal(size=(2, 400))
    return {"I": one, "II": two, **derive_limb(one, two)}


def test_residuals_vanish_for_consistent_leads_and_name_the_wrong_one() -> None:
    record = _limb_record(np.random.default_rng(0))
    names, signal = tuple(record), np.stack(list(record.values())).astype(np.float32)
    valid = np.ones(signal.shape, bool)
    assert max(einthoven_residuals(names, signal, valid).values()) < 1e-6
    inverted = signal.copy()
    inverted[names.index("aVL")] *= -1
    residuals = einthoven_residuals(names, inverted, valid)
    expected = 2 * np.sqrt(np.mean(signal[names.index("aVL")].astype(float) ** 2))
    assert residuals["aVL"] == pytest.approx(expected, rel=1e-5)
    assert max(residuals[name] for name in ("III", "aVR", "aVF")) < 1e-6


def test_residuals_see_swapped_limb_leads_and_skip_masked_samples() -> None:
    record = _limb_record(np.random.default_rng(1))
    names, signal = tuple(record), np.stack(list(record.values())).astype(np.float32)
    valid = np.ones(signal.shape, bool)
    swapped = signal.copy()
    swapped[[0, 1]] = signal[[1, 0]]
    assert einthoven_residuals(names, swapped, valid)["III"] > 1.0
    spoiled = signal.copy()
    spoiled[2, :50] = 99.0
    valid[2, :50] = False
    assert einthoven_residuals(names, spoiled, valid)["III"] < 1e-6
    valid[0] = False
    assert einthoven_residuals(names, spoiled, valid) == {}
    assert einthoven_residuals(names[1:], signal[1:], valid[1:]) == {}
