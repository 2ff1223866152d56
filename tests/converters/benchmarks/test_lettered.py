"""Benchmarks with lettered options: letters, captions, printed options, and which images."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from qoqdata.errors import BadLabel, BadTable
from qoqdata.records.content import Record
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Filtered, Job, Refused, Unit
from qoqdata.sources.rawtree import open_raw
from tests.converters.benchmarks.code import BENCHMARKS, code, job_of

LETTERED = importlib.import_module(f"{BENCHMARKS}.lettered")


def test_letters_are_taken_off_where_every_option_prints_its_own() -> None:
    printed = {"A": " A:liver ", "B": "B: kidney"}
    assert LETTERED.bare_options(printed, where="") == {"A": "liver", "B": "kidney"}
    # "A. fumigatus" is a name.
    names = {"A": "A. fumigatus", "B": "C. albicans"}
    assert LETTERED.bare_options(names, where="") == names
    assert LETTERED.bare_options({"A": "x", "B": "y", "C": None}, where="") == {"A": "x", "B": "y"}
    with pytest.raises(BadLabel, match="leave a letter out"):
        LETTERED.bare_options({"A": "x", "B": "", "C": "y"}, where="")


def test_the_answer_is_a_letter_or_the_words_of_one_option() -> None:
    options = {"A": "vitamin", "B": "A"}
    assert LETTERED.right_option({"A": "liver", "B": "lung"}, "b", where="") == "lung"
    assert LETTERED.right_option({"A": "liver", "B": "lung"}, "Lung ", where="") == "lung"
    with pytest.raises(BadLabel, match="names 2 options"):
        LETTERED.right_option(options, "A", where="")
    with pytest.raises(BadLabel, match="names 0 options"):
        LETTERED.right_option(options, "lung", where="")


def test_no_caption_of_pmc_vqa_is_shown(tmp_path: Path) -> None:
    code("pmc_vqa", "simulate").simulate(tmp_path, 6)
    job = job_of("pmc_vqa", tmp_path)
    units = [one for one in code("pmc_vqa").plan(job) if isinstance(one, Unit)]
    assert len(units) == 6
    for unit in units:
        assert "staining" not in json.dumps(unit.facts)
        (record,) = code("pmc_vqa").convert(unit, job)
        assert record.context is None
        assert "staining" not in record.forms[0]


def test_options_of_medxpertqa_are_shown_once_with_all_images(tmp_path: Path) -> None:
    code("medxpertqa_mm", "simulate").simulate(tmp_path, 3)
    job = job_of("medxpertqa_mm", tmp_path)
    units = list(code("medxpertqa_mm").plan(job))
    counts = []
    for unit in units:
        (record,) = code("medxpertqa_mm").convert(unit, job)
        assert isinstance(record, Record)
        assert all(record.forms[0].count(option) == 1 for option in record.options or ())
        assert "Answer Choices" not in record.forms[0]
        counts.append(len(record.images or ()))
    assert counts == [3, 1, 2]  # The part for development, which has the last one, comes first.


def test_a_modality_of_omnimedvqa_is_chosen_whatever_its_case(tmp_path: Path) -> None:
    code("omnimedvqa", "simulate").simulate(tmp_path, 6)
    job = job_of("omnimedvqa", tmp_path, modality="FUNDUS photography")
    planned = list(code("omnimedvqa").plan(job))
    units = [one for one in planned if isinstance(one, Unit)]
    assert {unit.facts["modality"] for unit in units} == {"Fundus Photography"}
    reasons = {one.reason for one in planned if isinstance(one, Filtered)}
    assert reasons == {"other_modality"}
    records = [record for unit in units for record in code("omnimedvqa").convert(unit, job)]
    assert {record.domain for record in records} == {"fundus"}


def test_an_image_that_no_question_names_is_told(tmp_path: Path) -> None:
    code("omnimedvqa", "simulate").simulate(tmp_path, 6)
    (tmp_path / "QA_information/Open-access/Made Up CT.json").unlink()
    planned = list(code("omnimedvqa").plan(job_of("omnimedvqa", tmp_path)))
    filtered = [one for one in planned if isinstance(one, Filtered)]
    assert [one.reason for one in filtered] == ["not_asked", "not_asked"]


def test_no_hint_of_funbench_is_shown(tmp_path: Path) -> None:
    """Its second mode's prompts say what is to be seen."""
    code("funbench", "simulate").simulate(tmp_path, 4)
    job = job_of("funbench", tmp_path)
    units = [one for one in code("funbench").plan(job) if isinstance(one, Unit)]
    assert len(units) == 47
    for unit in units:
        (record,) = code("funbench").convert(unit, job)
        assert " case. " not in record.forms[0]
        assert record.context is None


def test_a_task_file_with_another_number_of_images_is_refused(tmp_path: Path) -> None:
    code("funbench", "simulate").simulate(tmp_path, 4)
    file = tmp_path / "FunBench/L2-anatomy_perception/L2b-made_up.json"
    content = json.loads(file.read_text())
    content["data"].popitem()
    file.write_text(json.dumps(content))
    with pytest.raises(BadTable, match="states 1 images and has 0"):
        list(code("funbench").plan(job_of("funbench", tmp_path)))


def test_a_lost_task_file_of_funbench_is_named(tmp_path: Path) -> None:
    code("funbench", "simulate").simulate(tmp_path, 1)
    (tmp_path / "FunBench/L3-lesion_analysis/L3c-lesion/L3c10-made_up.json").unlink()
    planned = list(code("funbench").plan(job_of("funbench", tmp_path)))
    refused = [one for one in planned if isinstance(one, Refused)]
    assert [(one.key, one.error.where) for one in refused] == [("L3c10", "L3c10-*.json")]
    # L3c1 is there, and begins as the lost one does.
    assert len([one for one in planned if isinstance(one, Unit)]) == 46


@pytest.mark.parametrize("text", ['["benign", "malignant"]', "['benign', 'malignant']"])
def test_options_of_u2_bench_are_a_list_in_either_spelling(text: str) -> None:
    options = code("u2_bench")._options
    assert options(text, "", "") == ("benign", "malignant")
    assert options(f'{{"View": ["a"], "Grade": {text}}}'.replace('"', "'"), "Grade", "") == (
        "benign",
        "malignant",
    )
    assert options("[0, 1]", "", "") == ("0", "1")
    for bad in ("benign, malignant", "[1.5, true]", "__import__('os')", None):
        with pytest.raises(BadTable, match="are no list"):
            options(bad, "", "")
    with pytest.raises(BadTable, match="are of View, not of 'Grade'"):
        options("{'View': ['a']}", "Grade", "")


def test_a_set_of_u2_bench_without_a_table_is_named(tmp_path: Path) -> None:
    code("u2_bench", "simulate").simulate(tmp_path, 13)
    (tmp_path / "disease_diagnosis/44.tsv").unlink()
    old = tmp_path / "disease_diagnosis/23.tsv"
    old.rename(old.with_name("23.Breast.tsv"))
    planned = list(code("u2_bench").plan(job_of("u2_bench", tmp_path)))
    refused = [one for one in planned if isinstance(one, Refused)]
    assert [(one.key, one.error.where) for one in refused] == [
        ("set 44", "disease_diagnosis/44*.tsv")
    ]
    assert sum(isinstance(one, Unit) for one in planned) == 12


def test_all_that_apply_are_answered_by_letter(tmp_path: Path) -> None:
    options = {"A": "drusen, many", "B": "none", "C": "scar"}
    facts = {"question": "Which are there?", "options": options, "answer": ["scar", "A"]}
    job = job_of("funbench", tmp_path)
    (record,) = LETTERED.convert_choice(Unit("one", (), facts=facts), job)
    assert (record.kind, record.options, record.answer) == ("multi", ("A", "B", "C"), "A, C")
    assert (record.labels, record.absent) == (("A", "C"), ("B",))
    assert record.forms == (
        "A. drusen, many\nB. none\nC. scar\nWhich are there? Choose all that apply:\nA\nB\nC",
    )
    for answer, fault in ((["scar", "C"], "twice"), (["D"], "names 0 options")):
        with pytest.raises(BadLabel, match=fault):
            LETTERED.convert_choice(Unit("one", (), facts=facts | {"answer": answer}), job)


@pytest.mark.parametrize(
    ("text", "answer"),
    [("B", "B"), ("AC", ["A", "C"]), ("B, D", ["B", "D"]), ("MR", "MR"), ("CT", ["C", "T"])],
)
def test_letters_of_gmai_mmbench_are_told_from_words(text: str, answer: object) -> None:
    options = {"A": "MR", "B": "x", "C": "y", "D": "z"}
    assert code("gmai_mmbench")._answer(text, options) == answer


def test_rows_end_at_a_line_feed_alone(tmp_path: Path) -> None:
    """JSON lets other separators of lines stand in a text as they are."""
    rows = [{"question": "Where?\u2028And what?"}, {"question": "Who?"}]
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (tmp_path / "a.jsonl").write_text(text + "\n", encoding="utf-8")
    job = Job(find_source("medxpertqa_mm").card, open_raw(tmp_path))
    assert LETTERED.json_rows(job, "a.jsonl", {"question": str}) == rows
