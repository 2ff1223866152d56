"""Card rules beyond types; each breach is one that a real source card once had."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from qoqdata.contract.card import Card

CONTENT: dict[str, Any] = {
    "slug": "films",
    "name": "Films",
    "version": 1,
    "domain": "chest_xray",
    "modality": "image_2d",
    "summary": "Films.",
    "licence": {"name": "CC0"},
    "access": "open",
    "redistribution": "allowed",
    "citation": "Nobody.",
    "homepage": "https://example.org",
    "get": "Ask.",
    "layout": "films/",
    "keys": {"study": "file", "group": "patient"},
    "tasks": {
        "diagnosis": {"kind": "single", "question": "What?", "options": ["Clear", "Opacity"]}
    },
    "labels": {"0": "Clear", "1": "Opacity"},
    "splits": {"rule": "hash"},
}


def task(**changes: Any) -> dict[str, Any]:
    return {"tasks": {"diagnosis": CONTENT["tasks"]["diagnosis"] | changes}}


def number(**changes: Any) -> dict[str, Any]:
    size = {"kind": "number", "question": "How wide?", "unit": "mm", "tolerance": 1}
    return {"tasks": {"size": size | changes}, "labels": {}}


def grades(**changes: Any) -> dict[str, Any]:
    own = {"kind": "number", "question": "?", "options": ["Grade 1", "Grade 2", "Grade 10"]}
    return {"tasks": {"grade": own | changes}, "labels": {}}


@pytest.mark.parametrize(
    "changes",
    [
        number(unit="1"),
        number(unit="mm[Hg]", tolerance=0),
        grades(tolerance=1),
        grades(options=["Mild, or none", "Moderate and severe"]),
        grades(labels={"g1": "Grade 1"}),
        task(forms=["Which is it?", "Say which."]),
        {"tasks": {"quiz": {"kind": "choice"}, "free": {"kind": "open"}}, "labels": {}},
    ],
)
def test_sound_tasks(changes: dict[str, Any]) -> None:
    card = Card.model_validate(CONTENT | changes)
    assert Card.model_validate(card.model_dump(mode="json")) == card


def test_a_sound_card() -> None:
    card = Card.model_validate(CONTENT)
    assert card.splits.shares == {"train": 0.8, "validation": 0.1, "test": 0.1}
    assert card.raw_paths == "public" and card.shard_units == 512


def counted(**counts: Any) -> dict[str, Any]:
    """The first task with published counts of labels."""
    name = next(iter(CONTENT["tasks"]))
    return {"expected": {"labels": {name: {"according_to": "a paper"} | counts}}}


BREACHES: dict[str, tuple[dict[str, Any], str]] = {
    "counts of no task": (
        {"expected": {"labels": {"size": {"counts": {"a": 1, "b": 2}, "according_to": "x"}}}},
        "no task with options",
    ),
    "counts of no option": (counted(counts={"Clear": 1, "Wet": 2}), "does not offer"),
    "counts of one label": (counted(counts={"Clear": 1}), "at least 2"),
    "counts that nobody published": (counted(according_to=""), "according_to"),
    "slug with a capital": ({"slug": "Films"}, "slug"),
    "slug that is a path": ({"slug": "../films"}, "slug"),
    "unknown field": ({"licences": 1}, "licences"),
    "unknown domain": ({"domain": "dental"}, "domain"),
    "no licence": ({"licence": {"name": ""}}, "licence.name"),
    "version 0": ({"version": 0}, "version"),
    "label to no option": ({"labels": {"0": "Normal"}}, "no task offers"),
    "no task": ({"tasks": {}, "labels": {}}, "at least one task"),
    "comma in an option": (task(options=["Clear, dry", "Opacity"]), "scorer splits"),
    "and in an option": (task(options=["Mass and node", "Opacity"]), "scorer splits"),
    "ampersand in an option": (task(options=["Mass&node", "Opacity"]), "scorer splits"),
    "line break in an option": (task(options=["Mass\nnode", "Opacity"]), "scorer splits"),
    "a wording twice": (task(forms=["What?"]), "forms repeat"),
    "forms that repeat": (task(forms=["Which?", "Which?"]), "forms repeat"),
    "no question of a closed task": (task(question=None), "may leave out its question"),
    "forms of no question": (
        {"tasks": {"quiz": {"kind": "choice", "forms": ["Which?"]}}, "labels": {}},
        "may leave out its question",
    ),
    "label of a task to no option": (task(labels={"x": "Normal"}), "the task does not offer"),
    "unit of a single task": (task(unit="mm"), "neither unit nor tolerance"),
    "options of a choice": (task(kind="choice") | {"labels": {}}, "each record brings its own"),
    "options of an open task": (task(kind="open") | {"labels": {}}, "has no options"),
    "quantity without a unit": (number(unit=None), "needs a unit.*1 where it has no dimension"),
    "unit that is no UCUM code": (number(unit="\u00b0C"), "unit"),
    "unit of two words": (number(unit="mm Hg"), "unit"),
    "quantity without a tolerance": (number(tolerance=None), "needs a tolerance"),
    "negative tolerance": (number(tolerance=-1), "tolerance"),
    "endless tolerance": (number(tolerance=float("inf")), "tolerance"),
    "grades with a unit": (grades(unit="mm"), "has no unit"),
    "half a place": (grades(tolerance=0.5), "counts places, 0 to 1"),
    "all places are right": (grades(tolerance=2), "counts places, 0 to 1"),
    "one grade": (grades(options=["Grade 1"]), "at least two"),
    "grades that fall": (
        grades(options=["Grade 1", "Grade 3", "Grade 2"]),
        "must ascend, and 'Grade 2' comes after 'Grade 3'",
    ),
    "options repeat": (task(options=["Clear", "Clear", "Opacity"]), "repeat"),
    "closed task without options": (task(options=None) | {"labels": {}}, "needs options"),
    "shares above 1": ({"splits": {"rule": "hash", "shares": {"train": 1.1}}}, "sum to 1"),
    "negative share": (
        {"splits": {"rule": "hash", "shares": {"train": 1.5, "test": -0.5}}},
        "negative",
    ),
    "share of an unknown split": ({"splits": {"rule": "hash", "shares": {"dev": 1.0}}}, "shares"),
    "conflict of an unknown split": ({"splits": {"rule": "hash", "conflict": "dev"}}, "conflict"),
    "mask code beyond 16 bits": ({"mask_codes": {70000: "x"}}, "65535"),
    "negative mask code": ({"mask_codes": {-1: "x"}}, "greater than or equal to 0"),
    "no units in a shard": ({"shard_units": 0}, "shard_units"),
}


@pytest.mark.parametrize("name", BREACHES)
def test_breaches(name: str) -> None:
    changes, said = BREACHES[name]
    with pytest.raises(ValidationError, match=said):
        Card.model_validate(CONTENT | changes)


def test_a_card_for_a_mapping_may_leave_tasks_open() -> None:
    card = Card.model_validate(CONTENT | {"tasks": {}, "needs_mapping": True})
    assert card.tasks == {}
