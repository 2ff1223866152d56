"""Ages and sexes: by tables of spellings, by property, and the same by every door."""

from __future__ import annotations

import json
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from qoqdata.errors import BadLabel
from qoqdata.person import OLDEST, read_age, read_sex, stated_years
from qoqdata.readers.dicom.header import patient
from qoqdata.readers.ecg import comments
from qoqdata.records.content import Record
from qoqdata.records.rows import RecordFacts, row
from qoqdata.records.storage import StoredMedia
from qoqdata.sources import cells
from qoqdata.sources.annotation_table import read_annotations
from qoqdata.sources.mapping import Mapping, parse_mapping
from qoqdata.sources.protocol import Job
from qoqdata.sources.rawtree import RawTree

AGES = {
    "0": 0, "00": None, "000": None, "45": 45, "045": 45, "45.9": 45, " 61.5 ": 61, ".5": 0,
    "6.1e1": 61, "45,5": 45, "120": 90, "120.9": 90, "121": None, "300": None, "999": None,
    "-1": None, "-0.5": None,
    "058Y": 58, "58y": 58, "90Y": 90, "095Y": 90, "120Y": 90, "125Y": None, "999Y": None,
    "000Y": None, "0Y": None, "0.5Y": 0, "001Y": 1,
    "018M": 1, "012M": 1, "011M": 0, "000M": 0, "024m": 2, "052W": 0, "053W": 1, "106W": 2,
    "000W": 0, "010D": 0, "000D": 0, "365D": 0, "366D": 1, "731D": 2,
    "90+": 90, "95+": 90, "90 +": 90, "90Y+": 90, "65+": None, "0+": None, "300+": None,
    ">89": 90, "> 89": 90, ">=90": 90, "≥ 90": 90, ">90": 90, ">88": None, ">=89": None,
    ">300": None, "<90": None, "89-90": None,
    "58 years": 58, "18 months": 1, "1 year": 1, "3 days": 0, "6 weeks": 0, "58 yrs": 58,
    # The M of a line such as "58 M" is as likely a sex.
    "58 M": None, "58 Y": None,
    "": None, " ": None, "nan": None, "NaN": None, "inf": None, "unknown": None, "forty": None,
    "adult": None, "1_0": None, "0x10": None, "1e9": None, "4 5": None, "Y": None, "M": None,
    "045YY": None, "٤٥": None, "45²": None,
}  # fmt: skip

SEXES = {
    "M": "male", "m": "male", "Male": "male", " MAN ": "male",
    "F": "female", "f": "female", "FEMALE": "female", "woman": "female",
    "O": "other", "o": "other", "Other": "other",
}  # fmt: skip
#: Codes, other languages, the rest: for a mapping or converter to explain.
UNEXPLAINED = ["0", "1", "2", "w", "W", "H", "x", "U", "männlich", "weiblich", "femme", "MF", "?"]


@pytest.mark.parametrize(("value", "years"), AGES.items())
def test_ages_as_text(value: str, years: int | None) -> None:
    assert read_age(value) == years
    assert read_age(np.str_(value)) == years


@pytest.mark.parametrize(
    ("value", "years"),
    [
        (0, 0),
        (45, 45),
        (45.9, 45),
        (90, 90),
        (91, 90),
        (120, 90),
        (120.9, 90),
        (121, None),
        (-1, None),
        (-0.1, None),
        (10**400, None),
        (float("nan"), None),
        (float("inf"), None),
        (np.int16(7), 7),
        (np.uint8(95), 90),
        (np.float32(45.5), 45),
        (np.float64("nan"), None),
        (Fraction(91, 2), 45),
        (b"058Y", 58),
        (b"\xff", None),
        (True, None),
        (np.True_, None),
        (None, None),
        (Decimal(45), None),
        ([45], None),
        (np.array([45]), None),
    ],
)
def test_ages_as_numbers_and_other_things(value: object, years: int | None) -> None:
    assert read_age(value) == years


def test_a_birth_date_makes_zero_years_an_age() -> None:
    assert [read_age(zero, infant=True) for zero in ("000Y", "0Y", "000", "0")] == [0, 0, 0, 0]
    assert read_age("058Y", infant=True) == 58
    assert read_age("", infant=True) is None


def test_stated_years_are_not_judged() -> None:
    assert stated_years("300") == 300
    assert stated_years("000Y") == 0
    assert stated_years("018M") == 1.5
    assert stated_years(">89") == 89
    assert stated_years("old") is stated_years(-1) is stated_years(True) is None


@given(st.one_of(st.text(max_size=12), st.floats(), st.integers(), st.binary(max_size=6)))
def test_anything_is_an_age_in_range_or_none(value: object) -> None:
    age = read_age(value)
    assert age is None or (type(age) is int and 0 <= age <= 90)
    assert read_sex(value) in (None, "female", "male", "other")


@given(st.integers(0, OLDEST), st.sampled_from(["{}", "{}.0", "{},5", "{:03d}Y", " {}y ", "{}.75"]))
def test_one_age_in_every_spelling(years: int, spelling: str) -> None:
    zero = years == 0 and spelling in ("{:03d}Y", " {}y ")
    assert read_age(spelling.format(years)) == (None if zero else min(years, 90))
    assert read_age(years) == read_age(float(years)) == min(years, 90)


@given(st.integers(0, 999))
def test_months_are_years_of_twelve(months: int) -> None:
    assert read_age(f"{months:03d}M") == min(months // 12, 90)


@pytest.mark.parametrize(("value", "sex"), SEXES.items())
def test_sexes(value: str, sex: str) -> None:
    assert read_sex(value) == read_sex(np.str_(value)) == read_sex(value.encode()) == sex


@pytest.mark.parametrize("value", [*UNEXPLAINED, "", "nan", None, 0, 1, float("nan"), True, ["M"]])
def test_no_sex_is_guessed(value: object) -> None:
    assert read_sex(value) is None


# One value, one answer, by whichever door it comes in.


def in_header(age: str, sex: str, **elements: str) -> tuple[int | None, str | None]:
    dataset = Dataset()
    dataset.add_new("PatientAge", "LO", age)
    dataset.add_new("PatientSex", "LO", sex)
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return patient(dataset)


def in_comment(age: str, sex: str) -> tuple[int | None, str | None]:
    lines = [f"Age: {age}", f"Sex: {sex}"]
    return comments.age(lines)[0], comments.sex(lines)[0]


def in_table(folder: Path, age: str, sex: str) -> tuple[int | None, str | None]:
    (folder / "labels.csv").write_text(f'key,label,age,sex\na,A,"{age}",{sex}\n', encoding="utf-8")
    mapping = parse_mapping(
        Mapping,
        {
            "slug": "own_images",
            "name": "Own",
            "domain": "fundus",
            "question": "Which?",
            "options": ["A"],
            "table": {
                "file": "labels.csv",
                "key": "key",
                "labels": "label",
                "age": "age",
                "sex": "sex",
            },
        },
        source="image_table",
    )
    job: Any = Job(card=None, raw=RawTree(folder), mapping=mapping)  # type: ignore[arg-type]
    annotation = read_annotations(job, mapping).rows["a"][0]
    return annotation.age, annotation.sex


@pytest.mark.parametrize(
    ("age", "sex", "person"),
    [
        # Each stood in one of these doors and was lost, or something else, in another.
        ("125Y", "M", (None, "male")),
        ("125", "M", (None, "male")),
        ("058Y", "F", (58, "female")),
        ("018M", "O", (1, "other")),
        ("006W", "other", (0, "other")),
        ("45.5", "man", (45, "male")),
        ("45,5", "woman", (45, "female")),
        ("90+", "F", (90, "female")),
        (">89", "F", (90, "female")),
        ("95", "F", (90, "female")),
        ("000Y", "F", (None, "female")),
        ("000M", "F", (0, "female")),
        ("0", "F", (0, "female")),
    ],
)
def test_one_answer_by_every_door(
    tmp_path: Path, age: str, sex: str, person: tuple[int | None, str | None]
) -> None:
    assert in_header(age, sex) == person
    assert in_comment(age, sex) == person
    assert in_table(tmp_path, age, sex) == person


def test_what_a_table_means_by_an_unexplained_sex_is_asked_for() -> None:
    for word in UNEXPLAINED:
        assert in_header("045Y", word) == (45, None)
        assert in_comment("45", word) == (45, None)
        with pytest.raises(BadLabel, match="sex_values"):
            cells.sex(word)
        assert cells.sex(word, {word: "male"}) == "male"


@pytest.mark.parametrize(
    ("dates", "years"),
    [
        ({}, None),
        ({"PatientBirthDate": "20200101"}, None),
        ({"StudyDate": "20200301"}, None),
        ({"PatientBirthDate": "20200101", "StudyDate": "20200301"}, 0),
        ({"PatientBirthDate": "20200101", "SeriesDate": "20201231"}, 0),
        ({"PatientBirthDate": "20200101", "StudyDate": "20210301"}, None),
        ({"PatientBirthDate": "20200301", "StudyDate": "20200101"}, None),
        # One date for all is an anonymiser's too.
        ({"PatientBirthDate": "19000101", "StudyDate": "19000101"}, None),
        ({"PatientBirthDate": "", "StudyDate": "20200301"}, None),
    ],
)
def test_zero_years_in_a_header_need_a_birth_date(dates: dict[str, str], years: int | None) -> None:
    assert in_header("000Y", "F", **dates) == (years, "female")
    assert in_header("045Y", "F", **dates) == (45, "female")
    assert in_header("003M", "F", **dates) == (0, "female")


def test_a_unit_after_a_comments_number() -> None:
    assert comments.age(["Age: 18 months"]) == (1, [])
    assert comments.age(["<age>: 45,5  <sex>: F"]) == (45, [])
    assert comments.age(["age: > 89, sex: M"]) == (90, [])
    # A sex behind the number is no unit.
    assert comments.age(["Age: 58 M"]) == (58, [])
    assert comments.age(["Age: 40", "Age: 300"])[0] is None


@pytest.mark.parametrize(
    ("age", "stored"),
    [(None, None), (0, 0), (90, 90), (91, 90), (120, 90), (121, None), (999, None), (-1, None)],
)
def test_a_record_stores_an_age_or_nothing(age: int | None, stored: int | None) -> None:
    facts = RecordFacts(
        id="0" * 32, source="s", domain="ct", modality="image_2d", split="train", patient=None,
        study="s", licence="l", redistribution="allowed", raw=(), digest="d",
        algorithm="blake3", converter="c", version="1",
    )  # fmt: skip
    record = Record("diagnosis", "open", ("Which?",), "A", age=age, sex="other")
    media = StoredMedia(None, None, None)
    assert (row(record, media, facts)["age"], row(record, media, facts)["sex"]) == (stored, "other")
    assert json.dumps(row(record, media, facts)["age"])


@pytest.mark.parametrize(
    ("slug", "stated", "person"),
    [
        # 300 is how PTB-XL writes "over 89"; no other source does.
        ("ptb_xl", {"age": "300", "sex": "0"}, (90, "male")),
        ("ptb_xl", {"age": "56.0", "sex": "1"}, (56, "female")),
        ("kits23", {"age_at_nephrectomy": ">=90", "gender": "male"}, (90, "male")),
        ("kits23", {"age_at_nephrectomy": 61.5, "gender": "female"}, (61, "female")),
        (
            "kits23",
            {"age_at_nephrectomy": None, "gender": "transgender_male_to_female"},
            (None, "other"),
        ),
        ("kits23", {"age_at_nephrectomy": 200, "gender": "unknown"}, (None, None)),
    ],
)
def test_sources_with_codes_of_their_own(
    slug: str, stated: dict[str, Any], person: tuple[int | None, str | None]
) -> None:
    from importlib import import_module

    if slug == "ptb_xl":
        source = import_module("qoqdata.converters.ecg.ptb_xl.source")
        cells_ = defaultdict(str, {"ecg_id": "1", "patient_id": "1", "strat_fold": "1"})
        cells_["scp_codes"] = "{'NORM': 100.0}"
        code = source.Code(frozenset({"diagnostic"}), "NORM", "NORM")
        facts = source._unit(cells_ | stated, ("00001_lr.hea",), {"NORM": code}).facts
    else:
        source = import_module("qoqdata.converters.ct.kits23.source")
        facts = source._facts({"malignant": True} | stated)
    assert (facts["age"], facts["sex"]) == person
