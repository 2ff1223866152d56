"""BrixIA: six digits, whose scores they are, and which films are of the test part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qoqdata.errors import BadTable, Misaligned, MissingKey
from qoqdata.pipeline.planning import make_plan
from qoqdata.records.content import Record
from qoqdata.simulation import write_csv, write_dicom
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Job, Planned, Refused, Skipped, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("brixia")
OPTIONS = {name: option.default for name, option in SOURCE.card.options.items()}
SCORED: dict[str, Any] = {
    "Filename": "7.dcm",
    "BrixiaScore": "012003",
    "BrixiaScoreGlobal": 6,
    "ConsensusTestset": 0,
    "Subject": 31,
    "Sex": "F",
    "AgeAtStudyDateFiveYear": 12,
    "Rows": 20,
    "Columns": 30,
}
#: Zone by zone the mode of five readers, and that of their sums, which is another number.
AGREED = {"Filename": "9.dcm"} | {f"Mode{zone}": 1 for zone in "ABCDEF"} | {"ModeGlobal": 7}
AGREED |= {f"Mean{of}": "1.2" for of in (*"ABCDEF", "Global")}
#: The test part is never empty.
OTHER = SCORED | {"Filename": "9.dcm", "ConsensusTestset": 1, "Subject": 32}


def _planned(
    raw: Path, *rows: dict[str, Any], agreed: dict[str, Any] = AGREED, **dicom: Any
) -> tuple[dict[str, Planned], Job]:
    write_csv(raw / "metadata_global_v2.csv", [*rows, OTHER], separator=";")
    write_csv(raw / "metadata_consensus_v1.csv", [agreed])
    ramp = np.linspace(0, 4095, 600).reshape(20, 30).astype(np.uint16)
    for row in (*rows, OTHER):
        name = str(row["Filename"]).removesuffix(".dcm")
        write_dicom(raw / f"dicom_clean/{name}.dcm", ramp, BitsStored=12, HighBit=11, **dicom)
    job = Job(SOURCE.card, open_raw(raw), OPTIONS)
    return {one.key: one for one in SOURCE.plan(job)}, job


def _asked(raw: Path, row: dict[str, Any], **more: Any) -> dict[str, Record | Skipped]:
    """What comes of one row, by task, and by item for the zones."""
    planned, job = _planned(raw, row, **more)
    unit = planned["7"]
    assert isinstance(unit, Unit)
    return {one.item or one.task: one for one in SOURCE.convert(unit, job)}


def _answers(asked: dict[str, Record | Skipped]) -> dict[str, str]:
    return {name: one.answer for name, one in asked.items() if isinstance(one, Record)}


def test_digits_go_from_the_right_lung_to_the_left(tmp_path: Path) -> None:
    """A to C are the right lung from above, D to F the left one; worse is the larger sum."""
    asked = _asked(tmp_path, SCORED | {"BrixiaScore": "012113", "BrixiaScoreGlobal": 8})
    answers = _answers(asked)
    assert {zone: answers[zone] for zone in "ABCDEF"} == dict(zip("ABCDEF", "012113", strict=True))
    assert (answers["score"], answers["side"]) == ("8", "Left")
    zones = asked["zones"]
    assert isinstance(zones, Record)
    assert zones.absent == ("Right upper",)
    assert zones.labels == (
        "Right middle",
        "Right lower",
        "Left upper",
        "Left middle",
        "Left lower",
    )
    zone_b = asked["B"]
    assert isinstance(zone_b, Record) and zone_b.number is not None
    assert all("right middle" in form for form in zone_b.forms)
    assert zone_b.number.value == 1


def test_a_score_of_zero_is_on_the_scale(tmp_path: Path) -> None:
    """A film without infiltrates has a score as any other; where they are is not asked."""
    asked = _asked(tmp_path, SCORED | {"BrixiaScore": "000000", "BrixiaScoreGlobal": 0})
    answers = _answers(asked)
    assert answers == dict.fromkeys((*"ABCDEF", "score"), "0")
    assert isinstance(asked["zones"], Skipped) and isinstance(asked["side"], Skipped)
    assert SOURCE.card.tasks["score"].options == tuple(map(str, range(19)))


@pytest.mark.parametrize("cell", ["12003", "12003.0", "012003"])
def test_leading_zeros_are_restored(tmp_path: Path, cell: str) -> None:
    """A spreadsheet made a number of the digits; they still add up, so nothing else is lost."""
    asked = _asked(tmp_path, SCORED | {"BrixiaScore": cell})
    answers, score = _answers(asked), asked["score"]
    assert [answers[zone] for zone in "ABCDEF"] == list("012003")
    assert isinstance(score, Record)
    assert ("leading zeros of the score restored" in score.notes) == (cell != "012003")


@pytest.mark.parametrize(
    "change",
    [
        {"BrixiaScore": "014003", "BrixiaScoreGlobal": 8},
        {"BrixiaScore": "0120030", "BrixiaScoreGlobal": 6},
        {"BrixiaScore": "-12003"},
        {"BrixiaScore": ""},
        {"BrixiaScoreGlobal": 7},
        {"BrixiaScoreGlobal": ""},
        {"ConsensusTestset": ""},
        {"ConsensusTestset": 1},
        {"Subject": ""},
        {"Sex": "9"},
    ],
)
def test_rows_that_contradict_themselves_are_refused(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    """A digit above 3, a wrong sum, no subject, a consensus that is not there, an odd sex."""
    planned, _ = _planned(tmp_path, SCORED | change)
    assert isinstance(planned["7"], Refused)


def test_the_consensus_is_asked_for_where_it_exists(tmp_path: Path) -> None:
    """Its total is the mode of totals, and the single reader's digits are in the notes."""
    planned, job = _planned(tmp_path, SCORED)
    unit = planned["9"]
    assert isinstance(unit, Unit) and unit.split == "test"
    score = next(one for one in SOURCE.convert(unit, job) if one.task == "score")
    assert isinstance(score, Record) and score.answer == "7"
    assert "single reader: 012003" in score.notes
    assert score.notes[-1].startswith("mode of five readers, whose means are 1.2 ")


@pytest.mark.parametrize("mode", ["", "1.5", "4"])
def test_a_mode_that_is_no_score_is_refused(tmp_path: Path, mode: str) -> None:
    """The single reader does not stand in for it."""
    planned, _ = _planned(tmp_path, SCORED, agreed=AGREED | {"ModeC": mode})
    refused = planned["9"]
    assert isinstance(refused, Refused) and refused.split == "test"


def test_the_test_part_takes_its_subjects_along(tmp_path: Path) -> None:
    """No film of a subject is in train while another is in test, also when that one is lost."""
    rows = [SCORED | {"Filename": f"{n}.dcm", "Subject": 32} for n in range(3)]
    _, job = _planned(tmp_path, *rows)
    assert [unit.split for unit in make_plan(SOURCE, job).units] == ["test"] * 4
    write_csv(tmp_path / "metadata_consensus_v1.csv", [AGREED | {"ModeA": ""}])
    assert [unit.split for unit in make_plan(SOURCE, job).units] == ["test"] * 3


def test_a_consensus_film_of_unknown_subject_refuses_the_source(tmp_path: Path) -> None:
    """Its subject's other films would be trained on."""
    with pytest.raises(MissingKey, match="8, a film of the consensus"):
        _planned(tmp_path, SCORED, agreed=AGREED | {"Filename": "8.dcm"})
    nobody = SCORED | {"ConsensusTestset": 1, "Subject": ""}
    with pytest.raises(MissingKey, match="no Subject"):
        _planned(tmp_path, nobody)


def test_white_is_white_in_both_photometric_interpretations(tmp_path: Path) -> None:
    """The whole range of grey is shown, and MONOCHROME1 is turned round."""
    for how, ends in (("MONOCHROME2", (0, 255)), ("MONOCHROME1", (255, 0))):
        asked = _asked(tmp_path / how, SCORED, PhotometricInterpretation=how)
        score = asked["score"]
        assert isinstance(score, Record) and score.images is not None
        pixels = score.images[0].pixels
        assert (pixels[0, 0], pixels[-1, -1]) == ends


def test_a_film_of_another_size_is_another_film(tmp_path: Path) -> None:
    """The table says how large it is."""
    planned, job = _planned(tmp_path, SCORED | {"Rows": 30, "Columns": 20})
    unit = planned["7"]
    assert isinstance(unit, Unit)
    with pytest.raises(Misaligned, match="the table says"):
        SOURCE.convert(unit, job)


def test_films_meet_rows_by_name_and_once(tmp_path: Path) -> None:
    """One without a row and one in two folders are refused, each by name."""
    _, job = _planned(tmp_path, SCORED)
    film = (tmp_path / "dicom_clean/7.dcm").read_bytes()
    (tmp_path / "dicom_clean/8.dcm").write_bytes(film)
    (tmp_path / "more").mkdir()
    (tmp_path / "more/7.dcm").write_bytes(film)
    planned = {one.key: one for one in SOURCE.plan(Job(job.card, open_raw(tmp_path), OPTIONS))}
    codes = {key: one.error.code for key, one in planned.items() if isinstance(one, Refused)}
    assert codes == {"7": "duplicate_key", "8": "missing_key"}


@pytest.mark.parametrize(
    ("group", "context"),
    [
        ("0", "Age: 0 to 4 years"),
        ("17", "Age: 85 to 89 years"),
        ("19", "Age: 90 years or older"),
        ("", None),
    ],
)
def test_age_groups_are_told_as_years(tmp_path: Path, group: str, context: str | None) -> None:
    """They are nobody's age, so the record has none."""
    score = _asked(tmp_path, SCORED | {"AgeAtStudyDateFiveYear": group})["score"]
    assert isinstance(score, Record)
    assert (score.context, score.age, score.sex) == (context, None, "female")


def test_the_older_table_is_read_on_request(tmp_path: Path) -> None:
    """It is separated by commas; names may lack their suffix in either."""
    _, job = _planned(tmp_path, SCORED | {"Filename": "7"})
    rows = [SCORED | {"Filename": "7", "BrixiaScore": "333333", "BrixiaScoreGlobal": 18}, OTHER]
    write_csv(tmp_path / "metadata_global_v1.csv", rows)
    first, second = (
        next(one for one in SOURCE.plan(Job(job.card, job.raw, {"table": table})) if one.key == "7")
        for table in ("v1", "v2")
    )
    assert isinstance(first, Unit) and isinstance(second, Unit)
    assert (first.facts["score"], second.facts["score"]) == (18, 6)
    (tmp_path / "metadata_global_v2.csv").write_text("Filename,BrixiaScore\n7,1\n")
    with pytest.raises(BadTable, match="lacks the column"):
        list(SOURCE.plan(job))
