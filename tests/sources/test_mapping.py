"""Mappings of users: faults name their field, and the completed card keeps raw paths private."""

from __future__ import annotations

from typing import Any

import pytest

from qoqdata.contract.card import Card
from qoqdata.errors import CardError, UsageError
from qoqdata.sources import catalogue
from qoqdata.sources.mapping import Mapping, complete_card, parse_mapping

CONTENT: dict[str, Any] = {
    "slug": "our_films",
    "name": "Our films",
    "domain": "mammography",
    "question": "What?",
    "labels": {"c": "Clear", "o": "Opacity", "o2": "Opacity"},
    "table": {"file": "t.csv", "key": "file"},
}


def mapping(**changes: Any) -> Mapping:
    return parse_mapping(Mapping, CONTENT | changes, source="image_table")


def card(**changes: Any) -> Card:
    generic = catalogue.find_source("image_table").card
    return complete_card(generic, mapping(**changes), modality="image_2d")


def test_a_completed_card() -> None:
    made = card(licence="internal", shares={"train": 0.5, "test": 0.5}, kind="multi")
    assert (made.slug, made.domain, made.modality) == ("our_films", "mammography", "image_2d")
    assert (made.licence.name, made.access, made.redistribution) == ("internal", "own", "forbidden")
    assert made.raw_paths == "keyed" and not made.needs_mapping
    task = made.tasks["diagnosis"]
    assert (task.kind, task.question, task.options) == ("multi", "What?", ("Clear", "Opacity"))
    assert made.labels == CONTENT["labels"]
    assert made.splits.rule == "hash" and made.splits.shares == {"train": 0.5, "test": 0.5}


NUMBER: dict[str, Any] = {
    "kind": "number", "labels": {}, "number": {"unit": "mm", "tolerance": 2},
    "table": {"file": "t", "key": "k", "answer": "width"},
}  # fmt: skip


def test_cards_of_other_kinds() -> None:
    size = card(**NUMBER, forms=["How wide?"]).tasks["diagnosis"]
    assert (size.kind, size.unit, size.tolerance, size.options) == ("number", "mm", 2.0, None)
    assert size.forms == ("How wide?",) and not size.ordinal
    grade = card(
        kind="number", number={"tolerance": 1}, labels={}, options=["Mild", "Severe", "Fatal"]
    )
    assert grade.tasks["diagnosis"].ordinal and grade.labels["Mild"] == "Mild"
    columns = {"file": "t", "key": "k", "answer": "a"}
    choice = card(kind="choice", labels={}, table=columns | {"options": ["A", "B"]})
    assert choice.tasks["diagnosis"].options is None and choice.labels == {}
    assert card(kind="open", labels={}, table=columns).tasks["diagnosis"].kind == "open"


def test_a_split_column_makes_the_split_official() -> None:
    assert card(table={"file": "t", "key": "k", "split": "set"}).splits.rule == "official"


def test_options_without_labels_are_labels_as_they_are() -> None:
    made = card(labels={}, options=["Clear", "Opacity"])
    assert made.labels == {"Clear": "Clear", "Opacity": "Opacity"}


def test_an_option_for_explicit_absence() -> None:
    made = card(none="No finding")
    assert made.tasks["diagnosis"].options == ("Clear", "Opacity", "No finding")
    assert made.labels["No finding"] == "No finding"
    # Already an option: it keeps its place.
    assert card(none="Clear").tasks["diagnosis"].options == ("Clear", "Opacity")


def test_answers_keep_their_order() -> None:
    assert mapping().answers == ("Clear", "Opacity")
    assert mapping(options=["Opacity", "Clear", "Mass"]).answers == ("Opacity", "Clear", "Mass")


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "label column without a label": (
        {"table": {"file": "t", "key": "k", "labels": ["c", "x"]}},
        "'x' is not among the labels",
    ),
    "answer column of labels": (
        {"table": {"file": "t", "key": "k", "answer": "a"}},
        "kind single has labels, not answers",
    ),
    "options of a choice": ({"kind": "choice"}, "kind choice has no options, labels or none"),
    "choice without a column": ({"kind": "choice", "labels": {}}, "needs the table's answer"),
    "choice without options": (
        {"kind": "choice", "labels": {}, "table": {"file": "t", "key": "k", "answer": "a"}},
        "kind choice needs the table's options",
    ),
    "options of an open question": (
        {
            "kind": "open",
            "labels": {},
            "table": {"file": "t", "key": "k", "answer": "a", "options": ["o"]},
        },
        "only kind choice has",
    ),
    "number without a column": ({"kind": "number", "labels": {}}, "options that ascend"),
    "number from labels": (
        {
            "kind": "number",
            "labels": {},
            "table": {"file": "t", "key": "k", "answer": "a", "labels": "l"},
        },
        "has answers, not labels",
    ),
    "boxes without masks": ({"kind": "boxes", "labels": {}}, "takes its boxes from masks"),
    "kind of no name": ({"kind": "several"}, "kind"),
    "unknown field": ({"lables": {}}, "lables"),
    "no option": ({"labels": {}}, "name the options"),
    "no question": ({"question": ""}, "question"),
    "unknown domain": ({"domain": "dental"}, "domain"),
    "slug with a dash": ({"slug": "our-films"}, "slug"),
    "table without a key": ({"table": {"file": "t.csv"}}, "table.key"),
    "separator of two characters": (
        {"table": {"file": "t", "key": "k", "separator": ";;"}},
        "table.separator",
    ),
    "quote as separator": (
        {"table": {"file": "t", "key": "k", "separator": '"'}},
        "table.separator",
    ),
    "separator beyond ASCII": (
        {"table": {"file": "t", "key": "k", "separator": "é"}},
        "table.separator",
    ),
    "split of no name": ({"split_values": {"val": "dev"}}, "split_values.val"),
    "mask code beyond 16 bits": ({"mask_codes": {70000: "x"}}, "mask_codes"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_name_the_field(name: str) -> None:
    changes, said = FAULTS[name]
    with pytest.raises(UsageError, match=said) as raised:
        mapping(**changes)
    assert "mapping of image_table" in str(raised.value)


def test_no_mapping_at_all() -> None:
    for content in (None, [], "text"):
        with pytest.raises(UsageError, match="mapping of image_table"):
            parse_mapping(Mapping, content, source="image_table")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels": {"a": "Mass, big", "b": "Clear"}}, "scorer splits"),
        ({"options": ["Clear"]}, "no task offers"),
        ({"options": ["Clear", "Clear"], "labels": {}}, "repeat"),
        ({"shares": {"train": 0.5}}, "sum to 1"),
        ({"forms": ["What?"]}, "forms repeat"),
        ({"number": {"unit": "mm"}}, "neither unit nor tolerance"),
        (NUMBER | {"number": {"tolerance": 1}}, "needs a unit"),
        (NUMBER | {"number": {"unit": "mm"}}, "needs a tolerance"),
        ({"kind": "number", "number": {"tolerance": 3}}, "counts places"),
        ({"none": "Nothing and more"}, "scorer splits"),
    ],
)
def test_what_only_the_completed_card_shows(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(CardError, match=said) as raised:
        card(**changes)
    assert "mapping of image_table" in str(raised.value)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", " "])
def test_separators(separator: str) -> None:
    found = mapping(table={"file": "t", "key": "k", "separator": separator}).table
    assert found is not None and found.separator == separator
