"""The list of sources: what it says of each, and the page made of it."""

from __future__ import annotations

from pathlib import Path

import pytest

import qoqdata
from qoqdata.contract.card import Card, Verified
from qoqdata.contract.task import Task
from qoqdata.errors import UsageError
from qoqdata.sources.overview import answers, how_verified, markdown, overview
from tests.contract.test_card import CONTENT
from tests.documents import ROOT

REMAKE = "qoqdata sources --markdown > docs/sources.md"


def test_the_page_is_up_to_date() -> None:
    ours = {path.parent.name for path in (ROOT / "converters").rglob("card.yaml")}
    rows = [row for row in qoqdata.overviews() if row.slug in ours]
    page = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
    assert page == markdown(rows), REMAKE
    assert "MedPix" in page and "VQA-RAD" in page


def test_every_public_source_says_how_it_is_known() -> None:
    silent = [
        slug
        for slug, card in qoqdata.cards().items()
        if not card.needs_mapping and None in (card.verified.files, card.verified.counts)
    ]
    assert silent == []


def test_one_line_of_the_page(tmp_path: Path) -> None:
    (tmp_path / "source.py").write_text("a\nb\nc\n")
    changes = {
        "expected": {"units": 1200, "records": 2400},
        "verified": {"tables": "real_tables", "counts": "memory"},
        "qoq_med": True,
    }
    row = overview(Card.model_validate(CONTENT | changes), tmp_path, simulated=True)
    cells = (
        *("**films**: Films", "1,200", "2,400", "diagnosis: one of 2", "open; CC0; allowed"),
        *("tables: real tables<br>counts: memory", "3"),
    )
    assert f"| {' | '.join(cells)} |" in markdown([row]).splitlines()


@pytest.mark.parametrize(
    ("task", "answer"),
    [
        ({"kind": "multi", "options": ["Edema", "Fracture", "Mass"]}, "any of 3"),
        ({"kind": "number", "unit": "mm", "tolerance": 1}, "number in mm"),
        ({"kind": "number", "options": ["Grade 1", "Grade 2"]}, "grade, 1 of 2"),
        ({"kind": "choice"}, "one of the record's"),
        ({"kind": "boxes"}, "boxes"),
        ({"kind": "open"}, "text"),
    ],
)
def test_what_may_be_the_answer(task: dict, answer: str) -> None:
    assert answers(Task.model_validate({"question": "Which?"} | task)) == answer


def test_a_card_that_does_not_say_is_not_verified() -> None:
    assert how_verified(Verified()) == "not stated"


def test_lists_are_of_one_domain_and_one_access() -> None:
    chosen = qoqdata.overviews(domain="mammography", access="open")
    assert {"cbis_ddsm", "cmmd"} <= {row.slug for row in chosen}
    assert {(row.domain, row.access) for row in chosen} == {("mammography", "open")}
    assert "image_table" in qoqdata.cards(domain="any")
    with pytest.raises(UsageError, match="one of open, registered"):
        qoqdata.overviews(access="free")
