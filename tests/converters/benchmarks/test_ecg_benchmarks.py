"""ECGBench and ECG-Grounding: whole labels, lost parts, and what a record may show."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from qoqdata.errors import BadLabel, BadTable
from qoqdata.readers.ecg.leads import TWELVE
from qoqdata.records.content import Record
from qoqdata.simulation import write_wfdb
from qoqdata.sources.protocol import Refused, Unit
from tests.converters.benchmarks.code import BENCHMARKS, code, job_of


def test_labels_of_a_reference_are_whole_words() -> None:
    labels_in = code("ecgbench").labels_in
    assert labels_in("ABNORMAL, IMI", ("NORM", "MI")) == []
    assert labels_in("ABNORMAL", ("NORM", "ABNORMAL")) == ["ABNORMAL"]
    assert labels_in("I-AVB; STD and AF.", ("AF", "I-AVB", "STD", "STE")) == ["AF", "I-AVB", "STD"]


def test_letters_are_read_from_the_beginning_of_the_answer(tmp_path: Path) -> None:
    job = job_of("ecgbench", tmp_path)
    facts = {"task": "csn", "question": "Which?\nA. one\nB. two", "answers": ["B. two"]}
    fields = code("ecgbench")._asked(Unit("one", (), facts=facts), job)
    assert (fields["answer"], fields["forms"][0].startswith("Which?\nA. one")) == ("B", True)
    for answer in ("Atrial flutter", "Z", "b"):
        with pytest.raises(BadLabel, match="names no option"):
            code("ecgbench")._asked(Unit("one", (), facts=facts | {"answers": [answer]}), job)


def test_a_lost_part_of_ecgbench_is_named(tmp_path: Path) -> None:
    code("ecgbench", "simulate").simulate(tmp_path, 8)
    (tmp_path / "cpsc-test/test-00000-of-00001.parquet").unlink()
    planned = list(code("ecgbench").plan(job_of("ecgbench", tmp_path)))
    refused = [one for one in planned if isinstance(one, Refused)]
    assert [(one.key, one.error.where) for one in refused] == [
        ("cpsc-test", "cpsc-test/test-*.parquet")
    ]
    assert sum(isinstance(one, Unit) for one in planned) == 7


def test_a_conversation_that_goes_on_is_no_question() -> None:
    first_turns = importlib.import_module(f"{BENCHMARKS}.dialogue").first_turns
    turn = {"from": "human", "value": "<image>\nWhich rhythm?"}
    assert first_turns([turn, {"value": ["sinus", "af"]}], where="") == (
        "Which rhythm?",
        ("sinus", "af"),
    )
    for bad in ([turn], [turn] * 3, [turn, {"value": " "}], [turn, {"value": [1]}], None):
        with pytest.raises(BadTable):
            first_turns(bad, where="")


def test_neither_report_nor_measurements_are_shown(tmp_path: Path) -> None:
    code("ecg_grounding", "simulate").simulate(tmp_path, 2)
    job = job_of("ecg_grounding", tmp_path)
    for unit in code("ecg_grounding").plan(job):
        assert isinstance(unit, Unit), unit
        assert "not to be shown" not in json.dumps(unit.facts)
        (record,) = code("ecg_grounding").convert(unit, job)
        assert isinstance(record, Record)
        assert record.context is None and record.ecg is not None and len(record.images or ()) == 1


def test_a_recording_is_shown_as_it_is(tmp_path: Path) -> None:
    """Four seconds stay four, and what is missing stays masked."""
    code("ecg_grounding", "simulate").simulate(tmp_path, 2)
    (header,) = (tmp_path / "ecg_timeseries/mimic-iv").rglob("*.hea")
    signal = np.tile(np.sin(np.arange(1000) / 20), (12, 1))
    signal[3, 100:200] = np.nan
    write_wfdb(header.with_suffix(""), signal, 250, TWELVE)
    job = job_of("ecg_grounding", tmp_path, show="signal")
    unit, _ = (one for one in code("ecg_grounding").plan(job) if isinstance(one, Unit))
    (record,) = code("ecg_grounding").convert(unit, job)
    assert record.images is None and record.ecg is not None
    assert record.ecg.signal.shape == (12, 1000) and record.ecg.fs == 250
    assert not record.ecg.valid[3, 100:200].any() and record.ecg.valid[0].any()


def test_what_is_shown_has_to_be_there(tmp_path: Path) -> None:
    code("ecg_grounding", "simulate").simulate(tmp_path, 2)
    (picture,) = (tmp_path / "ecg_images/gen_images/mimic_gen").rglob("*.png")
    picture.unlink()
    (tmp_path / "ecg_jsons/ecg-grounding-test-ptbxl.json").unlink()
    for show, lost in (("both", ["missing_file"] * 2), ("signal", ["missing_file"])):
        planned = code("ecg_grounding").plan(job_of("ecg_grounding", tmp_path, show=show))
        assert [one.error.code for one in planned if isinstance(one, Refused)] == lost
