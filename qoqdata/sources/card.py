"""Read source cards and settle their options."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qoqdata.contract.card import Card, Option
from qoqdata.contract.task import Task
from qoqdata.errors import CardError, ConverterError, UsageError
from qoqdata.settings import checked, load_yaml
from qoqdata.sources.card_tables import fill_in, table_files
from qoqdata.yaml_document import parse_scalar

#: The unit of a quantity without dimension.
DIMENSIONLESS = "1"

_SCALARS = (bool, int, float, str)
#: What a person may write for a boolean.
_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
#: What may stand for an option whose default is of the type.
_LEGAL = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    type(None): "text, a number, true or false",
}


def load_card(path: Path, domain: Path | None = None) -> Card:
    """The validated card at `path`, with what it names in files beside it filled in, or in the
    folder `domain` above it.

    CardError names the field or file and what is wrong with it.
    """
    return _card(load_yaml(path), path, domain)


def card_digest(path: Path) -> str:
    """sha256 over card.yaml and the files whose options, labels and cases it names."""
    return _digest(load_yaml(path), path)


def card_and_digest(path: Path, domain: Path | None = None) -> tuple[Card, str]:
    """What `load_card` and `card_digest` return, of one reading."""
    content = load_yaml(path)
    return _card(content, path, domain), _digest(content, path)


def _card(content: Any, path: Path, domain: Path | None) -> Card:
    return parse_card(fill_in(content, path, domain), where=str(path))


def _digest(content: Any, path: Path) -> str:
    total = hashlib.sha256(path.read_bytes())
    for name in table_files(content):
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

    Raises UsageError, which says what is legal, for an unknown option or a value that does not fit.
    """
    if unknown := sorted(set(values) - set(card.options)):
        names = ", ".join(sorted(card.options)) or "none"
        where = f"source {card.slug}"
        raise UsageError(f"has no option {unknown[0]!r}", where=where, fix=f"known: {names}")
    return OptionValues(
        {
            name: _typed(card.slug, name, option, values[name])
            if name in values
            else option.default
            for name, option in sorted(card.options.items())
        }
    )


def _typed(slug: str, name: str, option: Option, value: Any) -> Any:
    where = f"source {slug}, option {name}"
    kind = type(option.default)
    if option.choices:
        legal = f"one of {', '.join(option.choices)}"
        # The choices are texts, and a whole number has one spelling.
        value = str(value) if type(value) is int else value
        if value not in option.choices:
            raise UsageError(f"{value!r} is no choice", where=where, fix=legal)
    try:
        typed_value = _as(kind, value)
        # Options are part of the manifest, and JSON knows neither NaN nor infinity.
        if isinstance(typed_value, float) and not math.isfinite(typed_value):
            raise ValueError(value)
    except (TypeError, ValueError) as error:
        known = "scalar" if option.default is None else kind.__name__
        fix = f"give {_LEGAL[kind]}; without it: {json.dumps(option.default)}"
        raise UsageError(f"{value!r} is no {known}", where=where, fix=fix) from error
    return typed_value


def _as(kind: type, value: Any) -> Any:
    """`value` as `kind`, from text as YAML reads it; raises TypeError, and rounds nothing.

    Text is what stands on a command line: where text is declared, it stays as it is.
    """
    if kind is str and type(value) is int:
        return str(value)
    if kind in (bool, int, float) and isinstance(value, str):
        value = _WORDS.get(value.lower(), value) if kind is bool else parse_scalar(value)
    if kind is float and type(value) is int:
        return float(value)
    if kind is int and type(value) is float and value.is_integer():
        return int(value)
    if type(value) is kind or (kind is type(None) and isinstance(value, _SCALARS)):
        return value
    raise TypeError(value)
