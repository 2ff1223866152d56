"""Read source cards and settle their options."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qoqdata.contract.card import Card
from qoqdata.contract.task import Task
from qoqdata.errors import CardError, ConverterError, UsageError
from qoqdata.settings import checked, load_yaml
from qoqdata.sources.card_tables import fill_in, table_files

#: The unit of a quantity without dimension.
DIMENSIONLESS = "1"

_SCALARS = (bool, int, float, str)


def load_card(path: Path) -> Card:
    """The validated card at `path`, with what it names in files beside it filled in.

    CardError names the field or file and what is wrong with it.
    """
    return parse_card(fill_in(load_yaml(path), path), where=str(path))


def card_digest(path: Path) -> str:
    """sha256 over card.yaml and the files beside it whose options and labels it names."""
    total = hashlib.sha256(path.read_bytes())
    for name in table_files(load_yaml(path)):
        total.update(name.encode() + b"\0" + (path.parent / name).read_bytes())
    return total.hexdigest()


def parse_card(content: Any, *, where: str) -> Card:
    """A card from parsed YAML."""
    return checked(
        Card, content, where=where, fix="see schemas/published/card.v1.json", error=CardError
    )


class OptionValues(dict[str, Any]):
    """The values of a card's options by name."""

    def __missing__(self, name: str) -> Any:
        fix = f"it has: {', '.join(self) or 'none'}"
        raise ConverterError(f"the card has no option {name!r}", fix=fix)


def task_of(card: Card, name: str) -> Task:
    """The card's task of that name; raises ConverterError where it has none."""
    if not isinstance(name, str) or name not in card.tasks:
        fix = f"it has: {', '.join(card.tasks) or 'none'}"
        raise ConverterError(f"the card has no task {name!r}", where=card.slug, fix=fix)
    return card.tasks[name]


def settle_options(card: Card, values: Mapping[str, Any]) -> dict[str, Any]:
    """The card's options with the user's values, typed like their defaults.

    Raises UsageError for an unknown option or a value of the wrong type or choice.
    """
    if unknown := sorted(set(values) - set(card.options)):
        names = ", ".join(sorted(card.options)) or "none"
        where = f"source {card.slug}"
        raise UsageError(f"has no option {unknown[0]!r}", where=where, fix=f"known: {names}")
    return OptionValues(
        {
            name: _typed(card.slug, name, option.default, option.choices, values[name])
            if name in values
            else option.default
            for name, option in sorted(card.options.items())
        }
    )


def _typed(slug: str, name: str, default: Any, choices: tuple[str, ...] | None, value: Any) -> Any:
    where = f"source {slug}, option {name}"
    if choices and value not in choices:
        raise UsageError(f"{value!r} is no choice", where=where, fix=f"one of {', '.join(choices)}")
    try:
        typed_value = _as(type(default), value)
        # Options are part of the manifest, and JSON knows neither NaN nor infinity.
        if isinstance(typed_value, float) and not math.isfinite(typed_value):
            raise ValueError(value)
    except (KeyError, TypeError, ValueError) as error:
        kind = "scalar" if default is None else type(default).__name__
        raise UsageError(f"{value!r} is no {kind}", where=where) from error
    return typed_value


def _as(kind: type, value: Any) -> Any:
    """`value` as `kind`: as it is, from text, or a whole number as float; nothing is rounded."""
    if type(value) is kind or (kind is type(None) and isinstance(value, _SCALARS)):
        return value
    if kind is bool:
        return {"true": True, "false": False}[value.lower() if isinstance(value, str) else ""]
    if isinstance(value, str) or (type(value) is int and kind in (float, str)):
        return kind(value)
    raise TypeError(value)
