"""What people decide outlives curation, and the gate asks for curation after it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from qoqdata.curation.decision_log import read_log
from qoqdata.curation.decisions import (
    DecidedMeanwhile,
    comment,
    decide,
    relabel,
    undo,
)
from qoqdata.curation.phi import require_phi_receipt
from qoqdata.curation.phi.rule import Span
from qoqdata.curation.recipe import CurationRecipe, Decision, Phi
from qoqdata.curation.verdicts import curate
from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError, UsageError
from qoqdata.verdicts import dropped, in_force
from tests.curation.phi.scenes import texts

PRIVATE = "Patient John Smith was admitted with pneumonia."


@dataclass(frozen=True)
class Finds:
    """A recogniser that takes one word for a name."""

    word: str
    name: str = "of one word"

    def find(self, text: str, language: str) -> list[Span]:
        at = text.find(self.word)
        return [] if at < 0 else [Span("name", at, at + len(self.word))]


@pytest.fixture
def written(tmp_path: Path) -> Dataset:
    """r0 is held back for a name, r1 and r2 are harmless."""
    return texts(tmp_path, PRIVATE, "Clear lungs.", "Small effusion.")


def kept(dataset: Dataset) -> list[str]:
    return [record["id"] for record in dataset]


def test_decisions_outlive_curation(written: Dataset) -> None:
    curate(written, CurationRecipe())
    assert kept(written) == ["r1", "r2"]
    decide(written, "r1", False, "cut off", author="ana")
    decide(written, "r0", True, "a made-up name", author="ben")
    assert kept(written) == ["r2"]  # what is private waits for the pass
    for _ in range(2):
        result = curate(written, CurationRecipe())
        verdict = result.verdicts.filter(id="r1").row(0, named=True)
        assert (verdict["keep"], verdict["rule"]) == (False, "person")
        assert (verdict["reason"], verdict["evidence"]) == ("cut off", "decision 1 of ana")
        assert kept(written) == ["r0", "r2"]
    assert result.findings["outcome"].unique().to_list() == ["accepted"]


def test_publication_asks_for_curation_after_a_decision(written: Dataset) -> None:
    curate(written, CurationRecipe())
    assert require_phi_receipt(written).held
    for change in (
        lambda: decide(written, "r0", True, "made up", author="ana"),
        lambda: undo(written, "r0", author="ana"),
    ):
        change()
        with pytest.raises(DatasetError, match=r"not those that curation left.*qoqdata curate"):
            require_phi_receipt(written)
        curate(written, CurationRecipe())
        require_phi_receipt(written)
    assert require_phi_receipt(written).held and kept(written) == ["r1", "r2"]


def test_only_findings_that_were_known_are_accepted(written: Dataset) -> None:
    """Somebody who keeps a record for another reason has not accepted what is found in it later."""
    decide(written, "r0", True, "no duplicate", author="ana")
    decide(written, "r1", True, "no duplicate", author="ana")
    curate(written, CurationRecipe())
    assert kept(written) == ["r1", "r2"]
    decide(written, "r0", True, "a made-up name", author="ana")
    curate(written, CurationRecipe())
    assert kept(written) == ["r0", "r1", "r2"]
    curate(written, CurationRecipe(), recogniser=Finds("Clear lungs"))
    assert kept(written) == ["r0", "r2"]
    curate(written, CurationRecipe(), recogniser=Finds("pneumonia"))
    assert kept(written) == ["r1", "r2"]
    curate(written, CurationRecipe())
    assert kept(written) == ["r0", "r1", "r2"]


def test_a_keep_overrules_rules_that_are_not_about_privacy() -> None:
    rules = ("leakage", "phi", "phi_held", "burned_in", "duplicate")
    verdicts = pl.DataFrame(
        [("a", False, rule) for rule in rules] + [("a", True, "person"), ("b", False, "leakage")],
        schema=["id", "keep", "rule"],
        orient="row",
    )
    assert in_force(verdicts)["rule"].to_list() == ["phi", "phi_held", "burned_in", "leakage"]
    unkept = verdicts.filter(~pl.col("keep"))
    assert in_force(unkept).equals(unkept)


def test_what_a_recipe_drops_nobody_keeps(written: Dataset) -> None:
    recipe = CurationRecipe(phi=Phi(drop=(Decision(id="r0", why="names the patient"),)))
    decide(written, "r0", True, "made up", author="ana")
    curate(written, recipe)
    assert kept(written) == ["r1", "r2"]
    assert dropped(written.layout, "rule").rows() == [("r0", "phi")]


def test_an_older_decision_stands_again(written: Dataset) -> None:
    decide(written, "r1", False, "one", author="ana")
    decide(written, "r1", True, "two", author="ben")
    decide(written, "r2", False, "three", author="ben")
    assert kept(written) == ["r0", "r1"]
    assert undo(written, "r1", author="ana").why == "two"
    assert kept(written) == ["r0"]
    assert undo(written, author="ana").why == "one"
    assert kept(written) == ["r0", "r1"]
    with pytest.raises(UsageError, match="decisions of ana: there is no decision to take back"):
        undo(written, author="ana")
    lines = [json.loads(line) for line in written.layout.decisions.read_text().splitlines()]
    assert [line["order"] for line in lines] == [1, 2, 3, 4, 5]
    assert [line.get("undo") for line in lines] == [None, None, None, 2, 1]


def test_the_log_is_text_of_one_line_each(written: Dataset) -> None:
    decide(written, "r1", False, "a\u2028b\nc \ud800", author="ana")
    (line,) = read_log(written.layout)
    assert line.why == r"a\u2028b\nc \ud800"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "damage",
    ['{"order":1}\n', "nonsense\n", '{"author":"a","id":"r","keep":true,"order":2,"why":"x"}\n'],
)
def test_a_damaged_log_is_named_with_its_line(written: Dataset, damage: str) -> None:
    written.layout.decisions.parent.mkdir()
    written.layout.decisions.write_text(damage)
    with pytest.raises(DatasetError, match=r"decisions.jsonl:1: "):
        decide(written, "r1", False, "x", author="ana")
    with pytest.raises(DatasetError, match=r"decisions.jsonl:1: "):
        curate(written, CurationRecipe())


def test_a_decision_needs_a_reason_an_author_and_a_record(written: Dataset) -> None:
    for call, words in (
        (lambda: decide(written, "r1", False, " ", author="ana"), "needs a reason"),
        (lambda: decide(written, "r1", False, "x", author=" "), "who decides"),
    ):
        with pytest.raises(UsageError, match=words):
            call()
    with pytest.raises(DatasetError, match="holds no record 'r9'"):
        decide(written, "r9", False, "x", author="ana")
    assert not written.layout.decisions.exists()


def test_a_decision_on_a_record_that_is_gone_stays_in_the_log_alone(written: Dataset) -> None:
    decide(written, "r1", False, "x", author="ana")
    text = written.layout.decisions.read_text().replace("r1", "r7")
    written.layout.decisions.write_text(text)
    assert curate(written, CurationRecipe()).verdicts.filter(rule="person").height == 0
    assert kept(written) == ["r1", "r2"]


def record(written: Dataset, id_: str) -> dict:
    return next(one for one in written if one["id"] == id_)


def test_a_relabelled_record_is_left_out_and_its_verdict_has_the_right_answer(
    written: Dataset,
) -> None:
    own = {**record(written, "r1"), "kind": "multi", "options": ["A", "B", "C"], "answer": "A"}
    made = relabel(written, own, "C,B", "no A", author="ana")
    assert (made.answer, made.choice, made.keep) == ("C, B", "relabel", False)
    for _ in range(2):
        assert kept(written) == ["r0", "r2"]
        verdicts = pl.read_parquet(written.layout.verdicts).filter(id="r1")
        assert verdicts.select("keep", "rule", "reason", "evidence").rows() == [
            (False, "person", "no A", "decision 1 of ana, right is: C, B")
        ]
        curate(written, CurationRecipe(phi=Phi(on_finding="open")))
    undo(written, "r1", author="ana")
    assert kept(written) == ["r0", "r1", "r2"]


@pytest.mark.parametrize(
    ("facts", "answer", "words"),
    [
        ({"kind": "single", "options": ["A", "B"]}, "C", "'C' is none of the options.*one of A, B"),
        ({"kind": "single", "options": ["A", "B"]}, "A", "says what the record says"),
        ({"kind": "multi", "options": ["A", "B"]}, "B, C", "'C' is none of the options"),
        ({"kind": "choice", "options": ["A, b", "B"]}, "B, A, b", "none of the options"),
        ({"kind": "open", "options": None}, "  ", "is empty"),
        ({"kind": "boxes", "options": None}, "B", "of kind boxes cannot be relabelled.*drop it"),
    ],
)
def test_an_answer_that_the_question_does_not_have_is_refused(
    written: Dataset, facts: dict, answer: str, words: str
) -> None:
    own = {"id": "r1", "answer": "A", **facts}
    with pytest.raises(UsageError, match=words):
        relabel(written, own, answer, "x", author="ana")
    assert not written.layout.decisions.exists()


def test_comments_stand_beside_decisions_and_overrule_nothing(written: Dataset) -> None:
    decide(written, "r1", False, "cut off", author="ana")
    for text in ("b: rotated", "a: again"):
        comment(written, "r1", text, author="ben")
    recipe = CurationRecipe(phi=Phi(on_finding="open"))
    verdicts = curate(written, recipe).verdicts.filter(id="r1")
    assert verdicts.select("keep", "rule", "reason", "evidence").rows() == [
        (True, "comment", "b: rotated", "comment 2 of ben"),
        (True, "comment", "a: again", "comment 3 of ben"),
        (False, "person", "cut off", "decision 1 of ana"),
    ]
    assert kept(written) == ["r0", "r2"]
    assert undo(written, author="ben").order == 3
    assert undo(written, "r1", author="ana").order == 2
    assert pl.read_parquet(written.layout.verdicts).filter(id="r1")["rule"].to_list() == ["person"]
    with pytest.raises(UsageError, match="says something"):
        comment(written, "r1", " ", author="ben")
    with pytest.raises(DatasetError, match="holds no record 'r9'"):
        comment(written, "r9", "x", author="ben")


def test_nobody_overwrites_what_they_did_not_see(written: Dataset) -> None:
    assert decide(written, "r1", False, "one", author="ana", seen=0).order == 1
    with pytest.raises(DecidedMeanwhile, match="ana decided since it was shown"):
        decide(written, "r1", True, "two", author="ben", seen=0)
    comment(written, "r1", "which decides nothing", author="ben")
    assert decide(written, "r1", True, "two", author="ben", seen=1).order == 3
    undo(written, "r1", author="ben")
    undo(written, "r1", author="ben")
    undo(written, "r1", author="ben")
    with pytest.raises(DecidedMeanwhile, match="a decision was taken back since it was shown"):
        decide(written, "r1", False, "three", author="ana", seen=3)
    assert kept(written) == ["r0", "r1", "r2"]


def test_logs_of_before_have_the_same_lines(written: Dataset) -> None:
    """A field that a decision does not use is not written, so older programs read the log."""
    decide(written, "r1", False, "x", author="ana")
    line = json.loads(written.layout.decisions.read_text())
    assert sorted(line) == ["author", "findings", "id", "keep", "order", "why"]
