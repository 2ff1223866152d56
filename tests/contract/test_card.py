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


def test_a_sound_card() -> None:
    card = Card.model_validate(CONTENT)
    assert card.splits.shares == {"train": 0.8, "validation": 0.1, "test": 0.1}
    assert card.raw_paths == "public" and card.shard_units == 512


BREACHES: dict[str, tuple[dict[str, Any], str]] = {
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
