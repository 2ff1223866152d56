"""Age and sex by study, against numbers by hand."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from qoqdata.description.people import people_by_age, people_by_domain, study_people
from tests.records.sound_rows import ecg_row, image_row
from tests.validation.written_set import write


def record(number: int, study: str, age: int | None, sex: str | None, **more: object) -> dict:
    return image_row(id=f"{number:032x}", study=study * 32, age=age, sex=sex, **more)


@pytest.fixture
def studies(tmp_path: Path) -> pl.DataFrame:
    """Five films and one ECG; a study's age and sex are those that its records state."""
    rows = [
        record(1, "a", 40, "female"),
        record(2, "a", 40, None),  # the same study, which says it once
        record(3, "b", 90, "male"),
        record(4, "c", 50, "male"),
        record(5, "c", 51, "female"),  # contradicts the record before
        record(6, "d", None, None),
        record(7, "e", 7, "other"),
        ecg_row(id="f" * 32, source="films", study="f" * 32, age=69, sex="male"),
    ]
    dataset = write(tmp_path / "set", rows)
    return study_people(dataset, dataset.kept())


def test_a_study_counts_once_and_contradictions_as_none(studies: pl.DataFrame) -> None:
    films = studies.filter(domain="chest_xray").sort("study")
    assert films["age"].to_list() == [40, 90, None, None, 7]
    assert films["sex"].to_list() == ["female", "male", "conflicting", "unstated", "other"]
    assert films["age_conflicts"].to_list() == [False, False, True, False, False]


def test_by_domain(studies: pl.DataFrame) -> None:
    films, ecg, everything = people_by_domain(studies).to_dicts()
    assert films == {
        "domain": "chest_xray",
        "studies": 5,
        "aged": 3,
        # Of 7, 40 and 90: the median is 40, the quartiles lie halfway to it.
        "median": 40.0,
        "low": 23.5,
        "high": 65.0,
        "female": 1,
        "male": 1,
        "other": 1,
        "unstated": 1,
        "conflicting": 1,
    }
    assert (ecg["domain"], ecg["studies"], ecg["median"], ecg["male"]) == ("ecg", 1, 69.0, 1)
    assert everything["domain"] is None and everything["studies"] == 6
    assert everything["median"] == (40 + 69) / 2


def test_by_age(studies: pl.DataFrame) -> None:
    bands = people_by_age(studies)
    assert bands["ages"].to_list() == [
        *("0-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70-79", "80-89"),
        *("90+", "unstated"),
    ]
    assert dict(zip(bands["ages"], bands["male"], strict=True)) | {} == {
        **dict.fromkeys(bands["ages"], 0),
        "60-69": 1,
        "90+": 1,
    }
    assert bands.filter(ages="0-9")["other"].item() == 1
    assert bands.filter(ages="unstated").to_dicts() == [
        {"ages": "unstated", "female": 0, "male": 0, "other": 0, "unstated": 1, "conflicting": 1}
    ]
    assert bands.drop("ages").sum_horizontal().sum() == 6
