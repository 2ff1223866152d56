"""A question that cannot be asked is counted, and takes no other question with it."""

from __future__ import annotations

from pathlib import Path

import pytest

import qoqdata
from qoqdata.cli.build import report
from qoqdata.layout import Layout
from qoqdata.pipeline import progress
from qoqdata.pipeline.source_summary import read_summary
from qoqdata.records.content import Record
from qoqdata.sources.asking import ask
from qoqdata.sources.protocol import Converted, Job, Skipped, Unit
from qoqdata.validation import find
from tests.pipeline.converters_by_hand import build, left_out, source


def one_view(unit: Unit, job: Job) -> list[Converted]:
    """Of a, both questions; of b no view; of c neither."""
    diagnosis = Record(**ask(job.card, "diagnosis", ["Clear"]), context=unit.key)
    view = Record(**ask(job.card, "view", ["Lateral"]), context=unit.key)
    raw = job.raw.root / unit.key
    no_view = Skipped("view", "no_view", f"the header of {raw} names no view")
    no_label = Skipped("diagnosis", "no_label")
    answers: dict[str, list[Converted]] = {
        "a.txt": [diagnosis, view],
        "b.txt": [no_view, diagnosis],
        "c.txt": [no_label, no_view],
    }
    return answers[unit.key]


def test_a_skipped_question_can_be_told_from_others_of_its_task(tmp_path: Path) -> None:
    def convert(unit: Unit, job: Job) -> list[Converted]:
        return [Skipped("view", "no_view", f"{unit.key} is blank", item="lesion 2")]

    build(tmp_path, source(convert=convert))
    (skip,) = read_summary(Layout(tmp_path / "set").summary("films")).skipped
    # The example is the first in the order of building.
    assert (skip.questions, skip.example) == (3, "c.txt, lesion 2: c.txt is blank")

    def nameless(unit: Unit, job: Job) -> list[Converted]:
        return [Skipped("view", "no_view", item=2)]  # type: ignore[arg-type]

    (tmp_path / "other").mkdir()
    build(tmp_path / "other", source(convert=nameless))
    assert "the item of a Skipped is an int" in left_out(tmp_path / "other")["a.txt"]["message"]


@pytest.mark.parametrize("workers", [0, 2])
def test_skips_are_counted_and_good_questions_stay(tmp_path: Path, workers: int) -> None:
    manifest = build(tmp_path, source(convert=one_view), workers=workers)
    counts = manifest.sources["films"].counts
    assert counts.skipped == {"diagnosis": {"no_label": 1}, "view": {"no_view": 2}}
    # Of c nothing can be asked: it is left out by that rule, and is no failure.
    assert (counts.units, counts.converted, counts.quarantined, counts.filtered) == (3, 2, 0, 1)
    records = qoqdata.open(tmp_path / "set").records.select("context", "task").collect()
    assert set(records.rows()) == {
        ("a.txt", "diagnosis"),
        ("a.txt", "view"),
        ("b.txt", "diagnosis"),
    }
    (row,) = left_out(tmp_path).values()
    assert (row["unit"], row["outcome"], row["stage"]) == ("c.txt", "filtered", "convert")
    assert (row["reason"], row["error"]) == ("all_skipped", None)
    assert row["message"] == "every question is skipped: diagnosis (no_label), view (no_view)"
    assert list(find(qoqdata.open(tmp_path / "set"))) == []


def test_a_finished_build_counts_them_again(tmp_path: Path) -> None:
    first = build(tmp_path, source(convert=one_view))
    events: list = []
    assert build(tmp_path, source(convert=one_view), events=events) == first
    (finished,) = [event for event in events if isinstance(event, progress.Finished)]
    # A filtered unit is none that failed.
    assert finished.reused and finished.quarantined == 0


def test_the_end_of_a_build_shows_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = build(tmp_path, source(convert=one_view))
    report(manifest, tmp_path / "set", as_json=False)
    lines = capsys.readouterr().out.splitlines()
    (view,) = [line.split() for line in lines if " no_view " in line]
    assert view[:4] == ["films", "view", "no_view", "2"]
    # The first of them in build order is the example, without the raw folder.
    assert " ".join(view[4:]) in {
        f"{key}: the header of {key} names no view" for key in ("b.txt", "c.txt")
    }
    assert str(tmp_path / "raw-0") not in "\n".join(lines)
    assert "header" not in manifest.model_dump_json()


@pytest.mark.parametrize(
    ("skipped", "said"),
    [
        (Skipped("vew", "no_view"), "the card has no task 'vew'. Fix: it has: diagnosis, view,"),
        (Skipped("view", "No view in it"), "'No view in it' of a Skipped is no short code"),
        (Skipped("view", None), "None of a Skipped is no short code"),  # type: ignore[arg-type]
        (Skipped("view", "no_view", 3), "the message of a Skipped is an int"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_skip_is_told(tmp_path: Path, skipped: Skipped, said: str) -> None:
    def convert(unit: Unit, job: Job) -> list[Converted]:
        return [skipped, Record(**ask(job.card, "diagnosis", ["Clear"]), context="x")]

    counts = build(tmp_path, source(convert=convert)).sources["films"].counts
    assert (counts.quarantined, counts.records, counts.skipped) == (3, 0, {})
    row = left_out(tmp_path)["a.txt"]
    assert row["reason"] == "converter_error" and said in row["message"]
