"""PAD-UFES-20: rows and photographs written down by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest

from qoqdata.records.content import Record
from qoqdata.simulation import write_csv, write_png
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Job, Planned, Refused, Skipped, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("pad_ufes_20")
#: The header of the publisher's table.
HEADER = [
    "patient_id",
    "lesion_id",
    "smoke",
    "drink",
    "background_father",
    "background_mother",
    "age",
    "pesticide",
    "gender",
    "skin_cancer_history",
    "cancer_history",
    "has_piped_water",
    "has_sewage_system",
    "fitspatrick",
    "region",
    "diameter_1",
    "diameter_2",
    "diagnostic",
    "itch",
    "grew",
    "hurt",
    "changed",
    "bleed",
    "elevation",
    "img_id",
    "biopsed",
]
ROW = {
    "patient_id": "PAT_8",
    "lesion_id": "15",
    "smoke": "False",
    "background_father": "POMERANIA",
    "background_mother": "POMERANIA",
    "age": "55",
    "gender": "FEMALE",
    "skin_cancer_history": "True",
    "fitspatrick": "3.0",
    "region": "NECK",
    "diameter_1": "6.0",
    "diameter_2": "5.0",
    "diagnostic": "BCC",
    "itch": "True",
    "grew": "False",
    "hurt": "UNK",
    "elevation": "True",
    "img_id": "PAT_8_15_820.png",
    "biopsed": "True",
}


def _job(raw: Path, *rows: dict[str, str], images: bool = True, **options: str) -> Job:
    write_csv(raw / "metadata.csv", [dict.fromkeys(HEADER, "") | row for row in rows])
    for row in rows if images else ():
        name = row["img_id"].removesuffix(".png")
        write_png(raw / "images" / f"{name}.png", np.full((20, 30, 3), 120, np.uint8))
    return Job(SOURCE.card, open_raw(raw), options={"context": "symptoms"} | options)


def _asked(job: Job) -> dict[str, Any]:
    (unit,) = SOURCE.plan(job)
    assert isinstance(unit, Unit), unit
    return {one.task: one for one in SOURCE.convert(unit, job)}


def test_one_photograph_is_asked_all_that_its_row_says(tmp_path: Path) -> None:
    asked = _asked(_job(tmp_path, ROW))
    assert {task: one.answer for task, one in asked.items()} == {
        "diagnosis": "Basal cell carcinoma",
        "group": "Skin cancer",
        "biopsy": "Yes",
        "elevated": "Raised",
        "site": "Neck",
        "skin_type": "Type 3",
    }
    one = asked["diagnosis"]
    assert (one.age, one.sex, one.images[0].pixels.shape) == (55, "female", (20, 30, 3))
    assert one.context == "Site: neck. The patient says that the lesion itches, has not grown."
    assert "diagnosis by biopsy" in one.notes


@pytest.mark.parametrize("context", ["symptoms", "history", "none"])
def test_no_context_tells_an_answer(context: str, tmp_path: Path) -> None:
    """Whether a biopsy was taken leaks the diagnosis, and the site is asked on its own."""
    asked = _asked(_job(tmp_path, ROW, context=context))
    for task, one in asked.items():
        told = (one.context or "").lower()
        assert "biops" not in told and "raised" not in told and "fitz" not in told
        assert (one.context is None) == (
            context == "none" or task in ("elevated", "site", "skin_type")
        )
    history = "Size: 6 x 5 mm. History: skin cancer before, does not smoke. Family from Pomerania."
    assert (history in (asked["group"].context or "")) == (context == "history")
    assert "History" not in (asked["biopsy"].context or "")


def test_six_diagnoses_stay_six(tmp_path: Path) -> None:
    """A carcinoma is never one answer with its precursor."""
    expected = {
        "ACK": ("Actinic keratosis", "Precancerous"),
        "SCC": ("Squamous cell carcinoma", "Skin cancer"),
        "BCC": ("Basal cell carcinoma", "Skin cancer"),
        "MEL": ("Melanoma", "Skin cancer"),
        "NEV": ("Melanocytic nevus", "Benign"),
        "SEK": ("Seborrheic keratosis", "Benign"),
    }
    for raw, answers in expected.items():
        asked = _asked(_job(tmp_path / raw, ROW | {"diagnostic": raw}))
        assert (asked["diagnosis"].answer, asked["group"].answer) == answers


def test_what_is_unknown_is_neither_asked_nor_told(tmp_path: Path) -> None:
    blank = {"elevation": "UNK", "fitspatrick": "", "itch": "UNK", "grew": ""}
    asked = _asked(_job(tmp_path, ROW | blank))
    for task in ("elevated", "skin_type"):
        assert isinstance(asked[task], Skipped) and asked[task].reason == "not_stated"
    assert asked["diagnosis"].context == "Site: neck."
    assert "diagnosis by biopsy" in asked["diagnosis"].notes


@pytest.mark.parametrize("cell", ["", "Tr", "UNK"])
def test_a_row_that_was_cut_is_refused(cell: str, tmp_path: Path) -> None:
    """The column of biopsies is the last one, and filled in every row."""
    (one,) = SOURCE.plan(_job(tmp_path, ROW | {"biopsed": cell}))
    assert isinstance(one, Refused) and one.error.code == "bad_table"


def _planned(job: Job) -> dict[str, Planned]:
    return {one.key: one for one in SOURCE.plan(job)}


def test_a_row_of_another_patient_is_refused(tmp_path: Path) -> None:
    (one,) = SOURCE.plan(_job(tmp_path, ROW | {"patient_id": "PAT_81"}))
    assert isinstance(one, Refused) and one.error.code == "bad_table"
    (one,) = SOURCE.plan(_job(tmp_path, ROW | {"lesion_id": "1"}))
    assert isinstance(one, Refused) and one.error.code == "bad_table"


def test_two_rows_of_a_photograph_refuse_it_also_without_the_suffix(tmp_path: Path) -> None:
    other = ROW | {"img_id": "PAT_8_15_820", "diagnostic": "NEV"}
    (one,) = SOURCE.plan(_job(tmp_path, ROW, other))
    assert isinstance(one, Refused) and one.error.code == "duplicate_key"


def test_photographs_lie_in_archives_folders_or_both(tmp_path: Path) -> None:
    """As the publisher packs them, as Kaggle lays them out, and unpacked beside the archive."""
    other = ROW | {"img_id": "PAT_8_15_821.png"}
    job = _job(tmp_path, ROW, other, images=False)
    nested = tmp_path / "imgs_part_1" / "imgs_part_1" / "PAT_8_15_820.png"
    write_png(nested, np.full((20, 30, 4), 255, np.uint8))
    with ZipFile(tmp_path / "imgs_part_1.zip", "w") as archive:
        for row in (ROW, other):
            archive.write(nested, f"imgs_part_1/{row['img_id']}")
    units = _planned(job)
    assert units["PAT_8_15_820"].files == ("imgs_part_1/imgs_part_1/PAT_8_15_820.png",)
    assert units["PAT_8_15_821"].files == ("imgs_part_1.zip#imgs_part_1/PAT_8_15_821.png",)
    for unit in units.values():
        assert isinstance(unit, Unit)
        record = SOURCE.convert(unit, job)[0]
        assert isinstance(record, Record) and record.images[0].pixels.shape == (20, 30, 3)


def test_photographs_and_rows_without_each_other_are_refused_by_name(tmp_path: Path) -> None:
    job = _job(tmp_path, ROW, images=False)
    write_png(tmp_path / "PAT_9_9_9.png", np.zeros((20, 20, 3), np.uint8))
    codes = {key: one.error.code for key, one in _planned(job).items()}
    assert codes == {"PAT_8_15_820": "missing_file", "PAT_9_9_9.png": "missing_key"}


def test_photographs_of_a_patient_share_a_split(tmp_path: Path) -> None:
    rows = [
        ROW | {"patient_id": f"PAT_{n // 3}", "img_id": f"PAT_{n // 3}_15_{n}.png"}
        for n in range(60)
    ]
    job = _job(tmp_path, *rows)
    units = [one for one in SOURCE.plan(job) if isinstance(one, Unit)]
    assert {(one.key.rsplit("_", 2)[0], one.group) for one in units} == {
        (f"PAT_{n}", f"PAT_{n}") for n in range(20)
    }
