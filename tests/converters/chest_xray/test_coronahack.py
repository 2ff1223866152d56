"""CoronaHack: three labels of a film, whose words are those of no other table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import qoqdata
from qoqdata.errors import BadLabel, MissingFile
from qoqdata.pipeline.planning import make_plan
from qoqdata.records.content import Record
from qoqdata.simulation import write_csv, write_jpeg
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Job, Planned, Refused, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("coronahack")
FOLDER = "Coronahack-Chest-XRay-Dataset/Coronahack-Chest-XRay-Dataset"
COLUMNS = (
    "X_ray_image_name",
    "Label",
    "Dataset_type",
    "Label_1_Virus_category",
    "Label_2_Virus_category",
)

#: Name, label, part, cause and disease.
Cells = tuple[str, str, str, str, str]


def _table(raw: Path, *rows: Cells) -> None:
    table = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    write_csv(raw / "Chest_xray_Corona_Metadata.csv", table)


def _planned(raw: Path, *rows: Cells) -> tuple[dict[str, Planned], Job]:
    """The plan of rows, each with its film."""
    _table(raw, *rows)
    for grey, (name, _, part, *_) in enumerate(rows):
        write_jpeg(raw / FOLDER / part.lower() / name, np.full((8, 8), grey, np.uint8))
    job = Job(SOURCE.card, open_raw(raw))
    return {one.key: one for one in SOURCE.plan(job)}, job


@pytest.mark.parametrize(
    ("label", "cause", "disease", "answers"),
    [
        ("Normal", "", "", {"pneumonia": "Absent", "diagnosis": "Normal"}),
        ("Pnemonia", "bacteria", "", {"cause": "Bacterial", "diagnosis": "Bacterial pneumonia"}),
        ("Pnemonia", "Virus", "", {"cause": "Viral", "diagnosis": "Viral pneumonia"}),
        ("Pnemonia", "Virus", "COVID-19", {"cause": "Viral", "diagnosis": "COVID-19"}),
        (
            "Pnemonia",
            "Virus",
            "SARS",
            {"cause": "Viral", "diagnosis": "Severe acute respiratory syndrome"},
        ),
        (
            "Pnemonia",
            "bacteria",
            "Streptococcus",
            {"cause": "Bacterial", "diagnosis": "Streptococcal pneumonia"},
        ),
        (
            "Pnemonia",
            "Stress-Smoking",
            "ARDS",
            {"cause": "Stress or smoking", "diagnosis": "Acute respiratory distress syndrome"},
        ),
        ("Pnemonia", "Stress-Smoking", "", {"cause": "Stress or smoking"}),
        ("Pnemonia", "", "", {}),
    ],
)
def test_the_most_special_label_is_the_diagnosis(
    tmp_path: Path, label: str, cause: str, disease: str, answers: dict[str, str]
) -> None:
    """COVID-19 and SARS are viral and have names of their own; what is open is not asked."""
    planned, job = _planned(tmp_path, ("a.jpeg", label, "TRAIN", cause, disease))
    unit = planned["a.jpeg"]
    assert isinstance(unit, Unit)
    asked = SOURCE.convert(unit, job)
    assert len(asked) == 3
    found = {one.task: one.answer for one in asked if isinstance(one, Record)}
    assert found == {"pneumonia": "Present"} | answers


def test_covid_19_is_called_the_same_as_elsewhere() -> None:
    """The other set has it as a class of its own, and neither calls it viral pneumonia."""
    other = find_source("covid19_xray").card.tasks["diagnosis"].options or ()
    assert set(other) <= set(SOURCE.card.tasks["diagnosis"].options or ())


@pytest.mark.parametrize(
    ("label", "part", "cause", "disease"),
    [
        ("Normal", "TRAIN", "Virus", ""),
        ("Normal", "TRAIN", "", "COVID-19"),
        ("Pnemonia", "TRAIN", "bacteria", "COVID-19"),
        ("Pnemonia", "TRAIN", "", "SARS"),
        ("Pnemonia", "TRAIN", "Virus", "MERS"),
        ("", "TRAIN", "Virus", ""),
        ("Normal", "VAL", "", ""),
        ("Normal", "", "", ""),
    ],
)
def test_rows_that_contradict_themselves_are_refused(
    tmp_path: Path, label: str, part: str, cause: str, disease: str
) -> None:
    """A normal film of a virus, a disease of another cause, no label, no part of ours."""
    planned, _ = _planned(tmp_path, ("a.jpeg", label, part, cause, disease))
    assert isinstance(planned["a.jpeg"], Refused)


def test_a_word_that_nobody_explained_is_no_label(tmp_path: Path) -> None:
    """It may be anything."""
    planned, job = _planned(tmp_path, ("a.jpeg", "Unclear", "TRAIN", "", ""))
    unit = planned["a.jpeg"]
    assert isinstance(unit, Unit)
    with pytest.raises(BadLabel, match="Unclear"):
        SOURCE.convert(unit, job)


def test_children_are_numbered_by_kind(tmp_path: Path) -> None:
    """Person 1 of bacteria and person 1 of virus are two; a child's films stay together."""
    names = (
        "person1_bacteria_1.jpeg",
        "person1_bacteria_2.jpeg",
        "person1_virus_6.jpeg",
        "IM-0439-0001-0001.jpeg",
        "IM-0439-0001-0002.jpeg",
        "NORMAL2-IM-0439-0001.jpeg",
        "1-s2.0-fig4.png",
    )
    planned, _ = _planned(tmp_path, *((name, "Normal", "TRAIN", "", "") for name in names))
    units = [planned[name] for name in names]
    assert [unit.group for unit in units if isinstance(unit, Unit)] == [
        "person1_bacteria",
        "person1_bacteria",
        "person1_virus",
        "IM-0439",
        "IM-0439",
        "NORMAL2-IM-0439",
        "1-s2.0-fig4.png",
    ]


def test_a_child_of_both_parts_is_held_out(tmp_path: Path) -> None:
    """Also where the film of the test part cannot be used."""
    rows = [
        ("person1_virus_1.jpeg", "Pnemonia", "TRAIN", "Virus", ""),
        ("person1_virus_2.jpeg", "Normal", "TEST", "Virus", ""),
    ]
    _, job = _planned(tmp_path, *rows)
    assert [unit.split for unit in make_plan(SOURCE, job).units] == ["test"]


def test_rows_and_films_meet_by_name_within_their_part(tmp_path: Path) -> None:
    """A film that lies in the other part, one without a row, one with two, a row without a film."""
    names = ("a.jpeg", "b.jpeg", "c.jpeg", "d.jpeg")
    rows = [(name, "Normal", "TRAIN", "", "") for name in names]
    _, job = _planned(tmp_path, *rows)
    (tmp_path / FOLDER / "test").mkdir()
    (tmp_path / FOLDER / "train/b.jpeg").rename(tmp_path / FOLDER / "test/b.jpeg")
    _table(tmp_path, rows[0], rows[1], rows[2], rows[2])
    job = Job(SOURCE.card, open_raw(tmp_path))
    planned = {one.key: one for one in SOURCE.plan(job)}
    codes = {key: one.error.code for key, one in planned.items() if isinstance(one, Refused)}
    assert codes == {
        f"{FOLDER}/test/b.jpeg": "missing_key",
        "c.jpeg": "duplicate_key",
        f"{FOLDER}/train/d.jpeg": "missing_key",
    }
    lost = planned["b.jpeg"]
    assert isinstance(lost, Unit)
    with pytest.raises(MissingFile):
        SOURCE.convert(lost, job)


def test_a_film_that_another_set_holds_out_is_not_trained_on(tmp_path: Path) -> None:
    """Both sets draw on the same children; curation finds the film by what it shows."""
    for slug, n in (("covid19_xray", 12), ("coronahack", 14)):
        qoqdata.simulate(slug, n=n, out=tmp_path / "raw" / slug, seed=1)
    (held_out,) = (tmp_path / "raw/coronahack" / FOLDER / "test").glob("person4_*.jpeg")
    trained_on = tmp_path / "raw/covid19_xray/NonAugmentedTrain/BacterialPneumonia/7.jpeg"
    trained_on.write_bytes(held_out.read_bytes())
    out = tmp_path / "set"
    qoqdata.build(["covid19_xray", "coronahack"], raw=tmp_path / "raw", out=out, workers=0)
    leaks = qoqdata.curate(out).leaks
    assert leaks is not None
    found = leaks.filter(distance=0).select("source", "split", "other_source", "other_split")
    assert set(found.rows()) == {("covid19_xray", "train", "coronahack", "test")}
