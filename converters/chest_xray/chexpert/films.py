"""Rows and films of a study: what they say together, and whether they meet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qoqdata.errors import DuplicateKey, MissingKey
from qoqdata.person import read_age
from qoqdata.sources.cells import sex, text
from qoqdata.sources.joining import Row

from ..four_states import filled_cells
from ..studies import FRONTAL

PERSON = ("Sex", "Age")
PROJECTION = ("Frontal/Lateral", "AP/PA")

#: Paths of a study's films by file name: one each, if all is well.
Films = dict[str, list[str]]


def study_facts(
    key: str, rows: Sequence[tuple[str, Row]], there: Films, columns: Sequence[str]
) -> dict[str, Any]:
    """Labels, views, person and notes of a study, as plain JSON.

    Raises DuplicateKey for a film with two rows or files, MissingKey for one without a row.
    """
    names = [name for name, _ in rows]
    if len(set(names)) < len(names):
        raise DuplicateKey("a film has two rows", where=key, fix="remove the row that is wrong")
    if stray := sorted(set(there) - set(names)):
        # A table that lost rows must not leave a study with some of its films.
        raise MissingKey(f"the table does not name {stray[0]}", where=key, fix="fetch it again")
    if twice := next((paths for paths in there.values() if len(paths) > 1), None):
        fix = "build one edition at a time"
        raise DuplicateKey("a film is there twice", where=" and ".join(twice), fix=fix)
    views = [_view(name, row) for name, row in rows]
    disputed = [name for (name, _), (_, agrees) in zip(rows, views, strict=True) if not agrees]
    cells = [filled_cells(row, columns) for _, row in rows]
    ages = {text(row.get("Age")) for _, row in rows}
    sexes = {sex(row.get("Sex")) for _, row in rows}
    notes = [f"the view of {name} is disputed" for name in disputed]
    if len(ages) > 1 or len(sexes) > 1:
        notes.append("the films' rows disagree about age or sex")
    return {
        # The report is of the study, so its films have the same labels.
        "cells": [one for place, one in enumerate(cells) if one not in cells[:place]],
        "views": [view for view, _ in views],
        "age": _age(ages.pop()) if len(ages) == 1 else None,
        "sex": sexes.pop() if len(sexes) == 1 else None,
        "notes": notes,
    }


def _view(name: str, row: Row) -> tuple[str | None, bool]:
    """The projection, as far as the film's name and its row tell, and whether they agree."""
    stem = name.lower().rpartition(".")[0]
    plane = next((plane for plane in ("frontal", "lateral") if stem.endswith(plane)), None)
    stated, projection = (text(row.get(column)) for column in PROJECTION)
    if stated and plane and stated.lower() != plane:
        return None, False
    if plane == "lateral":
        return "LATERAL", projection not in FRONTAL
    return (projection if projection in FRONTAL else None), True


def _age(cell: str | None) -> int | None:
    """Completed years; 0 is what the table has for an age that nobody knows."""
    return read_age(cell) or None
