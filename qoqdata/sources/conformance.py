"""Whether what a converter gives keeps the protocol and fits its card."""

from __future__ import annotations

import re
from typing import Any

from qoqdata.contract.card import Card
from qoqdata.errors import ConverterError
from qoqdata.records.content import Record
from qoqdata.sources.card import task_of
from qoqdata.sources.protocol import Skipped, Unit

_REASON = re.compile(r"[a-z][a-z0-9_]{0,63}")


def sort_converted(
    converted: Any, unit: Unit, card: Card
) -> tuple[tuple[Record, ...], tuple[Skipped, ...]]:
    """The records and the skipped questions among what `convert` returned.

    Raises ConverterError for anything else, an empty list, and what does not fit the card.
    """
    if not isinstance(converted, list):
        what = f"convert returned {_named(converted)}"
        raise ConverterError(what, where=unit.key, fix="return a list of Record and Skipped")
    if not converted:
        fix = "return a Skipped for each question that cannot be asked"
        raise ConverterError("the converter gave no record", where=unit.key, fix=fix)
    records, skipped = [], []
    for place, item in enumerate(converted):
        where = f"{unit.key}, item {place} of convert"
        if isinstance(item, Record):
            task_of(card, item.task)
            records.append(item)
        elif isinstance(item, Skipped):
            _check_skipped(item, card, where)
            skipped.append(item)
        else:
            what = f"{_named(item)} is neither Record nor Skipped"
            raise ConverterError(what, where=where)
    return tuple(records), tuple(skipped)


def _check_skipped(item: Skipped, card: Card, where: str) -> None:
    task_of(card, item.task)
    if not (isinstance(item.reason, str) and _REASON.fullmatch(item.reason)):
        what = f"the reason {item.reason!r} of a Skipped is no short code"
        fix = "such as no_view; the particulars belong into its message"
        raise ConverterError(what, where=where, fix=fix)
    if not isinstance(item.message, str):
        raise ConverterError(f"the message of a Skipped is {_named(item.message)}", where=where)


def _named(value: Any) -> str:
    """What a value is, in words: `an int`, `a numpy.int64`, `None`; never the value itself."""
    if value is None:
        return "None"
    kind = type(value)
    package = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    name = f"{package}{kind.__qualname__}"
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
