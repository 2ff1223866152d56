"""The shape of rows: columns and members that are there, nulls, vocabularies.

`is_shaped` answers in microseconds, as nearly all rows keep their shape; `shape_breaches` says what
is wrong with the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from qoqdata.contract.record import RECORD
from qoqdata.contract.types import EncodedImage, Field, ListOf, Scalar, Struct, Table, Type

Row = Mapping[str, Any]
#: A breach: column, rule, what was found.
Breach = tuple[str, str, str]
_Check = Callable[[Any], bool]


def shape_breaches(row: Row, table: Table) -> Iterable[Breach]:
    """Missing and unknown columns, nulls where none may be, and values outside a vocabulary."""
    for name in sorted(set(row) - set(table.names)):
        yield name, "no other columns", "the schema has no such column"
    for field in table.fields:
        if field.name not in row:
            yield field.name, "every column is there", "the column is missing"
        else:
            yield from _field_breaches(row[field.name], field, field.name)


def _field_breaches(value: Any, field: Field, path: str) -> Iterable[Breach]:
    if value is None:
        if not field.nullable:
            yield path, "not null", "is null"
        return
    yield from _value_breaches(value, field.type, path)


def _value_breaches(value: Any, kind: Type, path: str) -> Iterable[Breach]:
    match kind:
        case Scalar(choices=choices) if choices and value not in choices:
            yield path, "one of the vocabulary", f"{value!r} is not among {', '.join(choices)}"
        case ListOf(item=Struct() | EncodedImage() | Scalar("string")):
            # Lists of numbers are left to the ECG rule: walking them one by one takes seconds.
            for index, item in enumerate(value):
                if item is not None:
                    yield from _value_breaches(item, kind.item, f"{path}[{index}]")
                else:
                    yield f"{path}[{index}]", "not null", "is null"
        case Struct(fields=fields):
            for field in fields:
                if field.name not in value:
                    yield f"{path}.{field.name}", "every member is there", "the member is missing"
                else:
                    yield from _field_breaches(value[field.name], field, f"{path}.{field.name}")


def is_shaped(row: Row) -> bool:
    """Whether `row` has the shape of a record; what cannot be told quickly counts as no."""
    try:
        return len(row) == len(RECORD.fields) and _IS_SHAPED(row)
    except (AttributeError, TypeError, ValueError):
        return False


def _check(kind: Type) -> _Check | None:
    """What to ask of a value that is not null; None where any will do."""
    match kind:
        case Scalar(choices=choices) if choices:
            return frozenset(choices).__contains__
        case ListOf(item=Struct() | EncodedImage() | Scalar("string") as item):
            return _list_check(_check(item))
        case Struct(fields=fields):
            return _struct_check(fields)
    return None


def _list_check(check: _Check | None) -> _Check:
    if check is None:
        return lambda values: None not in values
    return lambda values: None not in values and all(map(check, values))


def _struct_check(fields: tuple[Field, ...]) -> _Check:
    names = frozenset(field.name for field in fields)
    members = [(field.name, field.nullable, _check(field.type)) for field in fields]
    # Of the others it is enough that they are there.
    asked = tuple(one for one in members if not one[1] or one[2] is not None)

    def is_sound(value: Any) -> bool:
        if not names <= value.keys():
            return False
        for name, nullable, check in asked:
            member = value[name]
            if member is None:
                if not nullable:
                    return False
            elif check is not None and not check(member):
                return False
        return True

    return is_sound


_IS_SHAPED = _struct_check(RECORD.fields)
