"""SLAKE: what becomes a choice, of which domain an image is, and which questions are asked."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from qoqdata.errors import BadTable
from qoqdata.records.content import Record
from qoqdata.simulation import write_text
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Filtered, Job, Refused, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("slake")
CODE = importlib.import_module(SOURCE.module)
SIMULATE = importlib.import_module(f"{SOURCE.module.rpartition('.')[0]}.simulate")


@pytest.mark.parametrize(
    ("question", "answer", "options"),
    [
        ("Is the lung healthy?", "No", ("Yes", "No")),
        (
            "Which is the biggest here,lung,left kidney or liver?",
            "Left Kidney",
            ("Lung", "Left kidney", "Liver"),
        ),
        ("Which kind is it, t1 or t2 ?", "T1", ("T1", "T2")),
        ("图片中包含肺吗?", "不包含", ("包含", "不包含")),
        ("是哪个平面,横断面还是冠状面?", "冠状面", ("横断面", "冠状面")),
        # Nothing separates the question from what it lists.
        ("Is the abnormality hyperdense or hypodense?", "Hyperdense", None),
        ("图中异常是高密度还是低密度?", "低密度", None),
        # The answer is none of them.
        ("Which organ is abnormal, heart or lung?", "Both", None),
        ("What is it, say?", "Say", None),
    ],
)
def test_options_are_those_that_the_question_names(
    question: str, answer: str, options: tuple[str, ...] | None
) -> None:
    """Written with a capital each, so that the answer does not stand out; else there are none."""
    assert CODE.alternatives(question, answer) == options


@pytest.mark.parametrize(
    ("modality", "location", "expected"),
    [
        ("X-Ray", "Lung", "chest_xray"),
        ("X-Ray", "Pelvic Cavity", "other"),
        ("CT", "Lung", "ct"),
        ("MRI", "Brain_Tissue", "mri"),
        ("PET", "Lung", "other"),
    ],
)
def test_a_record_has_the_domain_of_its_image(modality: str, location: str, expected: str) -> None:
    """A radiograph that is not of the chest belongs to none."""
    assert CODE.domain(modality, location) == expected


def _plan(raw: Path, language: str = "en") -> tuple[list[Unit], list[object], Job]:
    job = Job(SOURCE.card, open_raw(raw), {"language": language})
    planned = list(SOURCE.plan(job))
    units = [one for one in planned if isinstance(one, Unit)]
    return units, [one for one in planned if not isinstance(one, Unit)], job


def test_questions_are_items_of_one_image(tmp_path: Path) -> None:
    """Each question of the language once, told apart by qid, all on the same picture."""
    SIMULATE.simulate(tmp_path, 5)
    rows = json.loads((tmp_path / "test.json").read_text())
    for language, spoken in (("en", {"en"}), ("zh", {"zh"}), ("both", {"en", "zh"})):
        units, _, job = _plan(tmp_path, language)
        (unit,) = (unit for unit in units if unit.split == "test")
        records = SOURCE.convert(unit, job)
        assert all(isinstance(one, Record) for one in records)
        asked = [one for one in records if isinstance(one, Record)]
        assert [one.item for one in asked] == [
            str(row["qid"]) for row in rows if row["q_lang"] in spoken
        ]
        assert len({id(one.images and one.images[0]) for one in asked}) == 1


def test_an_image_in_two_parts_is_refused(tmp_path: Path) -> None:
    """It would be trained on and tested."""
    SIMULATE.simulate(tmp_path, 5)
    train, test = (json.loads((tmp_path / f"{n}.json").read_text()) for n in ("train", "test"))
    torn = train[0]["img_name"]
    write_text(tmp_path / "test.json", json.dumps([*test, train[0] | {"qid": 9999}]))
    units, others, _ = _plan(tmp_path)
    assert torn not in {unit.files[0].removeprefix("imgs/") for unit in units}
    (refused,) = others
    assert isinstance(refused, Refused) and refused.error.code == "torn_group"


def test_an_image_without_a_question_in_the_language_is_filtered(tmp_path: Path) -> None:
    """It is no failure."""
    SIMULATE.simulate(tmp_path, 5)
    rows = json.loads((tmp_path / "test.json").read_text())
    write_text(tmp_path / "test.json", json.dumps([r for r in rows if r["q_lang"] == "zh"]))
    _, others, _ = _plan(tmp_path)
    assert [one.reason for one in others if isinstance(one, Filtered)] == ["other_language"]


@pytest.mark.parametrize("field", ["qid", "answer_type", "modality"])
def test_a_question_without_a_field_refuses_the_file(tmp_path: Path, field: str) -> None:
    """A blank modality would change the domain, a blank kind the task."""
    SIMULATE.simulate(tmp_path, 5)
    rows = json.loads((tmp_path / "train.json").read_text())
    rows[1][field] = ""
    write_text(tmp_path / "train.json", json.dumps(rows))
    with pytest.raises(BadTable, match=f"question 1 lacks .*{field}"):
        _plan(tmp_path)


def test_real_questions_keep_their_counts(realdata: Path) -> None:
    """Of the 2,099 of the validation part, 422 English ones are closed; six list no answers."""
    rows = json.loads((realdata / "vqa/SLAKE/validate.json").read_text(encoding="utf-8"))
    english = [row for row in rows if row["q_lang"] == "en"]
    closed = [row for row in english if row["answer_type"] == "CLOSED"]
    listed = [row for row in closed if CODE.alternatives(row["question"], row["answer"])]
    assert (len(rows), len(english), len(closed), len(listed)) == (2099, 1053, 422, 416)
    assert {CODE.domain(row["modality"], row["location"]) for row in rows} == {
        "chest_xray",
        "ct",
        "mri",
    }
